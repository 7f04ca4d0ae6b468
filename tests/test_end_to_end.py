"""The whole way on a generated collection: knowledge of two graphs improves a third."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kgraft.evaluation.evaluate import evaluate
from kgraft.inference.predict import predict
from kgraft.linking.collection import Collection
from kgraft.linking.linked_subgraph import SubgraphMode
from kgraft.model.directory import load_model, save_model
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.pretrain import pretrain
from kgraft.pipeline.retrain import retrain
from kgraft.pipeline.train import train
from kgraft.settings import (
    EncoderName,
    ModelSettings,
    RetrainSettings,
    SubgraphSettings,
    TrainSettings,
)

pytestmark = pytest.mark.slow

LEVELS = ("feature", "network", "prediction")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_student_beats_its_target_alone(
    generate: Callable[[int], Collection],
    fast: TrainSettings,
    fast_student: RetrainSettings,
    seed: int,
) -> None:
    collection = generate(seed)
    alone = evaluate(train(collection, fast, alone=True), collection)
    student = evaluate(retrain(collection, pretrain(collection, fast), fast_student), collection)
    assert student.mrr() > alone.mrr() + 0.3
    # Facts that no other graph states cannot be copied; they are answered better all the same.
    assert 30 < int((~student.covered).sum()) < len(student.covered) - 30
    assert student.mrr(facts="uncovered") > alone.mrr(facts="uncovered") + 0.1


def test_a_teacher_answers_for_a_target_that_it_has_never_seen(
    generated: Collection, teacher: TrainedModel, student: TrainedModel
) -> None:
    asked = evaluate(teacher, generated)
    assert asked.mrr(facts="covered") > 0.8
    assert evaluate(student, generated).mrr() > asked.mrr()


def test_all_levels_of_distillation_are_logged_and_finite(student: TrainedModel) -> None:
    assert len(student.log) == 12
    for entry in student.log:
        assert all(np.isfinite(entry[level]) and entry[level] >= 0 for level in LEVELS)


@pytest.mark.parametrize("width", [8, 64])
def test_a_student_may_be_smaller_or_larger_than_its_teacher(
    generated: Collection,
    teacher: TrainedModel,
    fast: TrainSettings,
    fast_student: RetrainSettings,
    width: int,
) -> None:
    model = fast.model.model_copy(update={"width": width})
    student = retrain(generated, teacher, fast_student.model_copy(update={"model": model}))
    assert student.kge.entities.shape[1] == width
    assert all(np.isfinite(student.log[-1][level]) for level in LEVELS)
    alone = train(generated, fast.model_copy(update={"model": model}), alone=True)
    assert evaluate(student, generated).mrr() > evaluate(alone, generated).mrr() + 0.1


def with_subgraph(
    generated: Collection, teacher: TrainedModel, settings: RetrainSettings, **values: object
) -> TrainedModel:
    """Train a student for two epochs on some subgraph."""
    changes = {
        "subgraph": SubgraphSettings.model_validate(values),
        "training": settings.training.model_copy(update={"epochs": 2}),
    }
    return retrain(generated, teacher, settings.model_copy(update=changes))


def test_each_subgraph_mode_runs_and_takes_more_than_the_one_before(
    generated: Collection, teacher: TrainedModel, fast_student: RetrainSettings
) -> None:
    modes: tuple[SubgraphMode, ...] = ("induced", "incident", "k_hop")
    sizes = []
    for mode in modes:
        student = with_subgraph(generated, teacher, fast_student, mode=mode, hops=3)
        assert all(np.isfinite(student.log[-1][level]) for level in LEVELS)
        sizes.append(len(student.graph.triples))
    own = len(generated.graphs["mine"].train)
    assert own < sizes[0] < sizes[1] < sizes[2] <= own + len(teacher.graph.triples)


@pytest.mark.parametrize("mode", ["induced", "incident", "k_hop"])
def test_the_targets_entities_have_vectors_or_all_have(
    generated: Collection, teacher: TrainedModel, fast_student: RetrainSettings, mode: SubgraphMode
) -> None:
    for vectors in ("target", "all"):
        student = with_subgraph(generated, teacher, fast_student, mode=mode, vectors=vectors)
        assert all(np.isfinite(student.log[-1][level]) for level in LEVELS)
        own = len(generated.graphs["mine"].entities)
        assert student.kge.n_entities == (student.graph.n_entities if vectors == "all" else own)
        assert (student.graph.n_entities > own) == (mode != "induced")


@pytest.mark.parametrize("budget", [0, 100])
def test_a_budget_bounds_the_background_facts(
    generated: Collection, teacher: TrainedModel, fast_student: RetrainSettings, budget: int
) -> None:
    student = with_subgraph(generated, teacher, fast_student, mode="k_hop", budget=budget)
    assert len(student.graph.triples) == len(generated.graphs["mine"].train) + budget


def test_models_go_by_way_of_their_directories(
    generated: Collection,
    teacher: TrainedModel,
    student: TrainedModel,
    fast_student: RetrainSettings,
    tmp_path: Path,
) -> None:
    save_model(teacher, tmp_path / "teacher")
    again = retrain(generated, load_model(tmp_path / "teacher"), fast_student)
    assert again.kge.entities.equal(student.kge.entities)
    save_model(again, tmp_path / "student")
    loaded = load_model(tmp_path / "student")
    assert evaluate(loaded, generated).rows() == evaluate(student, generated).rows()


def test_a_student_answers_in_words(generated: Collection, student: TrainedModel) -> None:
    mine = generated.graphs["mine"]
    head, relation, tail = mine.train[0]
    found = predict(
        student,
        head=mine.entities.name(head),
        relation=mine.relations.name(relation),
        k=len(mine.entities),
    )
    assert [x.score for x in found] == sorted((x.score for x in found), reverse=True)
    (known,) = (x for x in found if x.tail == mine.entities.name(tail))
    assert "mine" in known.stated_by


@pytest.mark.parametrize(
    ("teacher_kind", "student_kind"),
    [("transformer", "complex"), ("complex", "gru"), ("rsn", "transformer"), ("gru", "gru")],
)
def test_unlike_models_teach_each_other(
    generated: Collection, fast: TrainSettings, teacher_kind: EncoderName, student_kind: EncoderName
) -> None:
    training = fast.training.model_copy(update={"epochs": 3, "min_steps": 0, "path_length": 2})
    teacher = pretrain(
        generated,
        TrainSettings(model=ModelSettings(encoder=teacher_kind, width=16), training=training),
    )
    settings = RetrainSettings(
        model=ModelSettings(encoder=student_kind, width=24), training=training
    )
    student = retrain(generated, teacher, settings)
    assert all(0 < entry[level] < np.inf for entry in student.log for level in LEVELS)
    assert retrain(generated, teacher, settings).kge.entities.equal(student.kge.entities)
