"""Facts from attributes: intervals of numbers and dates, categories, and what is left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgraft.graph.knowledge_graph import ATTRIBUTE_SCHEMA, KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.attribute_facts import (
    attribute_facts,
    value_facts,
    with_attribute_facts,
)
from kgraft.linking.coverage import linked_entities
from kgraft.linking.join import join
from kgraft.settings import AttributeSettings


def graph_with(values: Iterable[tuple[int, str, str]], n_entities: int = 50) -> KnowledgeGraph:
    """A graph of some entities with attributes, and a fact between the first two."""
    rows = [(entity, name, value, None, None) for entity, name, value in values]
    return KnowledgeGraph(
        "mine",
        Vocabulary.of(f"e{x}" for x in range(n_entities)),
        Vocabulary.of(["knows"]),
        np.array([[0, 0, 1]]),
        attributes=pl.DataFrame(rows, schema=ATTRIBUTE_SCHEMA, orient="row"),
    )


def facts_of(graph: KnowledgeGraph, **settings: object) -> dict[str, dict[int, str]]:
    """Return the value of each entity by relation, for attributes of one value an entity."""
    found: dict[str, dict[int, str]] = {}
    for facts in value_facts(graph, AttributeSettings(**settings)):  # type: ignore[arg-type]
        for entity, relation, value in facts.rows():
            found.setdefault(relation, {})[entity] = value
    return found


def test_numbers_are_in_intervals_of_equally_many() -> None:
    found = facts_of(graph_with((x, "height", f"{x / 4}") for x in range(40)), intervals=(4, 2))
    assert list(found) == ["height (4 intervals)", "height (2 intervals)"]
    four, two = found.values()
    assert [four[x] for x in (0, 9, 10, 20, 30, 39)] == [
        "height: below 2.5",
        "height: below 2.5",
        "height: 2.5 to 5",
        "height: 5 to 7.5",
        "height: from 7.5",
        "height: from 7.5",
    ]
    assert [two[x] for x in (19, 20)] == ["height: below 5", "height: from 5"]


def test_dates_are_in_intervals_too() -> None:
    dates = [f"19{50 + x}-0{1 + x % 9}-15T00:00:00Z" for x in range(20)]
    found = facts_of(graph_with((x, "born", date) for x, date in enumerate(dates)), intervals=(2,))
    (values,) = found.values()
    assert values[0] == values[9] == "born: below 1960-02-15"
    assert values[10] == values[19] == "born: from 1960-02-15"


def test_texts_that_recur_are_categories() -> None:
    kinds = ["state", " state", "private", "state", "private", "charity", "private", "x" * 101]
    values = [(x, "kind", kind) for x, kind in enumerate(kinds)]
    names = [(x, "name", f"Company {x}") for x in range(8)]
    found = facts_of(graph_with(values + names))
    assert set(found) == {"kind (value)"}
    assert found["kind (value)"] == {
        **dict.fromkeys((0, 1, 3), "kind: state"),
        **dict.fromkeys((2, 4, 6), "kind: private"),
    }
    assert facts_of(graph_with(values), min_entities=4) == {}


def test_a_few_odd_values_do_not_make_numbers_texts() -> None:
    numbers = [(x, "year", str(1900 + x)) for x in range(39)]
    odd = [(39, "year", "unknown"), (40, "year", "nan")]
    (values,) = facts_of(graph_with(numbers + odd[:1]), intervals=(2,)).values()
    assert set(values) == set(range(39))
    many = [(x, "year", "unknown") for x in range(39, 45)]
    assert set(facts_of(graph_with(numbers + many))) == {"year (value)"}


def test_one_number_of_all_is_one_interval() -> None:
    found = facts_of(graph_with((x, "level", "3") for x in range(5)), intervals=(8,))
    assert found == {"level (8 intervals)": dict.fromkeys(range(5), "level: any")}


@given(st.lists(st.floats(-1e12, 1e12), min_size=3, max_size=40), st.integers(2, 9))
def test_intervals_keep_the_order_of_numbers(numbers: list[float], count: int) -> None:
    graph = graph_with((x, "a", repr(y)) for x, y in enumerate(numbers))
    (values,) = facts_of(graph, intervals=(count,)).values()
    assert len(values) == len(numbers)
    ordered = [values[x] for x in np.argsort(numbers, kind="stable")]
    changes = sum(x != y for x, y in pairwise(ordered))
    assert changes == len(set(ordered)) - 1 < count
    equal = {x: {values[i] for i, y in enumerate(numbers) if y == x} for x in numbers}
    assert all(len(x) == 1 for x in equal.values())


@pytest.fixture
def teams() -> KnowledgeGraph:
    """Forty members of two teams: half as tall as the others, and born on any day."""
    draw = np.random.default_rng(0)
    days = draw.permutation(40)
    values = [(x, "height", f"{x}") for x in range(40)]
    values += [(x, "born", f"19{50 + days[x]}-01-01") for x in range(40)]
    values += [(x, "letter", "ab"[draw.integers(2)]) for x in range(40)]
    graph = graph_with(values)
    facts = [(x, 0, 48 + (x >= 20)) for x in range(40)]
    return replace(graph, train=np.array(facts))


def test_what_tells_nothing_of_the_facts_is_left_out(teams: KnowledgeGraph) -> None:
    settings = AttributeSettings(intervals=(2, 4))
    told = attribute_facts(teams, settings)
    assert told["relation"].unique(maintain_order=True).to_list() == [
        "height (2 intervals)",
        "height (4 intervals)",
    ]
    assert len({x["relation"][0] for x in value_facts(teams, settings)}) == 5
    assert len(attribute_facts(teams, AttributeSettings(use=False))) == 0
    assert len(attribute_facts(replace(teams, train=teams.train[:0]), settings)) == 0


def test_values_are_rows_behind_the_others_and_no_answers(teams: KnowledgeGraph) -> None:
    joint = join([teams])
    found = with_attribute_facts(joint, teams, AttributeSettings(intervals=(4,)))
    assert list(found.parts) == ["mine", "values of mine"]
    values = found.parts["values of mine"]
    assert values.entity_rows.tolist() == [50, 51, 52, 53]
    assert values.relation_rows.tolist() == [1]
    assert (found.n_entities, found.n_relations) == (54, 2)
    own, added = np.split(found.triples, [40])
    assert np.array_equal(own, teams.train)
    assert (added[:, 0] == np.arange(40)).all()
    assert (added[:, 2] == 50 + np.arange(40) // 10).all()
    assert found.triple_sources.tolist() == [0] * 40 + [1] * 40
    assert not linked_entities(found, "mine").any()
    graphs = found.graphs()
    assert np.array_equal(graphs["mine"].train, teams.train)
    assert len(graphs["values of mine"].train) == 0


def test_without_values_nothing_changes(teams: KnowledgeGraph) -> None:
    for graph, use in ((teams, False), (replace(teams, attributes=None), True)):
        joint = join([graph])
        assert with_attribute_facts(joint, graph, AttributeSettings(use=use)) is joint


def test_a_name_that_is_taken_is_not_taken_again(teams: KnowledgeGraph) -> None:
    joint = join([teams, replace(teams, name="values of mine")])
    found = with_attribute_facts(joint, teams, AttributeSettings())
    assert list(found.parts) == ["mine", "values of mine", "values of mine'"]
