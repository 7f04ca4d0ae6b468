"""Epochs: what is kept, when training stops, and what the log and the listener hear."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from steps import step

from kgraft.errors import DataError, TrainingError
from kgraft.model.kge import KgeModel
from kgraft.settings import EncoderName, ModelSettings, TrainingSettings
from kgraft.training import checkpoint
from kgraft.training.checkpoint import Checkpoint
from kgraft.training.loop import Fit, fit
from kgraft.training.random_state import OF_GPU
from kgraft.training.sampler import TripleSampler
from kgraft.training.step import Trainer


@pytest.fixture(autouse=True)
def _kept_whatever_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "TIME_SHARE", math.inf)


FACTS = np.array([[0, 0, 1], [1, 0, 2], [2, 1, 3], [3, 1, 0], [0, 1, 2]])


def parts(
    encoder: EncoderName = "complex", *, learning_rate: float = 0.1
) -> tuple[Trainer, TripleSampler]:
    """A new trainer of 4 entities and 2 relations, and its facts: 10 queries in 3 batches."""
    settings = ModelSettings(encoder=encoder, width=4, init_scale=0.5, dropout=0.5)
    model = KgeModel.create(settings, 4, 2, seed=1)
    trainer = Trainer(
        model, learning_rate=learning_rate, dense_learning_rate=1e-3, regularization=0.01
    )
    return trainer, TripleSampler(FACTS, 4, 2, batch_size=4, negatives=2, seed=0)


class Looks:
    """Validation that returns given figures and keeps what it saw."""

    def __init__(self, trainer: Trainer, figures: list[float]) -> None:
        self._learner = trainer
        self._figures: Iterator[float] = iter(figures)
        self.seen: list[torch.Tensor] = []

    def __call__(self) -> float:
        self.seen.append(self._learner.model.entities.clone())
        return next(self._figures)


def looked_at(run: Fit) -> dict[int, float]:
    """The epochs that were looked at and what was seen."""
    return {x["epoch"]: x["validation_mrr"] for x in run.log if "validation_mrr" in x}


def test_the_best_state_is_kept() -> None:
    trainer, batches = parts()
    looks = Looks(trainer, [0.2, 0.5, 0.4, 0.5, 0.3])
    settings = TrainingSettings(epochs=5, validate_every=1, patience=9)
    run = fit(trainer, batches, settings, validate=looks)
    assert (run.best_epoch, run.best_mrr, run.epochs) == (2, 0.5, 5)
    assert trainer.model.entities.equal(looks.seen[1])
    assert not trainer.model.entities.equal(looks.seen[4])
    assert looked_at(run) == {1: 0.2, 2: 0.5, 3: 0.4, 4: 0.5, 5: 0.3}


@pytest.mark.parametrize(("figures", "best"), [([0.2, 0.3], (0, 0.4)), ([0.2, 0.5], (2, 0.5))])
def test_the_first_state_is_kept_where_it_may_be_and_no_later_one_is_better(
    figures: list[float], best: tuple[int, float]
) -> None:
    trainer, batches = parts()
    looks = Looks(trainer, figures)
    start = trainer.model.entities.clone()
    settings = TrainingSettings(epochs=2, validate_every=1)
    run = fit(trainer, batches, settings, validate=looks, start_mrr=0.4)
    assert (run.best_epoch, run.best_mrr) == best
    assert trainer.model.entities.equal([start, *looks.seen][run.best_epoch])


def test_patience_counts_looks_without_improvement() -> None:
    trainer, batches = parts()
    looks = Looks(trainer, [0.1, 0.3, 0.2, 0.4, 0.4, 0.1, 0.9])
    settings = TrainingSettings(epochs=100, validate_every=2, patience=2)
    run = fit(trainer, batches, settings, validate=looks)
    assert looked_at(run) == {2: 0.1, 4: 0.3, 6: 0.2, 8: 0.4, 10: 0.4, 12: 0.1}
    assert (run.best_epoch, run.epochs) == (8, 12)
    assert trainer.model.entities.equal(looks.seen[3])


def test_the_last_epoch_is_always_looked_at() -> None:
    trainer, batches = parts()
    settings = TrainingSettings(epochs=5, validate_every=3)
    run = fit(trainer, batches, settings, validate=Looks(trainer, [0.1, 0.2]))
    assert looked_at(run) == {3: 0.1, 5: 0.2}


def test_without_validation_the_last_state_is_kept() -> None:
    trainer, batches = parts()
    run = fit(trainer, batches, TrainingSettings(epochs=3))
    assert (run.best_epoch, run.best_mrr, run.epochs) == (3, None, 3)
    by_hand, _ = parts()
    for number in (1, 2, 3):
        for batch in batches.epoch(number):
            step(by_hand, batch)
    assert trainer.model.entities.equal(by_hand.model.entities)
    assert trainer.model.relations.equal(by_hand.model.relations)


def test_the_log_holds_means_over_queries() -> None:
    trainer, batches = parts()
    entry = fit(trainer, batches, TrainingSettings(epochs=1)).log[0]
    by_hand, _ = parts()
    steps = [(len(batch), step(by_hand, batch)) for batch in batches.epoch(1)]
    assert [size for size, _ in steps] == [4, 4, 2]
    for name in ("task", "regularization", "loss"):
        assert entry[name] == pytest.approx(sum(n * terms[name] for n, terms in steps) / 10)
    assert entry["epoch"] == 1
    assert entry["seconds"] >= 0
    assert entry["queries_per_second"] > 0
    assert entry.keys() == {
        "epoch", "task", "regularization", "loss", "seconds", "queries_per_second"
    }  # fmt: skip


class Ear:
    """A listener that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, object]] = []

    def begin(self, what: str, total: int) -> None:
        self.heard.append((f"begin {what}", total))

    def advance(self, steps: int) -> None:
        self.heard.append(("advance", steps))

    def tell(self, text: str) -> None:
        self.heard.append(("tell", text))

    def end(self) -> None:
        self.heard.append(("end", None))


def test_a_listener_hears_every_query_and_every_epoch() -> None:
    trainer, batches = parts()
    ear = Ear()
    settings = TrainingSettings(epochs=2, validate_every=2)
    run = fit(trainer, batches, settings, validate=lambda: 0.25, listener=ear)
    assert [steps for what, steps in ear.heard if what == "advance"] == [0, 4, 4, 2, 4, 4, 2]
    told = [text for what, text in ear.heard if what == "tell"]
    assert told == [
        f"epoch 1: loss {run.log[0]['loss']:.4f}",
        f"epoch 2: loss {run.log[1]['loss']:.4f}, validation MRR 0.2500",
    ]


def fail() -> float:
    raise RuntimeError("stopped")


FIGURES = [0.3, 0.2, 0.6, 0.5, 0.4, 0.1]


def until(number: int, figures: list[float]) -> Callable[[], float]:
    """Validation that fails at its look of this number."""
    given = iter(figures)
    count = 0

    def look() -> float:
        nonlocal count
        count += 1
        return fail() if count == number else next(given)

    return look


@pytest.mark.parametrize("stopped_at", [1, 2, 4, 6])
def test_an_interrupted_run_ends_as_one_that_never_was(tmp_path: Path, stopped_at: int) -> None:
    settings = TrainingSettings(epochs=9, validate_every=1, patience=3)
    trainer, batches = parts()
    whole = fit(trainer, batches, settings, validate=until(99, FIGURES))

    def keep() -> Checkpoint:
        return Checkpoint(tmp_path / "run", "the same", every_seconds=0.0)

    stopped, _ = parts()
    with pytest.raises(RuntimeError, match="stopped"):
        fit(stopped, batches, settings, validate=until(stopped_at, FIGURES), checkpoint=keep())
    resumed, _ = parts()
    ear = Ear()
    rest = until(99, FIGURES[stopped_at - 1 :])
    run = fit(resumed, batches, settings, validate=rest, checkpoint=keep(), listener=ear)
    assert ear.heard[0] == ("advance", 10 * stopped_at)
    assert (run.best_epoch, run.best_mrr, run.waited) == (3, 0.6, 3)
    timings = {"seconds": 0, "queries_per_second": 0}
    assert [x | timings for x in run.log] == [x | timings for x in whole.log]
    for name, value in trainer.state().items():
        assert resumed.state()[name].equal(value), name


def test_a_finished_run_is_not_gone_on_with(tmp_path: Path) -> None:
    settings = TrainingSettings(epochs=3)
    trainer, batches = parts()
    fit(trainer, batches, settings, checkpoint=Checkpoint(tmp_path / "run", "it", every_seconds=0))
    again, _ = parts()
    run = fit(again, batches, settings, checkpoint=Checkpoint(tmp_path / "run", "it"))
    assert run.epochs == 3
    assert again.model.entities.equal(trainer.model.entities)


class StopAt(Ear):
    """A listener that stops a run, by what it is given, after a step counted from 1."""

    def __init__(self, step: int, stop: Callable[[], object]) -> None:
        super().__init__()
        self._left = step + 1  # It first hears how far the run had come.
        self._stop = stop

    def advance(self, steps: int) -> None:
        super().advance(steps)
        self._left -= 1
        if not self._left:
            self._stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("encoder", ["complex", "gru"])
@pytest.mark.parametrize("step", [1, 3, 4, 8])
def test_an_interrupt_keeps_the_run_within_an_epoch(
    tmp_path: Path, step: int, encoder: EncoderName, number: int
) -> None:
    settings = TrainingSettings(epochs=3)
    trainer, batches = parts(encoder)
    whole = fit(trainer, batches, settings)

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    stopped, _ = parts(encoder)
    before = signal.signal(number, end)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(
                stopped,
                batches,
                settings,
                checkpoint=Checkpoint(tmp_path / "run", "it", every_seconds=1e6),
                listener=StopAt(step, lambda: signal.raise_signal(number)),
            )
        assert signal.getsignal(number) is end
    finally:
        signal.signal(number, before)
    resumed, _ = parts(encoder)
    ear = Ear()
    kept = Checkpoint(tmp_path / "run", "it")
    run = fit(resumed, batches, settings, checkpoint=kept, listener=ear)
    assert ear.heard[0] == ("advance", sum(([4, 4, 2] * 3)[:step]))
    timings = {"seconds": 0, "queries_per_second": 0}
    assert [x | timings for x in run.log] == [x | timings for x in whole.log]
    for name, value in trainer.state().items():
        assert resumed.state()[name].equal(value), name


@pytest.mark.parametrize("step", [1, 2, 5])
def test_a_run_that_dies_goes_on_from_the_last_step_that_was_kept(
    tmp_path: Path, step: int
) -> None:
    settings = TrainingSettings(epochs=2)
    trainer, batches = parts()
    fit(trainer, batches, settings)
    stopped, _ = parts()
    kept = Checkpoint(tmp_path / "run", "it", every_seconds=0)
    with pytest.raises(RuntimeError):
        fit(stopped, batches, settings, checkpoint=kept, listener=StopAt(step, fail))
    resumed, _ = parts()
    fit(resumed, batches, settings, checkpoint=kept)
    for name, value in trainer.state().items():
        assert resumed.state()[name].equal(value), name


@pytest.mark.parametrize("saved_on", ["cpu", "cuda"])
@pytest.mark.parametrize("step", [2, 4])
def test_a_run_goes_on_on_another_device_and_says_so(
    tmp_path: Path, step: int, saved_on: str
) -> None:
    """What a GPU's run has beside the tensors of all runs is the state of its generator."""
    settings = TrainingSettings(epochs=2)
    trainer, batches = parts()
    fit(trainer, batches, settings)
    stopped, _ = parts()
    kept = Checkpoint(tmp_path / "run", "it", every_seconds=0)
    with pytest.raises(RuntimeError):
        fit(stopped, batches, settings, checkpoint=kept, listener=StopAt(step, fail))
    saved = kept.load()
    assert saved is not None
    state = dict(saved.state) | ({OF_GPU: torch.zeros(16)} if saved_on == "cuda" else {})
    kept.save(state, saved.best, saved.run)
    resumed, _ = parts()
    ear = Ear()
    fit(resumed, batches, settings, checkpoint=kept, listener=ear)
    told = [x for name, x in ear.heard if name == "tell" and "was saved on a GPU" in str(x)]
    assert len(told) == (saved_on == "cuda")
    for name, value in trainer.state().items():
        assert resumed.state()[name].equal(value), name


def test_a_checkpoint_that_does_not_fit_the_model_is_told(tmp_path: Path) -> None:
    settings = TrainingSettings(epochs=1)
    trainer, batches = parts()
    fit(trainer, batches, settings, checkpoint=Checkpoint(tmp_path / "run", "it", every_seconds=0))
    other, _ = parts("gru")
    with pytest.raises(DataError, match=r"damaged.*not those of this model"):
        fit(other, batches, settings, checkpoint=Checkpoint(tmp_path / "run", "it"))


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_batch(tmp_path: Path) -> None:
    trainer, batches = parts()
    first = next(iter(batches.epoch(1)))
    trainer.model.entities[first.entities[0]] = float("nan")
    before = trainer.model.entities.clone()
    kept = Checkpoint(tmp_path / "run.safetensors", "it", every_seconds=0)
    with pytest.raises(TrainingError) as caught:
        fit(trainer, batches, TrainingSettings(epochs=1), checkpoint=kept)
    saved = tmp_path / "run.batch.safetensors"
    assert "epoch 1, step 1: the loss term 'task' is nan" in str(caught.value)
    assert f"The batch and its rows are in {saved}. Lower training.learning_rate" in str(
        caught.value
    )
    tensors = load_file(saved)
    assert tensors["entities"].equal(first.entities)
    assert tensors["heads"].equal(first.heads)
    assert tensors["entity_rows"].nan_to_num(7).equal(before[first.entities].nan_to_num(7))
    assert trainer.model.entities.nan_to_num(7).equal(before.nan_to_num(7))


def test_a_step_too_large_is_told_though_no_loss_shows_it() -> None:
    trainer, batches = parts(learning_rate=1e38)
    with pytest.raises(TrainingError, match=r"is (not finite|nan|inf)"):
        fit(trainer, batches, TrainingSettings(epochs=1))
