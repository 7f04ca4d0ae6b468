"""A student: what it learns from, whom it is taught by, and what stops it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kgraft.errors import DataError, UnknownNameError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.collection import Collection
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.pretrain import pretrain
from kgraft.pipeline.retrain import retrain, retraining_context
from kgraft.pipeline.train import train
from kgraft.settings import DistillationSettings, RetrainSettings, RuleSettings, TrainSettings


def test_a_student_is_for_its_target(
    generated: Collection, teacher: TrainedModel, student: TrainedModel
) -> None:
    assert (student.kind, student.target) == ("student", "mine")
    assert student.graph.sources == ("mine", "atlas", "cards")
    mine = generated.graphs["mine"]
    np.testing.assert_array_equal(student.graph.facts_of(["mine"]), mine.train)
    n_background = len(student.graph.triples) - len(mine.train)
    assert 0 < n_background < len(teacher.graph.triples)


def test_all_terms_are_logged_and_finite(student: TrainedModel) -> None:
    for entry in student.log:
        for name in ("task", "regularization", "feature", "network", "prediction", "loss"):
            assert np.isfinite(entry[name]), name
            assert entry[name] > 0, name


@pytest.mark.slow
def test_from_a_random_start_a_student_learns_to_imitate(
    generated: Collection, teacher: TrainedModel, fast_student: RetrainSettings
) -> None:
    distillation = DistillationSettings(feature=1.0, network=1.0, prediction=1.0, warm_start=False)
    settings = fast_student.model_copy(update={"distillation": distillation})
    log = retrain(generated, teacher, settings).log
    for level in ("feature", "network", "prediction"):
        assert log[-1][level] < 0.5 * log[0][level], level


@pytest.mark.slow
def test_the_teacher_stays_as_it_is(
    generated: Collection, teacher: TrainedModel, fast_student: RetrainSettings
) -> None:
    before = {name: value.clone() for name, value in teacher.kge.tensors().items()}
    training = fast_student.training.model_copy(update={"epochs": 1})
    retrain(generated, teacher, fast_student.model_copy(update={"training": training}))
    for name, value in teacher.kge.tensors().items():
        assert value.equal(before[name]), name


@pytest.mark.slow
def test_without_links_the_student_trains_alone(
    generated: Collection, teacher: TrainedModel, fast: TrainSettings, fast_student: RetrainSettings
) -> None:
    between = tuple(x for x in generated.links if x.between("atlas", "cards"))
    apart = replace(generated, links=between)
    without_rules = fast_student.model_copy(update={"rules": RuleSettings(pseudo_fact_rate=0)})
    student = retrain(apart, teacher, without_rules, allow_unlinked=True)
    alone = train(apart, fast, alone=True)
    assert student.kge.entities.equal(alone.kge.entities)
    own = alone.kge.n_relations
    assert student.kge.relations[:own].equal(alone.kge.relations[:own])
    assert "feature" not in student.log[-1]


@pytest.mark.slow
def test_rules_teach_unless_they_are_switched_off(
    generated: Collection, teacher: TrainedModel, fast_student: RetrainSettings
) -> None:
    assert "rules" in retrain(generated, teacher, fast_student).log[-1]
    for off in ({"pseudo_fact_rate": 0}, {"longest": 0}):
        settings = fast_student.model_copy(update={"rules": RuleSettings(**off)})
        assert "rules" not in retrain(generated, teacher, settings).log[-1]


def test_a_teacher_that_has_learned_the_target_is_refused(
    generated: Collection, fast: TrainSettings, fast_student: RetrainSettings
) -> None:
    teacher = pretrain(generated, fast, sources=["atlas", "mine"])
    with pytest.raises(ValueError, match="already holds the target 'mine'"):
        retrain(generated, teacher, fast_student)


@pytest.mark.slow
def test_a_teacher_can_meet_a_graph_that_came_later(
    generated: Collection, fast: TrainSettings, fast_student: RetrainSettings
) -> None:
    before = Collection("old", {"atlas": generated.graphs["atlas"]})
    teacher = pretrain(before, fast)
    student = retrain(generated, teacher, fast_student, target="cards")
    assert student.target == "cards"
    assert set(student.graph.sources) == {"cards", "atlas"}
    assert student.metrics["validation_mrr"] > 0.5


@pytest.mark.slow
def test_a_source_that_was_renumbered_since_teaches_the_same(
    generated: Collection,
    teacher: TrainedModel,
    student: TrainedModel,
    fast_student: RetrainSettings,
) -> None:
    atlas = generated.graphs["atlas"]
    order = np.random.default_rng(1).permutation(len(atlas.entities))
    place = np.argsort(order)
    renumbered = KnowledgeGraph(
        "atlas",
        type(atlas.entities)(atlas.entities.names.gather(order)),
        atlas.relations,
        place[atlas.train[:, [0, 2]]][:, [0, 0, 1]] * [1, 0, 1] + atlas.train * [0, 1, 0],
    )
    links = []
    for x in generated.links:
        pairs = x.pairs.copy()
        for end, name in enumerate((x.left, x.right)):
            if name == "atlas" and x.kind == "entity":
                pairs[:, end] = place[pairs[:, end]]
        links.append(replace(x, pairs=pairs))
    moved = replace(generated, graphs={**generated.graphs, "atlas": renumbered}, links=tuple(links))
    same = retrain(moved, teacher, fast_student)
    assert same.kge.entities.equal(student.kge.entities)


def test_an_unknown_target_is_named(
    generated: Collection, teacher: TrainedModel, fast_student: RetrainSettings
) -> None:
    with pytest.raises(UnknownNameError, match="no source is called 'globe'"):
        retrain(generated, teacher, fast_student, target="globe")


def test_without_a_usable_link_it_is_refused(
    generated: Collection, teacher: TrainedModel, fast_student: RetrainSettings
) -> None:
    between = tuple(x for x in generated.links if x.between("atlas", "cards"))
    with pytest.raises(DataError, match=r"no entity of 'mine' is linked .* --allow-unlinked"):
        retraining_context(replace(generated, links=between), teacher, fast_student)


def test_links_to_iris_that_the_teacher_does_not_know_are_told(
    generated: Collection, teacher: TrainedModel, fast_student: RetrainSettings
) -> None:
    graphs = dict(generated.graphs)
    for name in ("atlas", "cards"):
        own = graphs[name].entities.names
        iris = Vocabulary.of([f"http://e.example/{x}" for x in own])
        graphs[name] = replace(graphs[name], entities=iris)
    with pytest.raises(DataError, match=r"such as 'http://e.example/.* .names against IRIs."):
        retraining_context(replace(generated, graphs=graphs), teacher, fast_student)


def test_links_that_all_conflict_are_told(
    generated: Collection, teacher: TrainedModel, fast_student: RetrainSettings
) -> None:
    to_atlas = next(x for x in generated.links if x.joins("mine") and x.joins("atlas"))
    pairs = to_atlas.pairs[:5].copy()
    pairs[:, int(to_atlas.left == "mine")] = pairs[0, int(to_atlas.left == "mine")]
    clash = replace(to_atlas, pairs=pairs, confidence=to_atlas.confidence[:5])
    with pytest.raises(DataError, match="links to 'atlas' are left out because of conflicts"):
        retraining_context(replace(generated, links=(clash,)), teacher, fast_student)
