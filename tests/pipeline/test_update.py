"""A student that goes on from an earlier one: what it begins with, and what it says has changed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from kgraft.errors import DataError, KgraftWarning
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.collection import Collection
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline import run as run_module
from kgraft.pipeline import update as update_module
from kgraft.pipeline.retrain import retrain, retraining_context
from kgraft.pipeline.run import RunOptions
from kgraft.pipeline.update import UPDATE_METRIC, Change, begin_update, settings_after
from kgraft.settings import ModelSettings, RetrainSettings
from kgraft.training.checkpoint import Checkpoint

NEW, LINKED = "mine:new", "mine:linked"
N_FACTS = 5


def short(student: TrainedModel, steps: int = 0) -> RetrainSettings:
    """Settings of an update of so many steps, or of one epoch."""
    settings = settings_after(student)
    training = settings.training.model_copy(update={"min_steps": steps, "epochs": 1})
    return settings.model_copy(update={"training": training})


@pytest.fixture(scope="module")
def grown(generated: Collection) -> Collection:
    """The collection when mine has two more entities, one of them linked, in another order.

    Of its facts the first is gone, and there are five more: three of new entities.
    """
    mine, links = generated.graphs["mine"], generated.links
    order = np.random.default_rng(0).permutation(len(mine.entities))
    place = np.argsort(order) + 1  # the new entity comes first, the linked one last
    names = [NEW, *mine.entities.names_of(order), LINKED]

    def moved(facts: np.ndarray) -> np.ndarray:
        return np.stack([place[facts[:, 0]], facts[:, 1], place[facts[:, 2]]], axis=1)

    last = len(names) - 1
    stated = {tuple(x) for x in moved(mine.train).tolist()}
    free = [x for x in ([h, 0, 9] for h in range(1, 50)) if tuple(x) not in stated][:2]
    more = np.array([[0, 1, 5], [last, 2, 6], [7, 3, last], *free])
    graph = KnowledgeGraph(
        "mine",
        Vocabulary.of(names),
        mine.relations,
        train=np.concatenate([moved(mine.train)[1:], more]),
        valid=moved(mine.valid),
    )
    unlinked = np.setdiff1d(
        np.arange(len(generated.graphs["atlas"].entities)), links[0].pairs[:, 1]
    )[0]
    moved_links = []
    for x in links:
        if x.kind == "entity" and x.left == "mine":
            pairs = np.stack([place[x.pairs[:, 0]], x.pairs[:, 1]], axis=1)
            if x.right == "atlas":
                pairs = np.concatenate([pairs, [[last, unlinked]]])
            x = replace(x, pairs=pairs, confidence=np.ones(len(pairs), dtype=np.float32))
        moved_links.append(x)
    return replace(generated, graphs={**generated.graphs, "mine": graph}, links=tuple(moved_links))


@pytest.fixture(scope="module")
def updated(grown: Collection, teacher: TrainedModel, student: TrainedModel) -> TrainedModel:
    return retrain(grown, teacher, short(student, 100), start=student)


def test_known_rows_go_on_new_ones_begin_with_the_teacher(
    grown: Collection, teacher: TrainedModel, student: TrainedModel
) -> None:
    context = retraining_context(grown, teacher, start=student)
    kge = begin_update(context, student)[0].task.model
    fresh = retraining_context(grown, teacher, settings_after(student)).task.model
    names = grown.graphs["mine"].entities
    earlier = student.graph.parts["mine"].entities
    for name in names.names.to_list()[1:-1]:
        assert kge.entities[names.row(name)].equal(student.kge.entities[earlier.row(name)])
    # What the earlier student lacks begins as it would without it; linked, with the teacher's row.
    for name in (NEW, LINKED):
        assert kge.entities[names.row(name)].equal(fresh.entities[names.row(name)])
    assert (kge.entities - teacher.kge.entities[:, None]).norm(dim=2).amin(0)[
        names.row(LINKED)
    ] == 0
    m, before = kge.n_relations, student.kge.n_relations
    row = student.graph.parts["mine"].relations.row("r3")
    assert kge.relations[3].equal(student.kge.relations[row])
    assert kge.relations[3 + m].equal(student.kge.relations[row + before])


def test_what_has_changed_is_told(updated: TrainedModel, student: TrainedModel) -> None:
    change = Change(**updated.metrics[UPDATE_METRIC])
    assert (change.facts_added, change.facts_removed) == (N_FACTS, 1)
    assert (change.entities_added, change.entities_removed) == (2, 0)
    # The linked entity brings what atlas says of it.
    assert change.background_added > 0
    assert change.background_removed == 0
    assert change.validation_mrr == updated.metrics["validation_mrr"]
    assert change.validation_mrr_before == pytest.approx(
        student.metrics["validation_mrr"], abs=0.02
    )
    names = [x.graph.parts["mine"].entities for x in (updated, student)]
    known = names[1].names.to_list()
    now = updated.kge.entities[[names[0].row(x) for x in known]]
    moved = (now - student.kge.entities).norm(dim=1) / student.kge.entities.norm(dim=1)
    moved = moved[moved > 0]
    assert (change.entities_moved, change.entities_known) == (len(moved), len(known))
    assert change.moved == pytest.approx(float(moved.quantile(0.5)), rel=1e-4)
    assert change.moved <= change.moved_most <= float(moved.max())


def test_what_is_new_is_learned(updated: TrainedModel) -> None:
    part = updated.graph.parts["mine"]
    new = part.entities.row(NEW)
    head, relation, tail = next(
        x for x in updated.graph.facts_of(["mine"]).tolist() if x[0] == part.entity_rows[new]
    )
    scores = updated.kge.score(torch.tensor([head]), torch.tensor([relation]), side="tail")[0]
    better = int((scores[: len(part.entities)] > scores[tail]).sum())
    assert better < 0.05 * len(part.entities)


def test_rules_are_kept_where_few_facts_have_changed(
    grown: Collection,
    teacher: TrainedModel,
    student: TrainedModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def begun(settings: RetrainSettings) -> bool:
        context = retraining_context(grown, teacher, settings, start=student)
        return begin_update(context, student)[0].keeps_rules

    monkeypatch.setattr(update_module, "MAX_CHANGED", 1.0)
    assert begun(short(student))
    assert not begun(short(student).model_copy(update={"rules": {"samples": 7}}))
    model = retrain(grown, teacher, short(student), start=student)
    assert student.evidence is not None
    assert model.evidence is not None
    body = ["relation", "first", "second", "third", "confidence", "weight"]
    kept, earlier = (x.evidence.rules.paths.select(body) for x in (model, student))
    assert len(kept)
    assert kept.equals(earlier)
    assert model.fact_probability is student.fact_probability
    monkeypatch.setattr(update_module, "MAX_CHANGED", 0.0)
    assert not begun(short(student))
    assert retrain(grown, teacher, short(student), start=student).evidence is not None


def test_a_small_update_moves_the_entities_with_new_facts_alone(
    generated: Collection, teacher: TrainedModel, student: TrainedModel
) -> None:
    mine = generated.graphs["mine"]
    stated = set(map(tuple, mine.triples.tolist()))
    head, relation, tail = next(x for x in ([3, 0, t] for t in range(4, 90)) if (*x,) not in stated)
    more = np.concatenate([mine.train[1:], [[head, relation, tail]]])
    changed = replace(generated, graphs={**generated.graphs, "mine": replace(mine, train=more)})
    model = retrain(changed, teacher, short(student, 40), start=student)
    part, before = (x.graph.part("mine") for x in (model, student))
    now = model.kge.entities[torch.from_numpy(part.entity_rows)]
    then = student.kge.entities[torch.from_numpy(before.entity_rows)]
    moved = (now != then).any(dim=1).nonzero().squeeze(1).tolist()
    assert set(moved) == {head, tail, *mine.train[0, [0, 2]].tolist()}
    assert model.kge.relations.equal(student.kge.relations)
    change = Change(**model.metrics[UPDATE_METRIC])
    assert (change.entities_moved, change.entities_known) == (len(moved), len(mine.entities))
    assert 0 < change.moved <= change.moved_most
    # Passes are as many as those of an update of all facts, though their steps are fewer.
    assert len(model.log) == 3


def test_an_entity_without_facts_may_be_new(
    generated: Collection, teacher: TrainedModel, student: TrainedModel
) -> None:
    mine = generated.graphs["mine"]
    more = replace(mine, entities=mine.entities.extended(["mine:silent"]))
    changed = replace(generated, graphs={**generated.graphs, "mine": more})
    model = retrain(changed, teacher, short(student), start=student)
    change = Change(**model.metrics[UPDATE_METRIC])
    assert (change.facts_added, change.entities_added) == (0, 1)


def test_nothing_new_is_told_as_nothing(
    generated: Collection, teacher: TrainedModel, student: TrainedModel
) -> None:
    again = retrain(generated, teacher, short(student), start=student)
    change = Change(**again.metrics[UPDATE_METRIC])
    assert change.facts_added == change.facts_removed == 0
    assert change.background_added == change.background_removed == 0
    assert change.entities_added == change.entities_removed == 0
    assert change.validation_mrr_before == pytest.approx(student.metrics["validation_mrr"])
    assert change.validation_mrr >= change.validation_mrr_before


def test_held_out_facts_that_the_student_was_trained_on_are_left_out(
    generated: Collection, teacher: TrainedModel, student: TrainedModel
) -> None:
    mine = generated.graphs["mine"]
    redrawn = replace(
        mine,
        train=np.concatenate([mine.valid[:3], mine.train[7:]]),
        valid=np.concatenate([mine.train[:2], mine.valid[3:]]),
        test=mine.train[2:7],
    )
    changed = replace(generated, graphs={**generated.graphs, "mine": redrawn})
    told = f"trained on 2 of the {len(redrawn.valid)} valid facts and 5 of the 5 test facts"
    with pytest.warns(KgraftWarning, match=told):
        context = retraining_context(changed, teacher, short(student), start=student)
    assert context.target.valid.tolist() == mine.valid[3:].tolist()


def test_a_student_of_other_names_is_refused(
    generated: Collection, teacher: TrainedModel, student: TrainedModel
) -> None:
    mine = generated.graphs["mine"]
    names = Vocabulary.of([f"http://e.example/{x}" for x in mine.entities.names])
    changed = replace(generated, graphs={**generated.graphs, "mine": replace(mine, entities=names)})
    with pytest.raises(DataError, match=r"knows none of the .* entities of 'mine'"):
        retrain(changed, teacher, short(student), start=student)


def test_a_student_can_go_on_from_an_updated_one(
    grown: Collection, teacher: TrainedModel, updated: TrainedModel
) -> None:
    assert settings_after(updated).for_update() == settings_after(updated)
    again = retrain(grown, teacher, short(updated), start=updated)
    assert again.metrics[UPDATE_METRIC]["facts_added"] == 0


def test_a_run_from_another_student_is_not_gone_on_with(
    generated: Collection,
    teacher: TrainedModel,
    student: TrainedModel,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(run_module, "Checkpoint", partial(Checkpoint, every_seconds=0.0))
    kge = student.kge
    halved = replace(student, kge=KgeModel(kge.settings, kge.entities / 2, kge.relations))
    few, kept = short(student), tmp_path / "run"
    retrain(generated, teacher, few, start=halved, options=RunOptions(directory=kept))
    with pytest.raises(DataError, match="another run is kept here"):
        retrain(generated, teacher, few, start=student, options=RunOptions(directory=kept))


def test_what_cannot_be_gone_on_from_is_refused(
    generated: Collection, teacher: TrainedModel, student: TrainedModel
) -> None:
    with pytest.raises(DataError, match=r"this is a teacher model\. Name the directory"):
        retrain(generated, teacher, start=teacher)
    with pytest.raises(DataError, match="is for 'atlas', not for 'mine'"):
        retrain(generated, teacher, start=replace(student, target="atlas"))
    wider = RetrainSettings(model=ModelSettings(width=64))
    with pytest.raises(DataError, match="other settings of the model"):
        retrain(generated, teacher, wider, start=student)
