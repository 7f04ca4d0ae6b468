"""What a run needs is said beforehand, and one that cannot fit is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kgraft.errors import KgraftError
from kgraft.linking.collection import Collection
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline import embeddings, fit_target
from kgraft.pipeline.estimate import Estimate, estimate
from kgraft.pipeline.pretrain import pretraining_task
from kgraft.pipeline.retrain import retraining_context
from kgraft.pipeline.train import train, training_context
from kgraft.settings import (
    ModelSettings,
    OptimizerName,
    RetrainSettings,
    TrainingSettings,
    TrainSettings,
)
from kgraft.system import memory

GIB = 2**30


def test_seconds_by_hand() -> None:
    found = Estimate(
        parameters=1,
        facts=1,
        memory=1,
        available=None,
        steps=100,
        seconds_per_step=0.5,
        validation_seconds=3.0,
        validations=2,
        stages={"rules": 3.5, "calibration": 0.5},
    )
    assert found.training_seconds == 56.0
    assert found.seconds == 60.0


def test_it_counts_what_the_run_will_do(
    generated: Collection, teacher: TrainedModel, fast: TrainSettings, fast_student: RetrainSettings
) -> None:
    for task in (
        training_context(generated, fast).task,
        pretraining_task(generated, fast),
        retraining_context(generated, teacher, fast_student).task,
    ):
        training, sampler = task.settings.training, task.sampler()
        found = estimate(task)
        epochs = training.epochs_of(sampler.n_steps)
        assert found.steps == epochs * sampler.n_steps
        assert found.validations == -(-epochs // training.validate_every)
        assert found.facts == len(sampler.facts)
        assert found.parameters == task.model.n_parameters
        assert found.seconds_per_step > 0
        assert found.validation_seconds > 0


def test_without_validation_facts_there_are_no_looks(
    generated: Collection, fast: TrainSettings
) -> None:
    own = generated.graphs["mine"]
    graphs = {**generated.graphs, "mine": replace(own, valid=own.valid[:0])}
    found = estimate(training_context(replace(generated, graphs=graphs), fast).task)
    assert (found.validations, found.validation_seconds) == (0, 0.0)


def test_a_run_of_one_step_is_measured(generated: Collection, fast: TrainSettings) -> None:
    training = TrainingSettings(epochs=1, batch_size=100_000, negatives=4)
    settings = fast.model_copy(update={"training": training})
    found = estimate(training_context(generated, settings).task)
    assert found.steps == 1
    assert found.seconds_per_step > 0


def test_every_stage_is_estimated_and_nothing_is_mined(
    generated: Collection,
    teacher: TrainedModel,
    fast_student: RetrainSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fit_target, "mine_rules", lambda *_, **__: pytest.fail("rules were mined"))
    context = retraining_context(generated, teacher, fast_student)
    found = estimate(context.task, context)
    stages = ["rules", "rule weights", "pseudo-facts", "ensemble", "calibration"]
    assert list(found.stages) == stages
    assert all(seconds > 0 for seconds in found.stages.values())
    assert found.seconds == pytest.approx(found.training_seconds + sum(found.stages.values()))
    limited = fast_student.model_copy(
        update={"rules": fast_student.rules.model_copy(update={"seconds": 1e-9})}
    )
    context = retraining_context(generated, teacher, limited)
    assert estimate(context.task, context).stages["rules"] == 1e-9


def test_memory_by_hand() -> None:
    settings = TrainSettings(model=ModelSettings(width=10))
    # Rows, squares and the best state, each 4 bytes a number.
    assert memory.bytes_of_run(settings, 100, 5, 0) == 3 * 4 * 110 * 10
    assert memory.bytes_of_run(settings, 100, 5, 7) == 3 * 4 * 110 * 10 + 7 * memory.OF_A_FACT
    narrow = TrainSettings(model=ModelSettings(width=10, tables="bfloat16"))
    # Rows and the best state 2 bytes a number, squares 4 as ever.
    # 100 entities in half the room, 5 relations and their inverses as ever.
    assert memory.bytes_of_run(narrow, 100, 5, 0) == (2 * 2 + 4) * 100 * 10 + 3 * 4 * 10 * 10


@pytest.mark.parametrize(("optimizer", "tables"), [("rowwise_adagrad", 2), ("adam", 4)])
def test_memory_depends_on_what_the_optimizer_remembers(
    optimizer: OptimizerName, tables: int
) -> None:
    training = TrainingSettings(optimizer=optimizer)
    settings = TrainSettings(model=ModelSettings(width=10), training=training)
    assert memory.bytes_of_run(settings, 100, 5, 0) == tables * 4 * 110 * 10


def test_what_does_not_fit_is_refused_before_a_table_is_made(
    generated: Collection, fast: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 1000)
    monkeypatch.setattr(
        embeddings.KgeModel, "create", lambda *_, **__: pytest.fail("a table was made")
    )
    with pytest.raises(KgraftError, match=r"memory for 19\d entities.* Lower model\.width"):
        train(generated, fast)


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A container's directory, with nothing in it."""
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    return tmp_path


def test_a_containers_limit_counts(group: Path) -> None:
    (group / "memory.max").write_text("5000\n")
    (group / "memory.current").write_text("4500\n")
    (group / "memory.stat").write_text("anon 1\ninactive_file 300\n")
    assert memory.available() == 800
    (group / "memory.current").write_text("9000\n")
    assert memory.available() == 0
    (group / "memory.max").write_text("max\n")
    assert memory.available() > 5000


def test_without_a_limit_the_machine_says(group: Path) -> None:
    assert memory.available() > 0
