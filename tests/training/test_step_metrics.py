"""Steps that nobody waits for: what they are found to have done, and what was lost where."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from steps import step
from torch import Tensor

from kgraft.errors import TrainingError
from kgraft.model.kge import KgeModel
from kgraft.settings import EncoderName, ModelSettings, TrainingSettings
from kgraft.training.loop import fit
from kgraft.training.sampler import TripleSampler
from kgraft.training.step import Trainer
from kgraft.training.step_metrics import NotFiniteError

FACTS = np.array([[0, 0, 1], [1, 0, 2], [2, 1, 3], [3, 1, 0], [0, 1, 2], [4, 0, 5], [5, 1, 4]])
N_ENTITIES = 6


def parts(encoder: EncoderName = "complex", *, synchronous: bool) -> tuple[Trainer, TripleSampler]:
    settings = ModelSettings(encoder=encoder, width=4, init_scale=0.5, dropout=0.0)
    model = KgeModel.create(settings, N_ENTITIES, 2, seed=1)
    trainer = Trainer(
        model,
        learning_rate=0.1,
        dense_learning_rate=1e-3,
        regularization=0.01,
        synchronous=synchronous,
    )
    return trainer, TripleSampler(FACTS, N_ENTITIES, 2, batch_size=2, negatives=1, seed=0)


@pytest.mark.parametrize("encoder", ["complex", "gru"])
def test_a_run_that_does_not_wait_is_the_same_run(encoder: EncoderName) -> None:
    found = []
    for synchronous in (True, False):
        trainer, batches = parts(encoder, synchronous=synchronous)
        run = fit(trainer, batches, TrainingSettings(epochs=3))
        found.append((trainer.state(), [entry["loss"] for entry in run.log]))
    assert found[0][1] == found[1][1]
    for name, value in found[0][0].items():
        assert found[1][0][name].equal(value), name


def test_steps_are_told_when_they_are_looked_at() -> None:
    trainer, batches = parts(synchronous=False)
    assert trainer.metrics.flush() == []
    steps = trainer.train_epoch(batches, 1)
    for _ in range(3):
        next(steps)
    seen = trainer.metrics.flush()
    assert [queries for queries, _ in seen] == [2, 2, 2]
    assert all(terms.keys() == {"task", "regularization", "loss"} for _, terms in seen)
    assert trainer.metrics.flush() == []
    other, _ = parts(synchronous=True)
    assert [terms for _, terms in seen] == [
        step(other, batch) for batch, _ in zip(batches.epoch(1), range(3), strict=False)
    ]


def spoilt() -> tuple[Trainer, TripleSampler, int, int]:
    """A trainer with an entity that is no number, the entity, and the first step that uses it."""
    trainer, batches = parts(synchronous=False)
    seen: set[int] = set()
    for number, batch in enumerate(batches.epoch(1)):
        fresh = set(batch.entities.tolist()) - seen
        if number and fresh:
            row = fresh.pop()
            trainer.model.entities[row] = float("nan")
            return trainer, batches, row, number
        seen |= set(batch.entities.tolist())
    raise AssertionError("no step uses another entity than those before")


def test_nothing_moves_from_a_step_on_that_is_lost() -> None:
    trainer, batches, row, number = spoilt()
    steps = trainer.train_epoch(batches, 1)
    for _ in range(number):
        next(steps)
    before = {name: value.clone() for name, value in trainer.state().items()}
    for _ in steps:
        pass
    with pytest.raises(NotFiniteError, match="the loss term 'task' is nan") as caught:
        trainer.metrics.flush()
    assert caught.value.position == number
    assert row in caught.value.batch.entities
    assert caught.value.batch.entities.equal(list(batches.epoch(1))[number].entities)

    def alike(left: Tensor, right: Tensor) -> bool:
        return left.nan_to_num(7).equal(right.nan_to_num(7))

    assert all(alike(value, before[name]) for name, value in trainer.state().items())


def test_a_run_says_which_step_was_lost() -> None:
    trainer, batches, _, number = spoilt()
    with pytest.raises(TrainingError, match=f"epoch 1, step {number + 1}: the loss term 'task'"):
        fit(trainer, batches, TrainingSettings(epochs=1))
    assert torch.isnan(trainer.model.entities).any(1).sum() == 1
