"""Comparison of a student with its own machinery trained without links, on validation facts."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from kgraft.errors import DataError
from kgraft.evaluation.intervals import mean_interval
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import KnownFacts
from kgraft.linking.collection import Collection
from kgraft.linking.coverage import linked_entities
from kgraft.linking.joint_graph import JointGraph
from kgraft.model.gain import RELATION_GAIN_METRIC, Gain, gain_metric
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.estimate import Estimate, estimate
from kgraft.pipeline.fit_target import RANKS_METRIC, Parts, TargetContext, fit_target
from kgraft.pipeline.run import RunOptions
from kgraft.pipeline.train import training_context
from kgraft.settings import RetrainSettings
from kgraft.system.progress import Listener, default_listener

MAX_RELATIONS = 100
"""The maximum number of relations whose gain is kept, the most frequent ones."""


def with_parts(context: TargetContext) -> TargetContext:
    """Return a student's context whose ranks of validation facts are kept for the comparison.

    Raises:
        DataError: If the target has no validation facts to compare on.
    """
    if context.sample is None:
        raise DataError(
            f"{context.target.name!r} has no validation facts to compare with training alone on",
            remedy="Name a file for 'valid' in the collection, or let split make one; or leave out "
            "--compare-alone (in Python compare_alone=True)",
        )
    parts = _parts(context.graph, context.target.name, context.sample.facts)
    return replace(context, validation_parts=parts)


def _parts(graph: JointGraph, target: str, facts: Triples) -> Parts:
    """Return parts of facts in joint rows: covered or not, and by how many ends are linked."""
    others = [source for source in graph.sources if source != target]
    n_linked = linked_entities(graph, target)[facts[:, [0, 2]]].sum(axis=1)
    covered = KnownFacts(graph.facts_of(others)).contains(facts)
    return {
        "all": np.ones(len(facts), dtype=np.bool_),
        "covered": covered,
        "uncovered": ~covered,
        "both ends linked": n_linked == 2,
        "one end linked": n_linked == 1,
        "no end linked": n_linked == 0,
    }


def alone_context(context: TargetContext) -> TargetContext:
    """Return the context of the same machinery on the target's own facts.

    It is measured on the student's validation facts.

    Args:
        context: The student's, as ``with_parts`` returns it.
    """
    own, settings = context.target, cast("RetrainSettings", context.given)
    alone = training_context(
        Collection(own.name, {own.name: own}, target=own.name),
        settings.for_alone(updating=context.earlier is not None),
        alone=True,
    )
    return replace(alone, validation_parts=context.validation_parts)


def estimate_student(context: TargetContext, *, compare_alone: bool, device: str) -> Estimate:
    """Estimate a student's run, with the same machinery without links as its last stage if asked.

    Raises:
        DataError: If the target has no validation facts to compare on.
    """
    if not compare_alone:
        return estimate(context.task.on(device), context)
    beside = alone_context(with_parts(context))
    found = estimate(context.task.on(device), context)
    return found.with_stage("alone", estimate(beside.task.on(device), beside))


def with_gain(
    student: TrainedModel, context: TargetContext, options: RunOptions | None, *, device: str
) -> TrainedModel:
    """Train the same machinery without links, and return the student with its gain in ``metrics``.

    Args:
        student: The trained student.
        context: Its context, as ``with_parts`` returns it.
        options: Those of the student's run, in whose directory this run has one of its own.
        device: Device to train on.
    """
    options = options or RunOptions()
    listener = _Alone(options.listener or default_listener())
    directory = None if options.directory is None else options.directory / "alone"
    alone = fit_target(alone_context(context), RunOptions(listener, directory), device=device)
    # The mean over the two queries of each fact.
    mine, other = (x.metrics[RANKS_METRIC].mean(axis=0) for x in (student, alone))
    gains = {
        part: _gain(other[mask], mine[mask])
        for part, mask in context.validation_parts.items()
        if mask.any()
    }
    by_relation = {
        name: _gain(other[mask], mine[mask]) for name, mask in _by_relation(context).items()
    }
    kept = {name: value for name, value in student.metrics.items() if name != RANKS_METRIC}
    more = gain_metric(by_relation, RELATION_GAIN_METRIC)
    return replace(student, metrics={**kept, **gain_metric(gains), **more})


def _by_relation(context: TargetContext) -> Parts:
    """Return the facts of each relation, the most frequent ones, by the target's names."""
    if context.sample is None:
        return {}
    relations, part = context.sample.facts[:, 1], context.graph.part(context.target.name)
    rows, counts = np.unique(relations, return_counts=True)
    frequent = rows[np.argsort(-counts, kind="stable")][:MAX_RELATIONS]
    return {part.relation_name(row): relations == row for row in frequent.tolist()}


def _gain(alone: NDArray[np.float64], student: NDArray[np.float64]) -> Gain:
    """Return the gain on facts, given each fact's mean reciprocal rank by both models."""
    low, high = mean_interval(student - alone) or (None, None)
    return Gain(2 * len(alone), float(alone.mean()), float(student.mean()), low, high)


class _Alone:
    """A listener that shows stages as those of training alone."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.advance, self.tell, self.end = listener.advance, listener.tell, listener.end

    def begin(self, name: str, total: int) -> None:
        """Begin a stage."""
        self._listener.begin(f"alone: {name}", total)
