"""Per-fact link confidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.links import Links
from kgraft.system.arrays import pieces_of

Floats = NDArray[np.float64]


def link_confidence(graph: JointGraph, links: Sequence[Links], target: str | None = None) -> Floats:
    """Return the probability that the links of both ends of each fact are right, ``(n,)``.

    It is the product over both ends of the highest confidence of a link of the source's entity, 1
    without any. With a target, only links to the target count, those of the fact's own source
    before those of others; entities that the target does not have, and its own facts, have 1.

    Args:
        graph: Sources joined by the links.
        links: Links in the rows of the graph's parts; those that were not followed are ignored.
        target: The source whose links count; by default all links do.
    """
    return _of_facts(graph, _of_entities(graph, links, target))


def _of_entities(graph: JointGraph, links: Sequence[Links], target: str | None) -> Floats:
    """Return the confidence of each entity in each source, ``(sources, n_entities)``."""
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
    confidence = np.where(direct > 0, direct, 1.0)
    if target is not None:
        best = direct.max(axis=0)
        confidence = np.where((direct == 0) & (best > 0), best, confidence)
        confidence[graph.sources.index(target)] = 1.0
    return confidence


def _of_facts(graph: JointGraph, confidence: Floats) -> Floats:
    """Return the product of the confidences of both ends of each fact, ``(n,)``."""
    pieces = zip(pieces_of(graph.triples), pieces_of(graph.triple_sources), strict=True)
    found = [
        confidence[sources, facts[:, 0]] * confidence[sources, facts[:, 2]]
        for facts, sources in pieces
    ]
    return np.concatenate(found) if found else np.empty(0)


def weights_by_link_confidence(
    graph: JointGraph, links: Sequence[Links], sharpness: float, stated: Floats | None = None
) -> Floats | None:
    """Return per-fact weights, ``(n,)``, 1 in the mean; None if all are equal.

    Args:
        graph: Sources joined by the links.
        links: The links.
        sharpness: Exponent of the link confidence.
        stated: Weight that each fact is stated with, ``(n,)``; by default 1.
    """
    confidence = _of_entities(graph, links, None) ** sharpness
    if stated is None and (confidence == 1).all():
        return None
    weights = _of_facts(graph, confidence)
    weights = weights if stated is None else weights * stated
    return None if (weights == 1).all() else weights / weights.mean()
