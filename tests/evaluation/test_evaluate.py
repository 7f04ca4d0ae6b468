"""Rows of an evaluation, by hand on a model whose scores are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kgraft.errors import DataError, KgraftWarning, UnknownNameError
from kgraft.evaluation.evaluate import PROTOCOLS, Evaluation, evaluate
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.collection import Collection, collect
from kgraft.linking.join import join
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.settings import ModelSettings, TrainSettings

# In the order of mine's test facts: ann likes cay, bob likes dan, eve knows bob, ann likes eve.
# Sizes ann 1, bob 2, cay 3, dan 4, eve 5: the largest entity comes first, whatever is asked.
TAIL_ALL = [2, 2, 4, 1]  # cay behind dan, as eve is filtered; dan behind eve; bob behind three
TAIL_TRAIN_VALID = [3, 2, 4, 1]  # eve is only known from test
HEAD_ALL = [5, 3, 1, 5]  # bob behind eve and dan, as cay likes dan is known
CANDIDATES = {"tail": [3, 5, 5, 3], "head": [5, 4, 5, 5]}
COVERED = np.array([True, False, False, False])  # big: A likes C


@pytest.fixture
def model(tiny: Collection, by_size: Callable[..., TrainedModel]) -> TrainedModel:
    return by_size(tiny.graphs["mine"], [1, 2, 3, 4, 5], [1, 1])


def mrr(ranks: list[int]) -> float:
    return float(np.mean([1 / rank for rank in ranks]))


def only(rows: list[dict[str, Any]], **values: str) -> dict[str, Any]:
    (row,) = (row for row in rows if all(row[key] == value for key, value in values.items()))
    return row


def test_ranks_by_hand(model: TrainedModel, tiny: Collection) -> None:
    measured = evaluate(model, tiny, filters=("all", "train+valid"))
    assert measured.ranks["tail", "all"].realistic.tolist() == TAIL_ALL
    assert measured.ranks["tail", "train+valid"].realistic.tolist() == TAIL_TRAIN_VALID
    assert measured.ranks["head", "all"].realistic.tolist() == HEAD_ALL
    for side in ("tail", "head"):
        assert measured.ranks[side, "all"].candidates.tolist() == CANDIDATES[side]
    assert measured.covered.tolist() == COVERED.tolist()


def test_what_other_sources_state_is_filtered_on_demand(
    model: TrainedModel, tiny: Collection
) -> None:
    # ann likes ann: behind cay, dan and eve. Big states that ann likes cay.
    mine = tiny.graphs["mine"]
    likes = mine.relations.row("likes")
    ann = mine.entities.row("ann")
    own = replace(mine, valid=mine.valid[:0], test=np.array([[ann, likes, ann]]))
    changed = replace(tiny, graphs={**tiny.graphs, "mine": own})
    filters = ("all", "all+sources")
    measured = evaluate(model, changed, sides=("tail",), filters=filters)
    assert [measured.ranks["tail", name].realistic.tolist() for name in filters] == [[4], [3]]
    assert [measured.mrr("tail", name) for name in filters] == [pytest.approx(1 / 4), 1 / 3]
    unlinked = evaluate(model, replace(changed, links=()), sides=("tail",), filters=filters)
    assert unlinked.mrr("tail", "all+sources") == pytest.approx(1 / 4)


def test_there_is_a_row_for_each_side_filter_and_part(
    model: TrainedModel, tiny: Collection
) -> None:
    rows = evaluate(model, tiny, filters=("all", "train+valid")).rows()
    keys = [(row["side"], row["filter"], row["facts"]) for row in rows]
    assert len(keys) == len(set(keys)) == 3 * 2 * 5
    assert {row["candidates"] for row in rows} == {"own"}


def test_figures_by_hand(model: TrainedModel, tiny: Collection) -> None:
    rows = evaluate(model, tiny).rows()
    tail = only(rows, side="tail", facts="all")
    assert tail["mrr"] == pytest.approx(mrr(TAIL_ALL))
    assert (tail["queries"], tail["hits@1"], tail["hits@3"], tail["hits@10"]) == (4, 0.25, 0.75, 1)
    assert tail["mr"] == pytest.approx(9 / 4)
    # The expected mean rank is the mean of (candidates + 1) / 2 over 3, 5, 5, 3.
    assert tail["amri"] == pytest.approx(1 - (9 / 4 - 1) / (2.5 - 1))
    both = only(rows, side="both", facts="all")
    assert both["mrr"] == pytest.approx(mrr(TAIL_ALL + HEAD_ALL))
    assert both["queries"] == 8


def test_covered_and_uncovered_facts_apart(model: TrainedModel, tiny: Collection) -> None:
    rows = evaluate(model, tiny).rows()
    for side, ranks in (("tail", TAIL_ALL), ("head", HEAD_ALL)):
        covered, uncovered = (only(rows, side=side, facts=x) for x in ("covered", "uncovered"))
        assert (covered["queries"], uncovered["queries"]) == (1, 3)
        assert covered["mrr"] == pytest.approx(mrr(ranks[:1]))
        assert uncovered["mrr"] == pytest.approx(mrr(ranks[1:]))
    both = only(rows, side="both", facts="covered")
    assert both["mrr"] == pytest.approx(mrr([TAIL_ALL[0], HEAD_ALL[0]]))


def test_one_figure(model: TrainedModel, tiny: Collection) -> None:
    measured = evaluate(model, tiny, filters=("all", "train+valid"))
    assert measured.mrr() == pytest.approx(mrr(TAIL_ALL + HEAD_ALL))
    assert measured.mrr("tail", "train+valid") == pytest.approx(mrr(TAIL_TRAIN_VALID))
    assert measured.mrr("head", facts="uncovered") == pytest.approx(mrr(HEAD_ALL[1:]))


def by_protocol(model: TrainedModel, tiny: Collection, name: str) -> Evaluation:
    sides, facts_filter = PROTOCOLS[name]
    return evaluate(model, tiny, sides=sides, filters=(facts_filter,))


def test_protocols_differ_in_sides_and_filter(model: TrainedModel, tiny: Collection) -> None:
    filtered = by_protocol(model, tiny, "filtered").rows()
    assert {(row["side"], row["filter"]) for row in filtered} == {
        (side, "all") for side in ("tail", "head", "both")
    }
    mkgc = by_protocol(model, tiny, "mkgc").rows()
    assert {(row["side"], row["filter"]) for row in mkgc} == {("tail", "train+valid")}
    assert only(mkgc, facts="all")["mrr"] == pytest.approx(mrr(TAIL_TRAIN_VALID))


def test_validation_facts_are_filtered_by_both_filters(
    tiny: Collection, by_size: Callable[..., TrainedModel]
) -> None:
    mine = replace(tiny.graphs["mine"], valid=np.array([[0, 0, 3]]))  # ann likes dan
    changed = replace(tiny, graphs={**tiny.graphs, "mine": mine})
    model = by_size(mine, [1, 2, 3, 4, 5], [1, 1])
    measured = evaluate(model, changed, sides=("tail",), filters=("all", "train+valid"))
    # ann likes cay: dan is filtered by both, eve by "all" alone.
    assert measured.ranks["tail", "train+valid"].realistic[0] == 2
    assert measured.ranks["tail", "all"].realistic[0] == 1


def test_each_relation_on_its_own(model: TrainedModel, tiny: Collection) -> None:
    rows = evaluate(model, tiny).by_relation()
    likes = only(rows, relation="likes", side="tail")
    assert (likes["queries"], likes["mrr"]) == (3, pytest.approx(mrr([2, 2, 1])))
    knows = only(rows, relation="knows", side="both")
    assert (knows["queries"], knows["mrr"]) == (2, pytest.approx(mrr([4, 1])))
    assert [row["queries"] for row in rows] == [6, 3, 3, 2, 1, 1]


@pytest.mark.parametrize(("tie", "rank"), [("optimistic", 1), ("realistic", 2), ("pessimistic", 3)])
def test_ties(tiny: Collection, by_size: Callable[..., TrainedModel], tie: Any, rank: int) -> None:
    level = by_size(tiny.graphs["mine"], [1, 1, 1, 1, 1], [1, 1])
    measured = evaluate(level, tiny, sides=("tail",), tie=tie)
    # The first fact has three candidates of one score.
    assert measured.mrr("tail", facts="covered") == pytest.approx(1 / rank)


def test_another_split_and_another_target(
    tiny: Collection, by_size: Callable[..., TrainedModel], model: TrainedModel
) -> None:
    assert evaluate(model, tiny, split="valid").ranks["tail", "all"].realistic.tolist() == [3]
    big = by_size(tiny.graphs["big"], [1, 2, 3, 4], [1, 1])
    with pytest.raises(DataError, match="'big' has no facts in 'test'"):
        evaluate(big, tiny, target="big")
    with pytest.raises(UnknownNameError, match="no source is called 'none'"):
        evaluate(model, tiny, target="none")


def test_a_teacher_is_asked_through_links(
    tiny: Collection, by_size: Callable[..., TrainedModel]
) -> None:
    # Z 4, C 3, B 2, A 1: so ann 1, bob 2, cay 3, and dan and eve unknown.
    teacher = by_size(tiny.graphs["big"], [4, 3, 2, 1], [1, 1])
    measured = evaluate(teacher, tiny, sides=("tail",))
    tail = measured.ranks["tail", "all"]
    # ann likes cay: cay is first. bob likes dan: dan is unknown and ties with eve behind three.
    # eve knows bob: nothing is understood, ann, bob and cay tie, dan and eve come last.
    # ann likes eve: behind ann, bob and cay are filtered, tied with dan.
    assert tail.optimistic.tolist() == [1, 4, 1, 2]
    assert tail.pessimistic.tolist() == [1, 5, 3, 3]


def test_candidates_are_the_graphs_own_entities(tiny: Collection) -> None:
    settings = TrainSettings(model=ModelSettings(width=2))
    joint = join(list(tiny.graphs.values()), tiny.links)
    kge = KgeModel.create(settings.model, joint.n_entities, joint.n_relations)
    kge.entities[:, 1] = kge.relations[:, 1] = 0.0
    kge.relations[:, 0] = 1.0
    for row, size in enumerate([1.0, 2.0, 3.0, 4.0, 5.0, 100.0]):  # the last is big's Z
        kge.entities[row, 0] = size
    model = TrainedModel("joint", kge, joint, "mine", settings)
    assert evaluate(model, tiny).ranks["tail", "all"].realistic.tolist() == TAIL_ALL


def redrawn(tiny: Collection) -> Collection:
    """The collection where two of mine's training facts are test facts, and rows are exchanged."""
    mine = tiny.graphs["mine"]
    order = np.array([4, 3, 2, 1, 0])

    def moved(facts: np.ndarray) -> np.ndarray:
        return np.stack([4 - facts[:, 0], 1 - facts[:, 1], 4 - facts[:, 2]], axis=1)

    changed = KnowledgeGraph(
        "mine",
        Vocabulary.of(mine.entities.names_of(order)),
        Vocabulary.of(mine.relations.names_of(np.array([1, 0]))),
        train=moved(mine.train[2:]),
        valid=moved(mine.valid),
        test=moved(np.concatenate([mine.train[:2], mine.test])),
    )
    return collect([changed], target="mine")


def test_facts_that_the_model_was_trained_on_are_left_out(
    model: TrainedModel, tiny: Collection
) -> None:
    told = "the model was trained on 2 of the 6 test facts of 'mine'. They are left out"
    with pytest.warns(KgraftWarning, match=told):
        measured = model.evaluate(redrawn(tiny))
    assert (len(measured.facts), measured.trained_on, measured.left_out) == (4, 2, True)
    assert measured.ranks["tail", "all"].realistic.tolist() == TAIL_ALL


def test_facts_that_the_model_was_trained_on_are_ranked_on_request(
    model: TrainedModel, tiny: Collection
) -> None:
    with pytest.warns(KgraftWarning, match="trained on 2 of the 6 test facts"):
        measured = model.evaluate(redrawn(tiny), include_trained=True)
    assert (len(measured.facts), measured.trained_on, measured.left_out) == (6, 2, False)
    assert measured.ranks["tail", "all"].realistic[2:].tolist() == TAIL_ALL


def test_a_sample_is_taken_of_facts_that_are_left(model: TrainedModel, tiny: Collection) -> None:
    with pytest.warns(KgraftWarning, match="2 of the 6"):
        assert len(model.evaluate(redrawn(tiny), max_facts=4).facts) == 4


def test_a_split_that_the_model_was_trained_on_is_refused(
    model: TrainedModel, tiny: Collection
) -> None:
    mine = tiny.graphs["mine"]
    changed = collect([replace(mine, test=mine.train, train=mine.test)], target="mine")
    with pytest.raises(DataError, match=r"trained on 3 of the 3 test facts .* none is left"):
        model.evaluate(changed)


def test_a_fact_of_another_source_is_no_fact_that_was_trained_on(tiny: Collection) -> None:
    settings = TrainSettings(model=ModelSettings(width=2))
    joint = join(list(tiny.graphs.values()), tiny.links)
    kge = KgeModel.create(settings.model, joint.n_entities, joint.n_relations)
    measured = TrainedModel("joint", kge, joint, "mine", settings).evaluate(tiny)
    assert (len(measured.facts), measured.trained_on) == (4, 0)
    assert measured.covered.tolist() == COVERED.tolist()


@pytest.mark.parametrize("name", ["mine", "other"])
def test_a_model_that_does_not_fit_is_refused(
    model: TrainedModel, tiny: Collection, name: str
) -> None:
    mine = tiny.graphs["mine"]
    strange = Vocabulary.of([f"http://e.example/{x}" for x in mine.entities.names])
    other = collect([replace(mine, name=name, entities=strange)], target=name)
    told = f"knows none of the 5 entities of '{name}', such as 'http://e.example/ann'"
    with pytest.raises(DataError, match=told):
        model.evaluate(other)
    with pytest.raises(DataError, match=r"its sources \(mine\), or that links"):
        model.evaluate(other)


def test_a_model_that_knows_no_relation_is_refused(model: TrainedModel, tiny: Collection) -> None:
    mine = tiny.graphs["mine"]
    other = collect([replace(mine, relations=Vocabulary.of(["x", "y"]))], target="mine")
    with pytest.raises(DataError, match=r"none of the 2 relations .* names such as 'likes'"):
        model.evaluate(other)


def test_facts_with_a_name_without_training_facts_are_shown_apart(
    tiny: Collection, by_size: Callable[..., TrainedModel]
) -> None:
    mine = tiny.graphs["mine"]
    likes = mine.train[mine.train[:, 1] == 0]
    changed = replace(mine, train=likes)
    model = by_size(changed, [1, 2, 3, 4, 5], [1, 1])
    measured = evaluate(model, collect([changed], target="mine"))
    seen = np.isin(mine.test[:, [0, 2]], likes[:, [0, 2]]).all(axis=1) & (mine.test[:, 1] == 0)
    assert measured.unseen is not None
    assert measured.unseen.tolist() == (~seen).tolist()
    assert 0 < measured.n_unseen < len(mine.test)
    rows = measured.rows()
    apart = {x: only(rows, side="tail", facts=x)["queries"] for x in ("all", "seen", "unseen")}
    assert apart == {"all": 4, "seen": int(seen.sum()), "unseen": measured.n_unseen}
    assert measured.mrr("tail", facts="seen") == only(rows, side="tail", facts="seen")["mrr"]


def test_without_unseen_facts_there_are_no_rows_of_them(
    tiny: Collection, by_size: Callable[..., TrainedModel]
) -> None:
    mine = tiny.graphs["mine"]
    changed = replace(mine, test=mine.train[:1, [2, 1, 0]])
    measured = evaluate(by_size(changed, [1] * 5, [1, 1]), collect([changed], target="mine"))
    assert measured.n_unseen == 0
    assert {row["facts"] for row in measured.rows()} == {"all", "covered", "uncovered"}
