"""Weights of facts by their stated confidences, and facts known to be false."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.knowledge_graph import Triples, no_triples
from kgraft.graph.known_facts import KnownFacts
from kgraft.linking.joint_graph import JointGraph

Floats = NDArray[np.float64]


def stated_weights(graph: JointGraph, target: str | None = None) -> Floats | None:
    """Return the confidence that each fact is stated with, ``(n,)``; None if all are 1.

    Args:
        graph: Sources joined by links.
        target: A source whose facts known to be false have weight 0 where others state them.
    """
    false = graph.known_false.get(target or "", no_triples())
    denied = KnownFacts(false).contains(graph.triples) if len(false) else None
    if graph.confidence is None and (denied is None or not denied.any()):
        return None
    weights = np.ones(len(graph.triples)) if graph.confidence is None else graph.confidence
    return weights if denied is None else np.where(denied, 0.0, weights)


def false_facts(graph: JointGraph, weights: Floats | None, n_entities: int) -> Triples:
    """Return the facts that some source knows to be false and no learned fact states, ``(n, 3)``.

    Args:
        graph: Sources joined by links.
        weights: Weight of each of its facts, ``(n,)``, 0 for those that are not learned.
        n_entities: Number of entities that are learned, the first ones.
    """
    found = [x for x in graph.known_false.values() if len(x)]
    if not found:
        return no_triples()
    facts = np.unique(np.concatenate(found), axis=0)
    learned = graph.triples if weights is None else graph.triples[weights > 0]
    kept = ~KnownFacts(learned).contains(facts) & (facts[:, [0, 2]] < n_entities).all(axis=1)
    return facts[kept]
