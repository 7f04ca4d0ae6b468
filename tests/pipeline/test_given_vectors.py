"""Teachers of given vectors: linked by name or links, and worth something to their student."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from kgraft.errors import DataError
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.texts import Texts
from kgraft.io.vectors import NamedVectors
from kgraft.linking.collection import Collection, collect
from kgraft.linking.links import Links
from kgraft.model.directory import load_model
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.given_vectors import normalised
from kgraft.pipeline.readout import beside
from kgraft.pipeline.retrain import retrain
from kgraft.pipeline.run import RunOptions
from kgraft.pipeline.train import train
from kgraft.pipeline.vector_teacher import text_teacher, vector_teacher
from kgraft.settings import ModelSettings, RetrainSettings


@pytest.fixture(scope="module")
def alone(generated: Collection) -> Collection:
    """The target of the generated collection, whose entities are clusters of 24, alone."""
    own = generated.target_graph
    return Collection("alone", {own.name: own}, target=own.name)


@pytest.fixture(scope="module")
def clusters(alone: Collection) -> TrainedModel:
    """A teacher that knows of each entity which cluster and which place in it it has, and noise."""
    return vector_teacher(_vectors(alone), "clusters", {})


def _vectors(alone: Collection, prefix: str = "mine") -> NamedVectors:
    names = alone.target_graph.entities.names
    number = names.str.split(":").list.last().cast(pl.Int64).to_numpy()
    place = 2 * np.pi * (number % 24) / 24
    known = np.eye(8)[number // 24]
    circle = np.stack([f(n * place) for n in (1, 2, 3) for f in (np.sin, np.cos)], axis=1)
    noise = 0.1 * np.random.default_rng(0).normal(size=(len(number), 3))
    rows = np.concatenate([known, circle, noise], axis=1).astype(np.float32)
    return NamedVectors(Vocabulary(names.str.replace("mine", prefix)), 5 + 3 * rows)


def _settings(fast: RetrainSettings, readout: int = 32) -> RetrainSettings:
    given = fast.model_dump(exclude_unset=True)
    return RetrainSettings.model_validate({**given, "distillation": {"readout": readout}})


def test_given_vectors_are_worth_something_and_the_student_is_saved_whole(
    alone: Collection, clusters: TrainedModel, fast_student: RetrainSettings, tmp_path: Path
) -> None:
    settings = _settings(fast_student)
    student = retrain(alone, clusters, settings)
    without = train(alone, settings.for_alone(), alone=True)
    gained, start = (x.evaluate(alone, by="vectors").mrr() for x in (student, without))
    assert gained > start + 0.05
    assert student.kge.settings.width == student.settings.model.width == 64
    student.save(tmp_path / "student")
    again = load_model(tmp_path / "student").evaluate(alone, by="vectors").mrr()
    assert again == pytest.approx(gained)


def test_a_student_is_one_alone_beside_its_read_out_so_vectors_without_meaning_cost_little(
    alone: Collection, fast_student: RetrainSettings
) -> None:
    names = alone.target_graph.entities
    noise = np.random.default_rng(1).normal(size=(len(names), 6)).astype(np.float32)
    settings = _settings(fast_student)
    student = retrain(alone, vector_teacher(NamedVectors(names, noise), "noise", {}), settings)
    without = train(alone, settings.for_alone(), alone=True)
    half = student.kge.settings.width // 2
    own = student.kge.entities[:, [*range(16), *range(half, half + 16)]]
    assert torch.equal(own, without.kge.entities)
    found = student.evaluate(alone, by="both").mrr()
    assert found > without.evaluate(alone, by="both").mrr() - 0.02


def test_no_read_out_leaves_the_width(
    alone: Collection, clusters: TrainedModel, fast_student: RetrainSettings
) -> None:
    assert retrain(alone, clusters, _settings(fast_student, 0)).kge.settings.width == 32


def test_a_resumed_run_is_the_same_run(
    alone: Collection, clusters: TrainedModel, fast_student: RetrainSettings, tmp_path: Path
) -> None:
    options = RunOptions(directory=tmp_path / "run")
    first = retrain(alone, clusters, _settings(fast_student), options=options)
    again = retrain(alone, clusters, _settings(fast_student), options=options)
    assert torch.equal(first.kge.entities, again.kge.entities)
    assert first.metrics == again.metrics
    assert (tmp_path / "run" / "readout.safetensors").exists()


def test_links_that_are_given_count_in_place_of_names(
    alone: Collection, fast_student: RetrainSettings
) -> None:
    own = alone.target_graph
    teacher = vector_teacher(_vectors(alone, "other"), "clusters", {})
    with pytest.raises(DataError, match=r"none of the \d+ entities of 'mine', .*'other:"):
        retrain(alone, teacher, _settings(fast_student))
    pairs = np.stack([np.arange(len(own.entities))] * 2, axis=1)[:100]
    links = Links("mine", "clusters", pairs, np.ones(100, dtype=np.float32))
    graphs = [own, *teacher.graph.graphs().values()]
    linked = collect(graphs, [links], target="mine", name="linked")
    student = retrain(linked, teacher, _settings(fast_student))
    assert len(student.graph.part("clusters").entities) == 100


def test_an_update_keeps_the_read_out_of_the_earlier_student(
    alone: Collection, clusters: TrainedModel, fast_student: RetrainSettings
) -> None:
    student = retrain(alone, clusters, _settings(fast_student))
    later = retrain(alone, clusters, start=student)
    assert later.kge.settings.width == student.kge.settings.width
    assert later.metrics["update"]["moved"] < 0.5


def test_texts_tell_of_what_entities_have_in_common(
    alone: Collection, fast_student: RetrainSettings
) -> None:
    names = alone.target_graph.entities
    number = names.names.str.split(":").list.last().cast(pl.Int64)
    words = pl.Series([f"cluster{n // 24} in the year {n % 24}" for n in number])
    teacher = text_teacher(Texts(names, words, None))
    similar = torch.nn.functional.normalize(teacher.kge.entities) @ teacher.kge.entities[0]
    same = torch.tensor((number // 24 == number[0] // 24).to_numpy())
    assert similar[same].mean() > similar[~same].mean() + 0.1
    assert teacher.metrics["given_vectors"]["encoders"] == ["tfidf"]


def test_vectors_that_are_all_the_same_tell_nothing() -> None:
    teacher = KgeModel(ModelSettings(width=8), torch.ones(5, 8), torch.zeros(0, 8))
    assert normalised(teacher, np.array([0, -1, 4])).equal(torch.zeros(3, 2))


def test_one_form_is_made_of_any_vectors() -> None:
    draw = torch.Generator().manual_seed(0)
    scales = torch.tensor([9.0, 5, 1, 1, 1, 1, 0, 0])
    rows = 100 + torch.randn(50, 8, generator=draw) * scales
    teacher = KgeModel(ModelSettings(width=8), rows, torch.zeros(0, 8))
    found = normalised(teacher, np.array([3, -1, *range(50)]))
    assert found.shape == (52, 6)
    assert not found[1].any()
    assert torch.equal(found[0], found[5])
    known = found[[0, *range(2, 52)]]
    assert known.square().sum(1).mean() == pytest.approx(1, abs=1e-4)
    std = found[2:].std(0)
    assert std.max() / std.min() < 4  # of directions that differ by 9 before


def test_models_side_by_side_score_the_sum() -> None:
    one, other = (
        KgeModel.create(ModelSettings(width=width, init_scale=1.0), 9, 3, seed=width)
        for width in (8, 4)
    )
    both = beside(one, other, 0.5)
    asked = torch.tensor([0, 5]), torch.tensor([1, 2])
    for side in ("tail", "head"):
        expected = one.score(*asked, side=side) + 0.5 * other.score(*asked, side=side)
        assert torch.allclose(both.score(*asked, side=side), expected, atol=1e-5)
