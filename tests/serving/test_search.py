"""Entity search."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.inference.names import ModelNames
from kgraft.model.trained_model import TrainedModel
from kgraft.querying.words import normalized
from kgraft.serving.entity_view import MAX_NAME_LENGTH, EntityIndex, Relation
from kgraft.serving.search import EntitySearch, find_relations

PLACES = {
    "http://x.org/Paris": "Paris",
    "http://x.org/Paris_Texas": "Paris, Texas",
    "http://x.org/New_York": "New York",
    "http://x.org/York": "York",
    "http://x.org/Sao_Paulo": "São Paulo",
    "http://x.org/Out_of_Paris": "Out of Paris",
    "http://x.org/q42": None,
    "http://x.org/東京": "東京",
}

Model = Callable[[KnowledgeGraph, Sequence[float], Sequence[float]], TrainedModel]


@pytest.fixture
def search(by_size: Model) -> EntitySearch:
    graph = KnowledgeGraph(
        "places",
        Vocabulary.of(PLACES),
        Vocabulary.of(["near"]),
        train=np.array([[0, 0, 1]]),
        labels=pl.Series(list(PLACES.values()), dtype=pl.String),
    )
    return EntitySearch(ModelNames(by_size(graph, [1.0] * len(PLACES), [1.0])))


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("par", ["Paris", "Paris, Texas", "Out of Paris"]),
        ("PARIS T", ["Paris, Texas"]),
        ("york", ["York", "New York"]),  # what begins so, then what has a word that does
        ("sao", ["São Paulo"]),
        ("são  paulo", ["São Paulo"]),
        ("Q4", ["http://x.org/q42"]),
        ("http://x.org/New_York", ["New York"]),
        ("東", ["東京"]),
        ("pariss", ["Paris", "Out of Paris"]),  # nothing begins so
        ("new yrok", ["New York"]),
        ("zzz", []),
        ("", []),
        ("!?", []),
    ],
)
def test_found_by_beginning_then_by_likeness(
    search: EntitySearch, typed: str, found: list[str]
) -> None:
    assert [x.label for x in search.find(typed, 5)] == found


def test_no_more_than_asked_for_and_none_twice(search: EntitySearch) -> None:
    assert len(search.find("p", 2)) == 2
    names = [x.name for x in search.find("http", 100)]
    assert len(names) == len(set(names)) == len(PLACES)


def test_whatever_is_found_can_be_asked_for(by_size: Model) -> None:
    names = ["a" * MAX_NAME_LENGTH, "a" * (MAX_NAME_LENGTH + 1)]
    graph = KnowledgeGraph(
        "long", Vocabulary.of(names), Vocabulary.of(["near"]), train=np.array([[0, 0, 1]])
    )
    named = ModelNames(by_size(graph, [1.0, 1.0], [1.0]))
    assert [x.name for x in EntitySearch(named).find("a", 5)] == names[:1]
    fact = EntityIndex(named).view(names[0], 5).facts[0]
    assert (fact.head.queryable, fact.tail.queryable) == (True, False)


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert normalized(normalized(text)) == normalized(text)


def test_relations_are_found_by_words_or_a_similar_spelling() -> None:
    names = ("http://x.org/parentOf", "parent_company", "timezoneNames", "p:1")
    relations = [Relation(name, name) for name in names]

    def found(text: str, limit: int = 5) -> list[str]:
        return [x.name for x in find_relations(relations, text, limit)]

    assert found("parent") == list(names[:2])
    assert found("Parent", limit=1) == [names[0]]
    assert found("of parent") == [names[0]]
    assert found("time zone") == ["timezoneNames"]
    assert found("compny parent") == ["parent_company"]
    assert found("zebra") == found("!?") == []
