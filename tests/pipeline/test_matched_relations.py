"""A target whose relations have names of their own, some of them turned round."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.collection import Collection
from kgraft.model.directory import load_model
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.retrain import retrain, retraining_context
from kgraft.settings import RetrainSettings


def renamed(collection: Collection, *, turned: bool) -> Collection:
    """Give the target's relations private names, and exchange the ends of its facts if asked."""
    own = collection.target_graph
    order = [2, 1, 0] if turned else [0, 1, 2]
    private = replace(
        own,
        relations=Vocabulary.of(f"private {name}" for name in own.relations.names),
        **{split: getattr(own, split)[:, order] for split in ("train", "valid", "test")},
    )
    links = tuple(x for x in collection.links if x.kind == "entity" or not x.joins(own.name))
    return replace(collection, graphs={**collection.graphs, own.name: private}, links=links)


@pytest.mark.parametrize("turned", [False, True])
def test_coverage_is_that_of_shared_names(
    generated: Collection, teacher: TrainedModel, turned: bool
) -> None:
    expected = teacher.evaluate(generated, target="mine")
    found = teacher.evaluate(renamed(generated, turned=turned), target="mine")
    assert found.covered.mean() == pytest.approx(expected.covered.mean(), abs=0.02)
    # The teacher answers by its own rows of the relations, the other way round where they are.
    sides = {"tail": "head", "head": "tail"} if turned else {"tail": "tail", "head": "head"}
    for side, other in sides.items():
        assert found.mrr(side) == pytest.approx(expected.mrr(other), abs=0.01)


def test_it_can_be_switched_off(generated: Collection, teacher: TrainedModel) -> None:
    off = RetrainSettings.model_validate({"relations": {"use": False}})
    context = retraining_context(renamed(generated, turned=False), teacher, off)
    shared = np.intersect1d(
        context.graph.part("mine").relation_rows, context.graph.part("atlas").relation_rows
    )
    assert not len(shared)


@pytest.mark.parametrize("turned", [False, True])
def test_a_student_starts_from_the_teachers_relations(
    generated: Collection, teacher: TrainedModel, fast_student: RetrainSettings, turned: bool
) -> None:
    made = renamed(generated, turned=turned)
    context = retraining_context(made, teacher, fast_student)
    rows = context.graph.part("mine").relation_rows
    n_own = teacher.kge.n_relations
    theirs = teacher.graph.part("atlas").relation_rows_of(generated.target_graph.relations.names)
    matched = context.task.model.relations[rows].equal(
        teacher.kge.relations[theirs + n_own if turned else theirs]
    )
    assert matched


@pytest.mark.slow
def test_a_student_with_turned_relations_is_as_good_and_can_be_kept(
    generated: Collection,
    teacher: TrainedModel,
    student: TrainedModel,
    fast_student: RetrainSettings,
    tmp_path,
) -> None:
    made = renamed(generated, turned=True)
    found = retrain(made, teacher, fast_student)
    expected = student.evaluate(generated).mrr("both")
    assert found.evaluate(made).mrr("both") > expected - 0.05
    found.save(tmp_path / "student")
    loaded = load_model(tmp_path / "student")
    fact = made.target_graph.train[0]
    head, tail = (made.target_graph.entities.name(int(x)) for x in fact[[0, 2]])
    relation = made.target_graph.relations.name(int(fact[1]))
    before, after = (x.explain(head, relation, tail) for x in (found, loaded))
    assert repr(before) == repr(after)
