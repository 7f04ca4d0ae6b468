"""Rules in words, and the names of a model's rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from kgraft.errors import UnknownNameError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.inference.names import ModelNames, StatedFact
from kgraft.inference.rules import rules
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.linking.links import Links
from kgraft.model.ensemble import DEFAULT_WEIGHTS
from kgraft.model.evidence import Evidence
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.rules.rules import rules_from
from kgraft.settings import ModelSettings, RetrainSettings

ANN, BOB, CAY, DAN, EVE, Z = range(6)
LIKES, KNOWS, SEES = range(3)
M = 3


def knowing(model: TrainedModel, *some_rules: dict[str, Any]) -> TrainedModel:
    m = model.graph.n_relations
    parts = [pl.DataFrame([{"support": 2, "confidence": 0.5} | rule]) for rule in some_rules]
    agreement, mixture = np.ones(len(model.graph.triples)), torch.ones(2 * m, len(DEFAULT_WEIGHTS))
    return replace(model, evidence=Evidence(rules_from(parts, m), agreement, mixture, {}))


@pytest.fixture
def model(tiny: Collection) -> TrainedModel:
    """Mine and big together: ann likes bob (both say so) and cay (big), bob knows cay and sees Z
    (big), cay likes dan; cay and dan are labelled Sam.
    """
    settings = RetrainSettings(model=ModelSettings(width=2))
    graph = join(list(tiny.graphs.values()), tiny.links)
    kge = KgeModel.create(settings.model, graph.n_entities, graph.n_relations)
    return TrainedModel("student", kge, graph, "mine", settings)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"relation": LIKES, "first": KNOWS}, "likes(X, Y) if knows(X, Y)"),
        ({"relation": LIKES, "first": KNOWS + M}, "likes(X, Y) if knows(Y, X)"),
        (
            {"relation": KNOWS, "first": LIKES, "second": SEES + M},
            "knows(X, Y) if likes(X, A) and sees(Y, A)",
        ),
        (
            {"relation": KNOWS, "first": LIKES + M, "second": SEES, "third": KNOWS},
            "knows(X, Y) if likes(A, X) and sees(A, B) and knows(B, Y)",
        ),
        (
            {"relation": LIKES, "first": SEES, "entity": Z, "answer": DAN},
            "likes(X, Sam) if sees(X, Z)",
        ),
        (
            {"relation": LIKES, "first": SEES, "answer": EVE},
            "likes(X, eve) if sees(X, anything)",
        ),
        (
            {"relation": LIKES + M, "first": KNOWS + M, "answer": BOB},
            "likes(Bob, X) if knows(anything, X)",
        ),
    ],
    ids=str,
)
def test_rules_are_put_into_words(model: TrainedModel, rule: dict[str, int], text: str) -> None:
    (found,) = rules(knowing(model, rule))
    assert found.text == text
    assert found.relation == ("knows" if rule["relation"] == KNOWS else "likes")
    assert (found.support, found.confidence) == (2, 0.5)


def test_an_example_is_a_fact_and_those_that_explain_it(model: TrainedModel) -> None:
    rule = {"relation": LIKES, "first": LIKES, "second": KNOWS}
    (found,) = rules(knowing(model, rule))
    assert found.examples == (
        (
            StatedFact("Ann", "likes", "Sam", ("big",), ("ann", "likes", "cay")),
            StatedFact("Ann", "likes", "Bob", ("mine", "big"), ("ann", "likes", "bob")),
            StatedFact("Bob", "knows", "Sam", ("mine",), ("bob", "knows", "cay")),
        ),
    )


def test_examples_are_read_along_their_relations(model: TrainedModel) -> None:
    inverse = {"relation": SEES, "first": LIKES + M, "second": LIKES, "third": KNOWS + M}
    assert rules(knowing(model, inverse))[0].examples == ()
    # who sees Z is liked by ann, because he knows cay
    named = {"relation": LIKES + M, "first": KNOWS, "entity": CAY, "answer": ANN}
    assert rules(knowing(model, named))[0].examples == (
        (
            StatedFact("Ann", "likes", "Bob", ("mine", "big"), ("ann", "likes", "bob")),
            StatedFact("Bob", "knows", "Sam", ("mine",), ("bob", "knows", "cay")),
        ),
    )


def test_as_many_examples_as_are_asked_for(model: TrainedModel) -> None:
    anything = knowing(model, {"relation": LIKES + M, "first": KNOWS, "answer": ANN})
    for asked, shown in ((0, 0), (1, 1), (9, 1)):
        (found,) = rules(anything, n_examples=asked)
        assert len(found.examples) == shown
    heads = [(facts[0].head, facts[0].tail) for facts in rules(anything, n_examples=9)[0].examples]
    assert heads == [("Ann", "Bob")]


@pytest.fixture
def several(model: TrainedModel) -> TrainedModel:
    return knowing(
        model,
        {"relation": KNOWS, "first": LIKES, "confidence": 0.25},
        {"relation": LIKES, "first": KNOWS, "confidence": 0.75},
        {"relation": LIKES + M, "first": KNOWS, "answer": ANN, "confidence": 0.5},
    )


def test_the_most_confident_rules_come_first(several: TrainedModel) -> None:
    assert [rule.confidence for rule in rules(several)] == [0.75, 0.5, 0.25]
    assert [rule.confidence for rule in rules(several, k=2)] == [0.75, 0.5]


def test_rules_for_one_relation_infer_either_side(several: TrainedModel) -> None:
    texts = [rule.text for rule in rules(several, relation="likes")]
    assert texts == ["likes(X, Y) if knows(X, Y)", "likes(Ann, X) if knows(X, anything)"]
    assert [rule.relation for rule in rules(several, relation="knows", k=1)] == ["knows"]


def test_errors_say_what_is_wrong(several: TrainedModel) -> None:
    with pytest.raises(UnknownNameError, match="'like'; did you mean 'likes'"):
        rules(several, relation="like")
    with pytest.raises(UnknownNameError, match="'sees'"):  # none of mine's relations
        rules(several, relation="sees")
    with pytest.raises(ValueError, match="this student has no rules"):
        rules(replace(several, evidence=None))
    with pytest.raises(ValueError, match="this teacher has no rules"):
        rules(replace(several, kind="teacher", target=None))


@pytest.fixture
def web(by_size: Callable[..., TrainedModel]) -> TrainedModel:
    """Relations whose names end alike, and an entity without label."""
    graph = KnowledgeGraph(
        "web",
        Vocabulary.of(["http://a/x", "http://a/y"]),
        Vocabulary.of(["http://a/likes", "http://b#likes", "http://a/knows", "ex:sees"]),
        np.array([[0, 2, 1]]),
        labels=pl.Series(["X ray", None], dtype=pl.String),
    )
    return by_size(graph, [1, 2], [1, 1, 1, 1])


def test_a_relation_is_found_by_the_end_of_its_name(web: TrainedModel) -> None:
    model = knowing(
        web,
        {"relation": 0, "first": 2, "confidence": 0.75},
        {"relation": 1, "first": 4 + 3},
        {"relation": 2, "first": 1},
    )
    ends = {
        "knows": "knows(X, Y) if b#likes(X, Y)",
        "a/likes": "a/likes(X, Y) if knows(X, Y)",
        "http://b#likes": "b#likes(X, Y) if sees(Y, X)",
    }
    for end, text in ends.items():
        assert [rule.text for rule in rules(model, relation=end)] == [text]
    assert rules(model, relation="sees") == []
    with pytest.raises(UnknownNameError, match="may be any of http://a/likes, http://b#likes"):
        rules(model, relation="likes")
    with pytest.raises(UnknownNameError, match="'ikes'"):
        rules(model, relation="ikes")


def test_relations_are_labelled_by_the_end_that_tells_them_apart(web: TrainedModel) -> None:
    named = ModelNames(web, "web")
    labels = ["a/likes", "b#likes", "knows", "sees"]
    assert [named.relation_label(row) for row in range(8)] == labels * 2
    assert named.n_relations == 4


def test_entities_are_labelled_by_label_or_name(web: TrainedModel, model: TrainedModel) -> None:
    named = ModelNames(web, "web")
    assert [named.entity_label(row) for row in (0, 1)] == ["X ray", "http://a/y"]
    # names of the source itself are preferred; what it lacks has a name of another
    mine, big = ModelNames(model, "mine"), ModelNames(model, "big")
    assert [mine.entity_label(row) for row in (ANN, DAN, EVE, Z)] == ["Ann", "Sam", "eve", "Z"]
    assert [big.entity_label(row) for row in (EVE, Z)] == ["eve", "Z"]


def test_an_entity_is_called_by_its_first_label(
    by_size: Callable[..., TrainedModel],
) -> None:
    a, b = (
        KnowledgeGraph(
            name,
            Vocabulary.of(names),
            Vocabulary.of(["r"]),
            np.array([[0, 0, 1]]),
            labels=pl.Series(labels, dtype=pl.String),
        )
        for name, names, labels in (
            ("a", ["", "a1"], [None, "Athens"]),
            ("b", ["b0", "b1", "b2"], ["Rome", "", None]),
        )
    )
    links = Links("a", "b", np.array([[0, 0]]), np.ones(1, np.float32))
    model = replace(by_size(a, [1, 2], [1]), graph=join([a, b], [links]))
    named = ModelNames(model, "a")
    assert [named.entity_label(row) for row in range(4)] == ["Rome", "Athens", "b1", "b2"]
    assert [named.entity_name(row) for row in range(4)] == ["", "a1", "b1", "b2"]
    assert (named.entity("rome"), named.entity("ATHENS")) == (0, 1)


def test_the_relation_of_another_source_has_its_name(model: TrainedModel) -> None:
    assert ModelNames(model, "mine").relation_label(SEES) == "sees"
    assert ModelNames(model, "big").relation_label(KNOWS + M) == "knows"


def test_what_a_source_restates_makes_no_name_longer(by_size: Callable[..., TrainedModel]) -> None:
    relations = {"mine": ["http://m/worksFor"], "big": ["http://b/employs"]}
    relations["big"].append("inverse of http://b/employs")
    facts = {"mine": [[0, 0, 1]], "big": [[1, 0, 0], [0, 1, 1]]}
    mine, big = (
        KnowledgeGraph(name, Vocabulary.of(["a", "b"]), Vocabulary.of(own), np.array(facts[name]))
        for name, own in relations.items()
    )
    same = Links("mine", "big", np.array([[0, 1]]), np.ones(1, np.float32), kind="relation")
    model = replace(by_size(mine, [2], [1]), graph=join([mine, big], [same]))
    named = ModelNames(model, "mine")
    assert sorted(named.relation_label(row) for row in range(2)) == ["employs", "worksFor"]


def test_facts_are_stated_by_their_sources(model: TrainedModel) -> None:
    named = ModelNames(model, "mine")
    stated = {
        (ANN, LIKES, BOB): ("mine", "big"),
        (ANN, LIKES, CAY): ("big",),
        (BOB, KNOWS, CAY): ("mine",),
        (ANN, KNOWS, CAY): (),  # a validation fact
    }
    assert named.stated_by(np.array(list(stated))) == list(stated.values())


def test_names_need_a_source_that_there_is(model: TrainedModel) -> None:
    with pytest.raises(UnknownNameError, match="no source is called 'none'; there are mine, big"):
        ModelNames(model, "none")
