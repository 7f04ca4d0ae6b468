"""Whole runs: the same seed gives the same numbers, and an interruption changes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from kgraft.errors import DataError
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline import run as run_module
from kgraft.pipeline.embeddings import EmbeddingTask, make_sampler, new_model
from kgraft.pipeline.pretrain import pretrain
from kgraft.pipeline.retrain import retrain
from kgraft.pipeline.run import RunOptions
from kgraft.pipeline.train import train
from kgraft.settings import DistillationSettings, RetrainSettings, TrainingSettings, TrainSettings
from kgraft.system.progress import Silence
from kgraft.training import checkpoint
from kgraft.training.checkpoint import Checkpoint

Run = Callable[[int, RunOptions], TrainedModel]
"""Trains with a seed."""

KINDS = ["single", "joint", "teacher", pytest.param("student", marks=pytest.mark.slow)]


@pytest.fixture(params=KINDS, scope="module")
def run(
    request: pytest.FixtureRequest,
    generated: Collection,
    teacher: TrainedModel,
    fast: TrainSettings,
    fast_student: RetrainSettings,
) -> Run:
    """Each way to train, for 5 epochs."""

    def start(seed: int, options: RunOptions) -> TrainedModel:
        changes = {"training": fast.training.model_copy(update={"seed": seed, "epochs": 5})}
        settings = fast.model_copy(update=changes)
        match request.param:
            case "single" | "joint":
                alone = request.param == "single"
                return train(generated, settings, alone=alone, options=options)
            case "teacher":
                return pretrain(generated, settings, options=options)
        settings = fast_student.model_copy(update=changes)
        return retrain(generated, teacher, settings, options=options)

    start.__name__ = request.param
    return start


@pytest.fixture(scope="module")
def whole(run: Run) -> TrainedModel:
    """The run of seed 0, never interrupted."""
    return run(0, RunOptions())


def log_of(model: TrainedModel) -> list[dict[str, float]]:
    timings = ("seconds", "queries_per_second")
    return [{name: x for name, x in entry.items() if name not in timings} for entry in model.log]


def assert_same(one: TrainedModel, other: TrainedModel) -> None:
    assert log_of(one) == log_of(other)
    assert one.metrics == other.metrics
    for name, value in one.kge.tensors().items():
        assert other.kge.tensors()[name].equal(value), name


def test_the_seed_decides_all_numbers(run: Run, whole: TrainedModel) -> None:
    assert_same(whole, run(0, RunOptions()))
    other = run(1, RunOptions())
    assert log_of(whole) != log_of(other)
    assert not whole.kge.entities.equal(other.kge.entities)


@pytest.mark.parametrize("steps", [1, 3])
def test_facts_of_no_weight_are_not_learned(tiny: Collection, steps: int) -> None:
    joint = join(list(tiny.graphs.values()), tiny.links)
    training = TrainingSettings(path_length=steps, batch_size=4, negatives=50)
    # Not to be learned are bob sees Z, the last of big's facts, and ann likes cay, its first.
    weights = np.array([1.0, 2.0, 0.5, 0.0, 1.0, 0.0])
    batches = make_sampler(joint, training, n_entities=5, weights=weights)
    facts = [[0, 0, 1], [1, 1, 2], [2, 0, 3]]
    assert batches.facts.tolist() == facts
    seen, counted = set[int](), dict[tuple[int, ...], float]()
    for batch in batches.epoch(1):
        seen |= {*batch.entities.tolist()}
        asked = (
            batch.entities[batch.heads],
            batch.relations[batch.relation_positions],
            batch.entities[batch.tails],
        )
        begins = [x[::steps].tolist() for x in (*asked, batch.weights)]
        counted |= {tuple(query): weight for *query, weight in zip(*begins, strict=True)}
    assert seen == {0, 1, 2, 3, 4}
    queries = [(h, r, t) for h, r, t in facts] + [(t, r + 3, h) for h, r, t in facts]
    assert counted == dict(zip(queries, [1.0, 2.0, 0.5] * 2, strict=True))


def test_all_facts_are_learned_unless_weights_say_otherwise(tiny: Collection) -> None:
    joint = join(list(tiny.graphs.values()), tiny.links)
    batches = make_sampler(joint, TrainingSettings(), n_entities=joint.n_entities)
    distinct = np.unique(joint.triples, axis=0)
    assert batches.facts.tolist() == distinct.tolist()
    assert {x for batch in batches.epoch(1) for x in batch.weights.tolist()} == {1.0}


def test_without_a_fact_of_any_weight_there_is_nothing_to_train_on(
    tiny: Collection, fast: TrainSettings
) -> None:
    joint = join(list(tiny.graphs.values()), tiny.links)
    model = new_model(joint, fast)
    with pytest.raises(DataError, match="no fact to train on in mine, big"):
        EmbeddingTask("student", joint, fast, model, [], weights=np.zeros(6))


class Stop(Silence):
    """Interrupts a run when it tells of an epoch."""

    def __init__(self, epoch: int) -> None:
        self._start = f"epoch {epoch}:"

    def tell(self, text: str) -> None:
        if text.startswith(self._start):
            raise KeyboardInterrupt


@pytest.fixture
def always_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a run after every step."""
    monkeypatch.setattr(run_module, "Checkpoint", partial(Checkpoint, every_seconds=0.0))
    monkeypatch.setattr(checkpoint, "TIME_SHARE", math.inf)


@pytest.mark.usefixtures("always_kept")
@pytest.mark.parametrize("epoch", [2, 4])
def test_an_interrupted_run_ends_in_the_same_weights_and_log(
    run: Run, whole: TrainedModel, tmp_path: Path, epoch: int
) -> None:
    kept = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(0, RunOptions(Stop(epoch), kept))
    assert kept.exists()
    assert_same(run(0, RunOptions(directory=kept)), whole)


@pytest.mark.usefixtures("always_kept")
def test_the_checkpoint_of_another_seed_is_not_gone_on_with(run: Run, tmp_path: Path) -> None:
    kept = tmp_path / "run"
    run(1, RunOptions(directory=kept))
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    with pytest.raises(DataError, match="another run is kept here"):
        run(0, RunOptions(directory=kept))
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before


@pytest.mark.usefixtures("always_kept")
def test_a_damaged_checkpoint_is_not_gone_on_with(run: Run, tmp_path: Path) -> None:
    kept = tmp_path / "run"
    run(0, RunOptions(directory=kept))
    for path in kept.glob("*.safetensors"):
        whole = path.read_bytes()
        path.write_bytes(whole[:-100])
        with pytest.raises(DataError, match="is damaged"):
            run(0, RunOptions(directory=kept))
        path.write_bytes(whole)


@pytest.mark.slow
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
    kept = tmp_path / "run"
    retrain(generated, another, settings, options=RunOptions(directory=kept))
    with pytest.raises(DataError, match=r"another run is kept here.*parent models"):
        retrain(generated, teacher, settings, options=RunOptions(directory=kept))
