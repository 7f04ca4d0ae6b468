"""How far facts of other sources are about a target's entities, by the links that say so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kgraft.linking.joint import JointGraph
from kgraft.linking.links import Links

Floats = NDArray[np.float64]


def trust(graph: JointGraph, target: str, links: Sequence[Links]) -> Floats:
    """Return the chance that each fact is about what the target's links say, ``(n,)``.

    It is the product over both ends of the confidence of the link that makes the fact's entity one
    of the target's; of its surest link to any source where none leads to the fact's own; and 1 for
    entities that are not the target's, and for the target's own facts.

    Args:
        graph: The target joined with other sources.
        target: The target's name.
        links: Links in the rows of the graph's parts; those that were not followed count for
            nothing.
    """
    own = graph.part(target).entity_rows
    direct = np.zeros((len(graph.sources), graph.n_entities))
    for x in links:
        if x.kind != "entity" or not x.joins(target):
            continue
        facing = x if x.left == target else x.reversed()
        if facing.right not in graph.parts:
            continue
        rows = own[facing.pairs[:, 0]]
        followed = rows == graph.part(facing.right).entity_rows[facing.pairs[:, 1]]
        place = graph.sources.index(facing.right)
        np.maximum.at(direct[place], rows[followed], facing.confidence[followed])
    surest = direct.max(axis=0)
    sure = np.where(direct > 0, direct, np.where(surest > 0, surest, 1.0))
    sure[graph.sources.index(target)] = 1.0
    heads, _, tails = graph.triples.T
    found: Floats = sure[graph.triple_sources, heads] * sure[graph.triple_sources, tails]
    return found
