"""Estimates of what a run takes, made without training or mining."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice

from kgraft.pipeline.embeddings import EmbeddingTask
from kgraft.pipeline.fit_target import TargetContext
from kgraft.pipeline.readout import EPOCHS, MIN_STEPS
from kgraft.rules.mining import mining_work
from kgraft.rules.rule_weights import MAX_FACTS
from kgraft.system.arrays import is_mapped
from kgraft.system.memory import available, bytes_of_run

WARM_UP, STEPS = 3, 20
"""Training steps taken first, and training steps measured then."""

JOINED_ROWS_PER_SECOND = 4e6
"""Rows that mining joins in a second: this and what follows on one thread, measured on the embedded
collection, two graphs of DBP-5L and CoDEx-M beside FB15k-237, within a factor of two."""

BEFORE_EMBEDDINGS = ("rules", "rule weights", "pseudo-facts")
"""Stages that come before the embeddings are trained."""

ANSWERED_PER_SECOND = {
    "rule weights": 2_500,
    "pseudo-facts": 5_000,
    "ensemble": 800,
    "calibration": 800,
}
"""Queries, or entities for pseudo-facts, that a stage answers in a second."""

PSEUDO_FACTS_PER_FACT = 0.7
"""Pseudo-facts to expect in an epoch for each of the target's facts."""


@dataclass(frozen=True)
class Estimate:
    """Time, memory and sizes of a run.

    Args:
        parameters: Number of trained parameters.
        facts: Number of facts to train on, pseudo-facts not counted.
        memory: Peak memory in bytes, about.
        available: Free memory in bytes, or ``None`` if the system does not tell.
        steps: Number of training steps, with the pseudo-facts to expect.
        seconds_per_step: Seconds for a training step, sampling included, as measured now.
        validation_seconds: Seconds for a validation, 0 without validation facts.
        validations: Number of validations.
        stages: Seconds for each further stage, by name, in their order.
    """

    parameters: int
    facts: int
    memory: int
    available: int | None
    steps: int
    seconds_per_step: float
    validation_seconds: float
    validations: int
    stages: Mapping[str, float]

    @property
    def training_seconds(self) -> float:
        """Seconds for training the embeddings, if it does not stop early."""
        return self.steps * self.seconds_per_step + self.validations * self.validation_seconds

    @property
    def seconds(self) -> float:
        """Seconds for the whole run."""
        return self.training_seconds + sum(self.stages.values())

    def with_stage(self, name: str, other: Estimate) -> Estimate:
        """Return the estimate with another run as its last stage."""
        return replace(self, stages={**self.stages, name: other.seconds})


def estimate(task: EmbeddingTask, context: TargetContext | None = None) -> Estimate:
    """Estimate a run from a few measured steps, one validation and the sizes of its graph.

    The model is moved by those steps, so the task is of no further use.

    Args:
        task: The embeddings, as ``pretraining_task`` or a context has them.
        context: The target's context, for a run of more stages.
    """
    training, sampler, trainer = task.settings.training, task.sampler(), task.trainer()
    times = [time.perf_counter()]
    for _ in islice(trainer.train_epoch(sampler, 1), WARM_UP + STEPS):
        trainer.metrics.flush()
        times.append(time.perf_counter())
    # A run may have fewer steps than the warm-up: then its last one is what is measured.
    first = min(WARM_UP, len(times) - 2)
    step = (times[-1] - times[first]) / (len(times) - 1 - first)
    n_steps = sampler.n_steps
    if context is not None:
        more = 2 * _pseudo_facts(context) * training.path_length / max(sampler.n_queries, 1)
        n_steps = round(n_steps * (1 + more))
    epochs = training.epochs_of(n_steps)
    validate = task.validation()
    begin = time.perf_counter()
    if validate is not None:
        validate()
    seconds = 0.0 if validate is None else time.perf_counter() - begin
    return Estimate(
        parameters=task.model.n_parameters,
        facts=sampler.n_facts,
        memory=bytes_of_run(
            task.settings,
            task.model.n_entities,
            task.model.n_relations,
            len(task.graph.triples),
            is_prepared=is_mapped(task.graph.triples),
            is_validated=validate is not None,
        ),
        available=available(),
        steps=epochs * n_steps,
        seconds_per_step=step,
        validation_seconds=seconds,
        validations=0 if validate is None else -(-epochs // training.validate_every),
        stages={} if context is None else _stages(context, seconds) | _readout(context, step),
    )


def _readout(context: TargetContext, seconds_per_step: float) -> dict[str, float]:
    """Return the seconds of a read-out, whose steps take about as long as others."""
    if context.readout is None:
        return {}
    n_steps = -(-2 * len(context.facts) // context.settings.training.batch_size)
    return {"read-out": max(EPOCHS * n_steps, MIN_STEPS) * seconds_per_step}


def _pseudo_facts(context: TargetContext) -> float:
    """Return the pseudo-facts to expect in an epoch."""
    rules = context.settings.rules
    rate = rules.pseudo_fact_rate if rules.longest else 0.0
    return PSEUDO_FACTS_PER_FACT * rate * len(context.facts)


def _stages(context: TargetContext, validation_seconds: float) -> dict[str, float]:
    """Return the seconds of each stage beside the embeddings, by the work that it has."""
    sample, rules = context.sample, context.settings.rules
    queries = 0 if sample is None else 2 * len(sample.facts)
    if not rules.longest:
        return {"calibration": validation_seconds} if queries else {}
    relations = context.graph.part(context.target.name).relation_rows
    rows = mining_work(context.edges, relations, rules)
    answered = {
        "rule weights": 2 * min(len(context.facts), MAX_FACTS),
        "pseudo-facts": len(context.entities) if rules.pseudo_fact_rate else 0,
        "ensemble": queries,
        "calibration": queries,
    }
    mining = rows / JOINED_ROWS_PER_SECOND
    seconds = {"rules": min(mining, rules.seconds) if rules.seconds else mining}
    seconds |= {name: size / ANSWERED_PER_SECOND[name] for name, size in answered.items()}
    return seconds
