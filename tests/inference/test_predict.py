"""Answers to queries, by name and by label, and what is known already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from kgraft.errors import UnknownNameError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.inference import candidates
from kgraft.inference.predict import Prediction, Predictor, Query, predict
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.model.calibration import Calibration
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.settings import ModelSettings, TrainSettings


@pytest.fixture
def model(tiny: Collection) -> TrainedModel:
    """Mine and big together; ann to eve are 1 to 5, Z is 9; likes is 1, knows 2, sees 3."""
    settings = TrainSettings(model=ModelSettings(width=2))
    joint = join(list(tiny.graphs.values()), tiny.links)
    entities, relations = (
        torch.tensor([[number, 0.0] for number in numbers])
        for numbers in ([1.0, 2.0, 3.0, 4.0, 5.0, 9.0], [1.0, 2.0, 3.0, -1.0, -2.0, -3.0])
    )
    return TrainedModel(
        "joint", KgeModel(settings.model, entities, relations), joint, "mine", settings
    )


def answers(predictions: list[Prediction], part: str) -> list[tuple[str, float]]:
    return [(getattr(x, part), x.score) for x in predictions]


def test_tails(model: TrainedModel) -> None:
    found = predict(model, head="bob", relation="knows")
    assert answers(found, "tail") == [("eve", 20.0), ("dan", 16.0), ("cay", 12.0), ("ann", 4.0)]
    assert {(x.head, x.relation) for x in found} == {("bob", "knows")}
    assert [x.label for x in found] == ["eve", "Sam", "Sam", "Ann"]


def test_an_entity_answers_about_itself_only_along_relations_that_do_so(
    model: TrainedModel,
) -> None:
    graph = model.graph
    loop = np.array([[0, graph.part("mine").relation_rows[1], 0]])
    looped = replace(
        model,
        graph=replace(
            graph,
            triples=np.concatenate([graph.triples, loop]),
            triple_sources=np.append(graph.triple_sources, np.int16(0)),
        ),
    )
    found = predict(looped, head="bob", relation="knows")
    assert ("bob", 8.0) in answers(found, "tail")
    assert "bob" not in {x.tail for x in predict(looped, head="bob", relation="likes")}
    assert "cay" not in {x.head for x in predict(looped, relation="likes", tail="cay")}


def test_a_name_may_be_spelt_otherwise(model: TrainedModel) -> None:
    found = predict(model, head="%62ob\u00a0", relation="knows")
    assert answers(found, "tail")[0] == ("eve", 20.0)


def test_heads_are_asked_along_the_inverse(model: TrainedModel) -> None:
    found = predict(model, relation="likes", tail="cay", k=2)
    assert answers(found, "head") == [("ann", -3.0), ("bob", -6.0)]
    assert {(x.relation, x.tail) for x in found} == {("likes", "cay")}
    assert [x.label for x in found] == ["Ann", "Bob"]


def test_relations(model: TrainedModel) -> None:
    found = predict(model, head="bob", tail="cay")
    assert answers(found, "relation") == [("knows", 12.0), ("likes", 6.0)]
    assert [x.label for x in found] == ["knows", "likes"]
    assert len(predict(model, head="bob", tail="cay", k=1)) == 1


def test_known_facts_are_marked_with_all_their_sources(model: TrainedModel) -> None:
    stated = {x.tail: x.stated_by for x in predict(model, head="ann", relation="likes")}
    # cay is known from big alone: A likes C.
    assert stated == {"eve": (), "dan": (), "cay": ("big",), "bob": ("mine", "big")}
    known = {x.head: x.known for x in predict(model, relation="knows", tail="cay")}
    assert known == {"ann": False, "bob": True, "dan": False, "eve": False}
    between = {x.relation: x.stated_by for x in predict(model, head="ann", tail="bob")}
    assert between == {"likes": ("mine", "big"), "knows": ()}


def test_entities_are_found_by_label_in_any_case(model: TrainedModel) -> None:
    assert predict(model, head="Bob", relation="knows") == predict(
        model, head="bob", relation="knows"
    )
    assert predict(model, relation="knows", tail="ANN")[0].tail == "ann"


def test_a_label_of_several_entities_names_them(model: TrainedModel) -> None:
    with pytest.raises(UnknownNameError, match=r"'sam' is the label of 2 entities.*: cay, dan"):
        predict(model, head="sam", relation="likes")


def test_an_unknown_name_comes_with_a_suggestion(model: TrainedModel) -> None:
    with pytest.raises(UnknownNameError, match="'anne'; did you mean 'ann'"):
        predict(model, head="anne", relation="likes")
    with pytest.raises(UnknownNameError, match="'knowss'; did you mean 'knows'"):
        predict(model, head="ann", relation="knowss")
    with pytest.raises(UnknownNameError, match="'Bobby'; did you mean 'Bob'"):
        predict(model, head="Bobby", relation="likes")
    with pytest.raises(UnknownNameError, match="''"):
        predict(model, head="", tail="bob")


def test_another_source_has_names_and_candidates_of_its_own(model: TrainedModel) -> None:
    found = predict(model, head="B", relation="sees", source="big")
    # Z 9, C 3, A 1 times 2 * 3
    assert answers(found, "tail") == [("Z", 54.0), ("C", 18.0), ("A", 6.0)]
    assert found[0].stated_by == ("big",)
    assert found[0].label == "Z"
    with pytest.raises(UnknownNameError, match="no source is called 'none'; there are mine, big"):
        predict(model, head="B", relation="sees", source="none")


@pytest.fixture
def fewer(model: TrainedModel) -> TrainedModel:
    """The same without a vector of Z, the first of big's entities."""
    kge = KgeModel(model.kge.settings, model.kge.entities[:5], model.kge.relations)
    return replace(model, kge=kge)


def test_entities_without_a_vector_are_no_candidates(
    model: TrainedModel, fewer: TrainedModel
) -> None:
    found = predict(fewer, head="B", relation="sees", source="big")
    assert answers(found, "tail") == [("C", 18.0), ("A", 6.0)]
    assert [x.label for x in found] == ["Sam", "Ann"]
    assert found == predict(model, head="B", relation="sees", source="big")[1:]
    liking = predict(fewer, relation="likes", tail="C", source="big")
    assert {x.head: x.stated_by for x in liking} == {"A": ("big",), "B": ()}
    assert predict(fewer, head="bob", relation="knows") == predict(
        model, head="bob", relation="knows"
    )


@pytest.mark.parametrize(
    "given",
    [
        {"head": "Z", "relation": "sees"},
        {"relation": "sees", "tail": "Z"},
        {"head": "Z", "tail": "A"},
        {"head": "A", "tail": "Z"},
    ],
    ids=str,
)
def test_an_entity_without_a_vector_cannot_be_asked_about(
    model: TrainedModel, fewer: TrainedModel, given: dict[str, str]
) -> None:
    assert predict(model, source="big", **given)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match=r"no vector for 'Z'.*subgraph\.vectors = 'all'"):
        predict(fewer, source="big", **given)  # type: ignore[arg-type]


def test_a_teacher_answers_in_its_first_source(model: TrainedModel) -> None:
    teacher = replace(model, kind="teacher", target=None)
    assert predict(teacher, head="ann", relation="likes")[0].tail == "eve"


@pytest.mark.parametrize(
    "given",
    [{}, {"head": "ann"}],
    ids=["nothing", "one"],
)
def test_two_of_three_have_to_be_given(model: TrainedModel, given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="gives two of head, relation and tail"):
        predict(model, **given)  # type: ignore[arg-type]


def test_k_is_at_least_one(model: TrainedModel) -> None:
    with pytest.raises(ValueError, match="k is at least 1, not 0"):
        predict(model, head="ann", relation="likes", k=0)


def test_relations_are_found_by_the_end_of_their_name(
    by_size: Callable[..., TrainedModel],
) -> None:
    names = ["http://a/likes", "http://b#likes", "http://a/knows", "ex:sees"]
    graph = KnowledgeGraph(
        "web",
        Vocabulary.of(["http://a/x", "http://a/y"]),
        Vocabulary.of(names),
        np.array([[0, 2, 1]]),
        labels=pl.Series(["x", None], dtype=pl.String),
    )
    model = by_size(graph, [1, 2], [1, 2, 3, 4])
    ends = {"knows": names[2], "sees": names[3], "b#likes": names[1], names[1]: names[1]}
    for short, name in ends.items():
        assert {x.relation for x in predict(model, head="x", relation=short)} == {name}
    with pytest.raises(UnknownNameError, match="may be any of http://a/likes, http://b#likes"):
        predict(model, head="x", relation="likes")
    labels = {x.relation: x.label for x in predict(model, head="x", tail="http://a/y")}
    assert labels == dict(zip(names, ["a/likes", "b#likes", "knows", "sees"], strict=True))


# ------------------------------------------------------------------------------------ many queries


def test_many_queries_are_answered_as_each_alone(
    student: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "MAX_QUERIES", 7)
    part = student.graph.part("mine")
    heads = part.entities.names_of(range(20))
    queries = [
        *(Query(head, "r1") for head in heads),
        Query(head=heads[0], tail=heads[1]),
        *(Query(relation="r2", tail=tail) for tail in heads),
    ]
    found = Predictor(student).answer(queries[::-1], k=3)[::-1]
    for query, several in zip(queries, found, strict=True):
        alone = predict(student, **vars(query), k=3)
        assert [(x.head, x.relation, x.tail) for x in several] == [
            (x.head, x.relation, x.tail) for x in alone
        ]
        assert [x.score for x in several] == pytest.approx([x.score for x in alone], abs=1e-4)


def test_no_queries_have_no_answers(model: TrainedModel) -> None:
    assert Predictor(model).answer([]) == []


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({"head": "ann", "relation": "likes"}, "tail"),
        ({"relation": "likes", "tail": "bob"}, "head"),
        ({"head": "ann", "tail": "bob"}, "relation"),
    ],
)
def test_a_query_asks_for_what_is_not_given(given: dict[str, str], asked: str) -> None:
    assert Query(**given).asked == asked


# ------------------------------------------------------------------------------- typed candidates


def test_typed_answers_are_in_the_observed_domain_or_range(model: TrainedModel) -> None:
    # likes leads, in mine or big, to bob, cay and dan, from ann and cay; knows from bob to cay
    liked = predict(model, head="eve", relation="likes", typed=True)
    assert [x.tail for x in liked] == ["dan", "cay", "bob"]
    liking = predict(model, relation="likes", tail="eve", typed=True)
    assert {x.head for x in liking} == {"ann", "cay"}
    assert [x.relation for x in predict(model, head="ann", tail="cay", typed=True)] == ["likes"]
    assert predict(model, head="eve", tail="cay", typed=True) == []
    assert len(predict(model, head="eve", relation="likes", typed=True, k=1)) == 1


# ------------------------------------------------------------------------------------ probabilities


@pytest.fixture
def sure(model: TrainedModel) -> TrainedModel:
    """The same; the log odds of a candidate are its share."""
    return replace(model, calibration={"vectors": Calibration(((-50.0, -50.0), (50.0, 50.0)))})


def test_scores_become_probabilities(sure: TrainedModel) -> None:
    # bob knows cay already, so eve, dan, bob and ann share: e^20 + e^16 + e^8 + e^4; bob himself is
    # not shown
    found = predict(sure, head="bob", relation="knows")
    share = np.array([20.0, 16.0, 12.0, 4.0]) - np.log(np.exp([20.0, 16.0, 8.0, 4.0]).sum())
    assert [x.probability_if_asked for x in found] == pytest.approx(1 / (1 + np.exp(-share)))
    assert {x.probability for x in found} == {None}  # it cannot judge facts


def test_there_are_no_probabilities_where_none_were_fitted(
    model: TrainedModel, sure: TrainedModel
) -> None:
    for found in (
        predict(model, head="bob", relation="knows"),
        predict(sure, head="bob", tail="cay"),
        predict(sure, head="B", relation="sees", source="big"),
    ):
        assert {x.probability_if_asked for x in found} == {None}


def test_a_fact_is_judged_with_the_probability_that_it_has_as_an_answer(
    student: TrainedModel, generated: Collection
) -> None:
    graph = generated.target_graph
    head, relation, tail = graph.train[0].tolist()
    names = graph.entities.name(head), graph.relations.name(relation), graph.entities.name(tail)
    found = predict(student, head=names[0], relation=names[1], tail=names[2])
    assert [(x.tail, x.probability) for x in found] == [(names[2], 1.0)]
    assert "mine" in found[0].stated_by
    for x in predict(student, head=names[0], relation=names[1], k=5):
        (again,) = predict(student, head=x.head, relation=x.relation, tail=x.tail)
        assert again.probability == pytest.approx(x.probability)
        assert again.score == pytest.approx(x.score, rel=1e-4)
        assert again.probability_if_asked == pytest.approx(x.probability_if_asked, rel=1e-4)
        assert again.label == x.label


def test_relations_are_ranked_by_probability(student: TrainedModel, generated: Collection) -> None:
    graph = generated.target_graph
    first = []
    for head, relation, tail in graph.train[:20].tolist():
        ends = graph.entities.name(head), graph.entities.name(tail)
        found = predict(student, head=ends[0], tail=ends[1], k=10)
        values = [x.probability or 0 for x in found]
        assert values == sorted(values, reverse=True)
        assert found[0].probability == 1
        first.append(graph.relations.name(relation) in [x.relation for x in found if x.known])
    assert all(first)
