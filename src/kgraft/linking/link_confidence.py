"""How far facts are about the entities that they share with others, by the links that say so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.links import Links

Floats = NDArray[np.float64]


def link_confidence(graph: JointGraph, links: Sequence[Links], target: str | None = None) -> Floats:
    """Return the chance that links are right about whom each fact is about, ``(n,)``.

    It is the product over both ends of the confidence of the surest link of the entity that the
    fact's source has; 1 for one without. Where there is a target, it is that of the link that makes
    the entity one of the target's, or of that one's surest link to any source where none leads to
    the fact's own; and 1 for entities that are not the target's, and for the target's own facts.

    Args:
        graph: Sources joined by the links.
        links: Links in the rows of the graph's parts; those that were not followed count for
            nothing.
        target: Whose entities matter; by default those of all sources alike.
    """
    direct = np.zeros((len(graph.sources), graph.n_entities))
    for x in links:
        if x.kind != "entity" or not {x.left, x.right} <= graph.parts.keys():
            continue
        if target is not None and not x.joins(target):
            continue
        left, right = (
            graph.part(name).entity_rows[x.pairs[:, side]]
            for side, name in enumerate((x.left, x.right))
        )
        followed = left == right
        for name in {x.left, x.right} - {target}:
            rows, place = left[followed], graph.sources.index(name)
            np.maximum.at(direct[place], rows, x.confidence[followed])
    sure = np.where(direct > 0, direct, 1.0)
    if target is not None:
        surest = direct.max(axis=0)
        sure = np.where((direct == 0) & (surest > 0), surest, sure)
        sure[graph.sources.index(target)] = 1.0
    heads, _, tails = graph.triples.T
    found: Floats = sure[graph.triple_sources, heads] * sure[graph.triple_sources, tails]
    return found


def weights_by_link_confidence(
    graph: JointGraph, links: Sequence[Links], sharpness: float
) -> Floats | None:
    """Return how much each fact counts, ``(n,)``, 1 in the mean, or ``None`` if all count alike.

    Args:
        graph: Sources joined by the links.
        links: The links.
        sharpness: The power of what ``link_confidence`` returns that a fact counts by.
    """
    trusted = link_confidence(graph, links) ** sharpness
    return None if (trusted == 1).all() else trusted / trusted.mean()
