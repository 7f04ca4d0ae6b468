"""Models whose entities are kept in bfloat16, from training to exports."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import kgraft
from kgraft.exporting.selection import merge_prior
from kgraft.linking.collection import Collection
from kgraft.model import kge as kge_module
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline import run as run_module
from kgraft.pipeline.run import RunOptions
from kgraft.settings import ModelSettings, RetrainSettings, TrainSettings
from kgraft.toml_settings import read_settings
from kgraft.training.checkpoint import Checkpoint

pytestmark = pytest.mark.slow

NARROW = {"model.tables": "bfloat16", "model.width": 32, "training.epochs": 4}


@pytest.fixture(scope="module")
def world() -> Collection:
    return kgraft.read_collection("world")


@pytest.fixture(scope="module")
def teacher(world: Collection) -> TrainedModel:
    return kgraft.pretrain(world, read_settings(TrainSettings, None, NARROW))


@pytest.fixture(scope="module")
def student(world: Collection, teacher: TrainedModel) -> TrainedModel:
    settings = read_settings(RetrainSettings, None, {**NARROW, "training.min_steps": 0})
    return kgraft.retrain(world, teacher, settings)


def test_a_student_is_as_good_as_one_in_float32(
    world: Collection, teacher: TrainedModel, student: TrainedModel
) -> None:
    wide = {**NARROW, "model.tables": "float32", "training.min_steps": 0}
    other = kgraft.retrain(world, teacher, read_settings(RetrainSettings, None, wide))
    assert student.kge.entities.dtype == teacher.kge.entities.dtype == torch.bfloat16
    assert other.kge.entities.dtype == torch.float32
    mrr, expected = (x.evaluate(world, by="vectors").mrr("tail") for x in (student, other))
    assert expected > 0.3
    assert mrr == pytest.approx(expected, abs=0.05)


def test_the_same_seed_gives_the_same_rows(world: Collection, teacher: TrainedModel) -> None:
    again = kgraft.pretrain(world, read_settings(TrainSettings, None, NARROW))
    assert again.kge.entities.equal(teacher.kge.entities)


def test_a_directory_is_smaller_and_gives_the_same_scores(
    student: TrainedModel, tmp_path: Path
) -> None:
    student.save(tmp_path / "student")
    loaded = kgraft.load_model(tmp_path / "student")
    assert loaded.kge.entities.equal(student.kge.entities)
    size = (tmp_path / "student" / "weights.safetensors").stat().st_size
    assert student.kge.prior is not None
    prior = sum(x.nbytes for x in student.kge.prior.tensors().values())
    rows = student.kge.n_entities
    assert size < 3 * rows * 32 + 4 * (2 * student.kge.n_relations * 64) + prior + 10_000
    asked = {"head": "Luxembourg", "relation": "languages"}
    assert loaded.predict(**asked) == student.predict(**asked)
    assert loaded.similar("Luxembourg")[0].similarity <= 1.0
    assert loaded.explain("Luxembourg", "languages", "French").candidates == 1261


def test_exported_rows_are_float32(student: TrainedModel, tmp_path: Path) -> None:
    kgraft.export(student, tmp_path / "vectors.npz")
    with np.load(tmp_path / "vectors.npz") as exported:
        vectors = exported["entities"]
    assert vectors.dtype == np.float32
    assert {*map(bytes, vectors)} <= {*map(bytes, merge_prior(student.kge).entities.numpy())}


def test_a_run_is_kept_while_it_goes_on(
    world: Collection,
    teacher: TrainedModel,
    student: TrainedModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_module, "Checkpoint", partial(Checkpoint, every_seconds=0.0))
    settings = read_settings(RetrainSettings, None, {**NARROW, "training.min_steps": 0})
    again = kgraft.retrain(world, teacher, settings, options=RunOptions(directory=tmp_path / "run"))
    assert again.kge.entities.equal(student.kge.entities)
    assert (tmp_path / "run").exists()


def test_an_update_goes_on_from_such_rows(
    world: Collection, teacher: TrainedModel, student: TrainedModel
) -> None:
    few = {"training.epochs": 1, "training.min_steps": 0}
    settings = read_settings(RetrainSettings, None, {**NARROW, **few})
    updated = kgraft.retrain(world, teacher, settings, start=student)
    assert updated.kge.entities.dtype == torch.bfloat16


@pytest.mark.parametrize("most", ["BLOCK_ROWS", "BLOCK_SCORES"])
def test_scores_do_not_depend_on_how_many_rows_are_scored_at_once(
    most: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = KgeModel.create(ModelSettings(width=8, tables="bfloat16", init_scale=1.0), 11, 2)
    asked = torch.tensor([3, 10]), torch.tensor([0, 1])
    whole = model.score(*asked, side="tail")
    wide = KgeModel(ModelSettings(width=8), model.vectors(), model.relations)
    torch.testing.assert_close(whole, wide.score(*asked, side="tail"))
    monkeypatch.setattr(kge_module, most, 4)
    torch.testing.assert_close(model.score(*asked, side="tail"), whole)
    some = torch.tensor([9, 2, 4, 7, 1])
    scores = model.score(*asked, side="head", candidates=some)
    torch.testing.assert_close(scores, model.score(*asked, side="head")[:, some])


def test_tables_of_another_type_than_the_settings_are_refused() -> None:
    wide = KgeModel.create(ModelSettings(width=4), 3, 1)
    narrow = ModelSettings(width=4, tables="bfloat16")
    with pytest.raises(ValueError, match=r"float32 does not have the type .* bfloat16"):
        KgeModel(narrow, wide.entities, wide.relations)
