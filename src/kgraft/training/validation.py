"""Validation: the mean reciprocal rank of a fixed sample of validation facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kgraft.evaluation.ranking import rank
from kgraft.evaluation.ranks import Ranks, concatenate, measure
from kgraft.graph.grouped_index import smallest_ints
from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples, no_triples
from kgraft.graph.known_facts import KnownFacts, Side
from kgraft.graph.vocabulary import Rows
from kgraft.linking.joint_graph import JointGraph, JointSource
from kgraft.model.kge import KgeModel
from kgraft.settings import TrainingSettings
from kgraft.system.arrays import pieces_of
from kgraft.system.workers import ALONE, Workers
from kgraft.training.shard_scorer import ShardScorer

LOOK_FACTS = 2_000
"""Validation facts that an epoch is chosen by; ensemble and calibration take all of a sample."""


@dataclass(frozen=True, eq=False)
class ValidationSample:
    """Validation facts of one graph, in the model's rows.

    Args:
        facts: int64 ``(n, 3)``.
        known: The graph's training and validation facts.
        index_stated: Returns the graph's training facts, see ``stated``.
        candidates: The rows of its entities.
        known_false: A sample of the facts that it knows to be false, at most as many as ``facts``.
        confidence: Of each fact, ``(n,)``; None where all are certain.
    """

    facts: Triples
    known: KnownFacts
    index_stated: Callable[[], KnownFacts]
    candidates: Rows
    known_false: Triples = field(default_factory=no_triples)
    confidence: NDArray[np.float64] | None = None

    @cached_property
    def stated(self) -> KnownFacts:
        """The graph's training facts; a teacher does without, and without their memory."""
        return self.index_stated()

    def first(self, size: int) -> ValidationSample:
        """Return the sample of the first facts."""
        confidence = None if self.confidence is None else self.confidence[:size]
        return replace(self, facts=self.facts[:size], confidence=confidence)


def validation_mrr(
    model: KgeModel, samples: Sequence[ValidationSample], workers: Workers = ALONE
) -> Callable[[], float] | None:
    """Return a function that measures the model as it is, or ``None`` without samples.

    It returns the MRR of both sides, each fact ranked among the entities of its own graph, other
    training and validation facts filtered. Test facts play no part.

    Args:
        model: The model.
        samples: Validation facts, of which the first ``LOOK_FACTS`` are ranked; each counts by its
            confidence.
        workers: The processes that have a part of the model's entities each.
    """
    if not samples:
        return None
    total = sum(len(sample.facts) for sample in samples)
    looks = [sample.first(-(-LOOK_FACTS * len(sample.facts) // total)) for sample in samples]
    weights = _weights(looks)
    return lambda: measure(validation_ranks(model, looks, workers), weights=weights).mrr


def _weights(samples: Sequence[ValidationSample]) -> NDArray[np.float64] | None:
    """Return the weight of each of ``validation_ranks``, ``None`` where all are equal."""
    if all(sample.confidence is None for sample in samples):
        return None
    of_each = [
        np.ones(len(sample.facts)) if sample.confidence is None else sample.confidence
        for sample in samples
    ]
    return np.concatenate([np.tile(weights, 2) for weights in of_each])


def validation_ranks(
    model: KgeModel, samples: Sequence[ValidationSample], workers: Workers = ALONE
) -> Ranks:
    """Return the ranks of each sample's facts, tails before heads, as ``validation_mrr`` does."""
    sides: tuple[Side, ...] = ("tail", "head")
    scorer: KgeModel | ShardScorer = model
    if workers.count > 1:
        ends = np.concatenate([sample.facts[:, ::2].reshape(-1) for sample in samples])
        scorer = ShardScorer(model, np.unique(ends), workers)
    ranks = [
        rank(
            scorer,
            sample.facts,
            side=side,
            known=sample.known,
            n_entities=scorer.n_entities,
            candidates=sample.candidates,
            workers=workers,
        )
        for sample in samples
        for side in sides
    ]
    return concatenate(ranks)


def draw_samples(
    joint: JointGraph, graphs: Sequence[KnowledgeGraph], settings: TrainingSettings
) -> list[ValidationSample]:
    """Return a sample of the validation facts of each graph that has any.

    Args:
        joint: The model's id space; the graphs are parts of it.
        graphs: The graphs.
        settings: The most facts, shared among the graphs by their numbers of facts; the seed.
    """
    total = sum(len(graph.valid) for graph in graphs)
    share = min(1.0, settings.validation_queries / max(total, 1))
    return [_sample(joint, graph, share, settings.seed) for graph in graphs if len(graph.valid)]


def _sample(joint: JointGraph, graph: KnowledgeGraph, share: float, seed: int) -> ValidationSample:
    part = joint.part(graph.name)
    size = max(1, round(share * len(graph.valid)))
    chosen = np.random.default_rng(seed).permutation(len(graph.valid))[:size]
    confidence = graph.confidence.get("valid")
    false = np.random.default_rng(seed).permutation(len(graph.known_false))[:size]
    train, valid = (_joint_rows(part, x, joint) for x in (graph.train, graph.valid))
    return ValidationSample(
        part.joint(graph.valid[chosen]),
        KnownFacts(train, valid),
        lambda: KnownFacts(_joint_rows(part, graph.train, joint)),
        part.entity_rows,
        part.joint(graph.known_false[false]),
        None if confidence is None else confidence[chosen],
    )


def _joint_rows(part: JointSource, facts: Triples, joint: JointGraph) -> Triples:
    """Return facts in joint rows, ``(n, 3)``, in the smallest type, made piece by piece."""
    kind = smallest_ints(max(joint.n_entities, joint.n_relations))
    found, begin = np.empty(facts.shape, dtype=kind), 0
    for piece in pieces_of(facts):
        found[begin : begin + len(piece)] = part.joint(piece)
        begin += len(piece)
    return found
