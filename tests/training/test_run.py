"""Whole runs: the same seed gives the same numbers, and an interruption changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from kgraft.config import DistillationSettings, RetrainSettings, TrainSettings
from kgraft.linking.collection import Collection
from kgraft.model.trained import TrainedModel
from kgraft.progress import Silence
from kgraft.training import run as training_run
from kgraft.training.checkpoint import Checkpoint
from kgraft.training.pretrain import pretrain
from kgraft.training.retrain import retrain
from kgraft.training.run import Watching
from kgraft.training.train import train

Run = Callable[[int, Watching], TrainedModel]
"""Trains with a seed."""

KINDS = ["single", "joint", "teacher", "student"]


@pytest.fixture(params=KINDS, scope="module")
def run(
    request: pytest.FixtureRequest,
    generated: Collection,
    teacher: TrainedModel,
    fast: TrainSettings,
    fast_student: RetrainSettings,
) -> Run:
    """Each way to train, for 5 epochs."""

    def start(seed: int, watching: Watching) -> TrainedModel:
        changes = {"training": fast.training.model_copy(update={"seed": seed, "epochs": 5})}
        settings = fast.model_copy(update=changes)
        match request.param:
            case "single" | "joint":
                alone = request.param == "single"
                return train(generated, settings, alone=alone, watching=watching)
            case "teacher":
                return pretrain(generated, settings, watching=watching)
        settings = fast_student.model_copy(update=changes)
        return retrain(generated, teacher, settings, watching=watching)

    start.__name__ = request.param
    return start


@pytest.fixture(scope="module")
def whole(run: Run) -> TrainedModel:
    """The run of seed 0, never interrupted."""
    return run(0, Watching())


def log_of(model: TrainedModel) -> list[dict[str, float]]:
    timings = ("seconds", "queries_per_second")
    return [{name: x for name, x in entry.items() if name not in timings} for entry in model.log]


def assert_same(one: TrainedModel, other: TrainedModel) -> None:
    assert log_of(one) == log_of(other)
    assert one.metrics == other.metrics
    for name, value in one.kge.tensors().items():
        assert other.kge.tensors()[name].equal(value), name


def test_the_seed_decides_all_numbers(run: Run, whole: TrainedModel) -> None:
    assert_same(whole, run(0, Watching()))
    other = run(1, Watching())
    assert log_of(whole) != log_of(other)
    assert not whole.kge.entities.equal(other.kge.entities)


class Stop(Silence):
    """Interrupts a run when it tells of an epoch."""

    def __init__(self, epoch: int) -> None:
        self._start = f"epoch {epoch}:"

    def tell(self, text: str) -> None:
        if text.startswith(self._start):
            raise KeyboardInterrupt


@pytest.fixture
def always_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a run after every epoch."""
    monkeypatch.setattr(training_run, "Checkpoint", partial(Checkpoint, every_seconds=0.0))


@pytest.mark.usefixtures("always_kept")
@pytest.mark.parametrize("epoch", [2, 4])
def test_an_interrupted_run_ends_in_the_same_weights_and_log(
    run: Run, whole: TrainedModel, tmp_path: Path, epoch: int
) -> None:
    kept = tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt):
        run(0, Watching(Stop(epoch), kept))
    assert kept.exists()
    assert_same(run(0, Watching(checkpoint=kept)), whole)


@pytest.mark.usefixtures("always_kept")
def test_the_checkpoint_of_another_seed_is_not_gone_on_with(
    run: Run, whole: TrainedModel, tmp_path: Path
) -> None:
    kept = tmp_path / "run.safetensors"
    run(1, Watching(checkpoint=kept))
    assert_same(run(0, Watching(checkpoint=kept)), whole)


@pytest.mark.usefixtures("always_kept")
def test_a_damaged_checkpoint_is_not_gone_on_with(
    run: Run, whole: TrainedModel, tmp_path: Path
) -> None:
    kept = tmp_path / "run.safetensors"
    run(0, Watching(checkpoint=kept))
    kept.write_bytes(kept.read_bytes()[:-100])
    assert_same(run(0, Watching(checkpoint=kept)), whole)


@pytest.mark.usefixtures("always_kept")
def test_a_student_of_another_teacher_is_not_gone_on_with(
    generated: Collection,
    teacher: TrainedModel,
    fast: TrainSettings,
    fast_student: RetrainSettings,
    tmp_path: Path,
) -> None:
    changes = {"training": fast.training.model_copy(update={"seed": 1, "epochs": 1})}
    another = pretrain(generated, fast.model_copy(update=changes))
    # Neither the first weights nor the settings tell the two students apart.
    settings = fast_student.model_copy(
        update={
            "training": fast.training.model_copy(update={"epochs": 3}),
            "distillation": DistillationSettings(warm_start=False),
        }
    )
    kept = tmp_path / "run.safetensors"
    retrain(generated, another, settings, watching=Watching(checkpoint=kept))
    resumed = retrain(generated, teacher, settings, watching=Watching(checkpoint=kept))
    assert_same(resumed, retrain(generated, teacher, settings))
