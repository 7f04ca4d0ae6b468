"""Choosing by validation facts: the mean reciprocal rank of a fixed sample of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kgraft.evaluation.ranking import rank
from kgraft.evaluation.ranks import concatenate, measure
from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.graph.known_facts import KnownFacts
from kgraft.graph.vocabulary import Rows
from kgraft.linking.joint_graph import JointGraph
from kgraft.model.kge import KgeModel


@dataclass(frozen=True, eq=False)
class Sample:
    """Validation facts of one graph, in the model's rows.

    Args:
        facts: int64 ``(n, 3)``.
        known: The graph's training and validation facts.
        candidates: The rows of its entities.
    """

    facts: Triples
    known: KnownFacts
    candidates: Rows


def validator(
    model: KgeModel,
    space: JointGraph,
    graphs: Sequence[KnowledgeGraph],
    *,
    queries: int,
    seed: int,
) -> Callable[[], float] | None:
    """Return what measures the model, or ``None`` where no graph has validation facts.

    The measure is the MRR of both sides over a sample of validation facts, each ranked among the
    entities of its own graph; other facts of train and valid are filtered. Test facts play no part.

    Args:
        model: Measured as it is at each call.
        space: The model's rows; the graphs are parts of it.
        graphs: Graphs whose validation facts count, each fact the same.
        queries: The most facts to rank, shared among the graphs by their numbers of facts.
        seed: Makes the sample.
    """
    samples = draw_samples(space, graphs, queries=queries, seed=seed)
    if not samples:
        return None

    def mrr() -> float:
        ranks = [
            rank(
                model,
                sample.facts,
                side=side,
                known=sample.known,
                n_entities=model.n_entities,
                candidates=sample.candidates,
            )
            for sample in samples
            for side in ("tail", "head")
        ]
        return measure(concatenate(ranks)).mrr

    return mrr


def draw_samples(
    space: JointGraph, graphs: Sequence[KnowledgeGraph], *, queries: int, seed: int
) -> list[Sample]:
    """Return a sample of each graph's validation facts, of those graphs that have any.

    Args:
        space: The model's rows; the graphs are parts of it.
        graphs: The graphs.
        queries: The most facts, shared among the graphs by their numbers of facts.
        seed: Makes the sample.
    """
    total = sum(len(graph.valid) for graph in graphs)
    share = min(1.0, queries / max(total, 1))
    return [_sample(space, graph, share, seed) for graph in graphs if len(graph.valid)]


def _sample(space: JointGraph, graph: KnowledgeGraph, share: float, seed: int) -> Sample:
    part = space.part(graph.name)
    size = max(1, round(share * len(graph.valid)))
    chosen = np.random.default_rng(seed).permutation(len(graph.valid))[:size]
    return Sample(
        part.joint(graph.valid[chosen]),
        KnownFacts(part.joint(graph.train), part.joint(graph.valid)),
        part.entity_rows,
    )
