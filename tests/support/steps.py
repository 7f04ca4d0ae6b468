"""Single training steps, for tests."""

from __future__ import annotations

from kgraft.training.batch import Batch
from kgraft.training.step import Trainer


def step(trainer: Trainer, batch: Batch) -> dict[str, float]:
    """Take a step on a batch, and return its loss terms."""
    trainer.step(trainer.prepare(batch))
    return trainer.metrics.flush()[-1][1]
