"""What a run needs and how long it takes, said before it runs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice

from kgraft.pipeline.run import Run
from kgraft.system.memory import available, bytes_of_run

WARM_UP, STEPS = 3, 20
"""Steps that are done first, and steps that are measured then."""


@dataclass(frozen=True)
class Estimate:
    """What a run will take.

    Args:
        parameters: Trained numbers.
        facts: Facts to learn from.
        memory: Bytes at the most, about.
        available: Bytes that the machine has to spare, or ``None`` where it does not say.
        steps: Steps in all.
        seconds_per_step: As measured now, making batches included.
        validation_seconds: Of one look at the validation facts, 0 without any.
        looks: Looks in all.
    """

    parameters: int
    facts: int
    memory: int
    available: int | None
    steps: int
    seconds_per_step: float
    validation_seconds: float
    looks: int

    @property
    def seconds(self) -> float:
        """How long the run takes, if it does not stop early."""
        return self.steps * self.seconds_per_step + self.looks * self.validation_seconds


def estimate(run: Run) -> Estimate:
    """Estimate a run from a few measured steps and one look at the validation facts.

    The run's model has moved by those steps, so the run is of no further use.

    Args:
        run: What ``training_run``, ``pretraining_run`` or ``retraining_run`` has prepared.
    """
    training, batches, learner = run.settings.training, run.batches(), run.learner()
    times = [time.perf_counter()]
    for _ in islice(learner.steps(batches, 1), WARM_UP + STEPS):
        learner.look()
        times.append(time.perf_counter())
    # A run may have fewer steps than there are to warm up: then its last one is what is measured.
    first = min(WARM_UP, len(times) - 2)
    step = (times[-1] - times[first]) / (len(times) - 1 - first)
    epochs = training.epochs_of(batches.n_steps)
    validate = run.validate()
    begin = time.perf_counter()
    if validate is not None:
        validate()
    look = 0.0 if validate is None else time.perf_counter() - begin
    return Estimate(
        parameters=run.model.n_parameters,
        facts=len(batches.facts),
        memory=bytes_of_run(
            run.settings, run.model.n_entities, run.model.n_relations, len(run.graph.triples)
        ),
        available=available(),
        steps=epochs * batches.n_steps,
        seconds_per_step=step,
        validation_seconds=look,
        looks=0 if validate is None else -(-epochs // training.validate_every),
    )
