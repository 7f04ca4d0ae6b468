"""What names say of entities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from kgraft.alignment.labels import Names, names_of
from kgraft.alignment.nodes import Nodes
from kgraft.alignment.settings import LabelSettings
from kgraft.graph.knowledge_graph import ATTRIBUTE_SCHEMA
from kgraft.linking.collection import Collection

SETTINGS = LabelSettings(same=0.9, similar=0.5, value=0.8, max_entities=2, min_similarity=0.6)


def evidence(collection: Collection, left: str, right: str) -> float:
    """The evidence of shared keys for two entities, by their names."""
    nodes = Nodes.of(collection, ())
    names = names_of(nodes, SETTINGS)
    one, other = (row_of(nodes, name) for name in (left, right))
    return float((names.weights[[one]] @ names.weights[[other]].T).toarray()[0, 0])


def row_of(nodes: Nodes, name: str) -> int:
    names = [x for graph in nodes.graphs for x in graph.entities.names.to_list()]
    return names.index(name)


@pytest.mark.parametrize(
    ("one", "other", "probability"),
    [
        ("Río Grande", "rio grande", 0.9),
        ("Brazil (film)", "Brazil", 1 - np.exp(-np.sqrt(np.log(10) * np.log(2)))),
        ("Rome", "Paris", 0.0),
    ],
)
def test_whole_labels_tell_more_than_those_without_remarks(
    collection_of, one: str, other: str, probability: float
) -> None:
    made = collection_of({"a": "id:x likes id:y", "b": "no:u likes no:v"}, labels=None)
    labels = {"a": [one, None], "b": [other, None]}
    graphs = {
        name: replace(graph, labels=pl.Series(labels[name], dtype=pl.String))
        for name, graph in made.graphs.items()
    }
    found = evidence(replace(made, graphs=graphs), "id:x", "no:u")
    assert found == pytest.approx(-np.log1p(-probability), abs=1e-6)


def test_endings_of_names_are_keys_too(collection_of) -> None:
    made = collection_of({"a": "one:currency/USD of one:x", "b": "USD of y"})
    assert evidence(made, "one:currency/USD", "USD") > 0
    assert evidence(made, "one:x", "y") == 0


def test_a_shared_value_tells_the_less_the_more_have_it(collection_of) -> None:
    made = collection_of({"a": "p r q", "b": "s r t, s r u"})

    def with_values(name: str, rows: list[tuple[int, str]]):
        frame = pl.DataFrame(
            [(row, "isbn", value, None, None) for row, value in rows],
            schema=ATTRIBUTE_SCHEMA,
            orient="row",
        )
        return replace(made.graphs[name], attributes=frame)

    graphs = {
        "a": with_values("a", [(0, "ISBN-1 "), (1, "ISBN-2"), (0, "17")]),
        "b": with_values("b", [(0, "isbn-1"), (1, "isbn-2"), (2, "isbn-2"), (1, "17")]),
    }
    told = replace(made, graphs=graphs)
    assert evidence(told, "p", "s") == pytest.approx(-np.log1p(-0.8))
    assert evidence(told, "q", "t") == pytest.approx(-np.log1p(-0.4))
    assert evidence(told, "p", "t") == 0  # 17 is too short to mean anything


def test_an_alias_is_a_name(collection_of) -> None:
    made = collection_of({"a": "p r q", "b": "Big_Apple r t"})
    alias = "http://www.w3.org/2004/02/skos/core#altLabel"
    frame = pl.DataFrame(
        [(0, alias, "the big apple", None, "en"), (0, alias, "Big Apple!", None, None)],
        schema=ATTRIBUTE_SCHEMA,
        orient="row",
    )
    graphs = {**made.graphs, "a": replace(made.graphs["a"], attributes=frame)}
    found = evidence(replace(made, graphs=graphs), "p", "Big_Apple")
    assert found == pytest.approx(np.sqrt(np.log(2) * np.log(10)))


def test_labels_that_are_spelt_alike_are_found_unless_numbers_differ(collection_of) -> None:
    labels = {
        "x": "Jonathan Smithson",
        "y": "Apollo Mission 11",
        "X": "Jonatan Smithsohn",
        "Y": "Apollo Mission 12",
    }
    nodes = Nodes.of(collection_of({"a": "x r y", "b": "X r Y"}, labels=labels), ())
    names = names_of(nodes, SETTINGS)
    assert [[nodes.label(node) for node in pair] for pair in names.alike.tolist()] == [
        ["Jonathan Smithson", "Jonatan Smithsohn"]
    ]
    assert 0.9 < names.similarity[0] < 1
    assert names.probability[0] == pytest.approx(
        1 / (1 + np.exp(-12 * (names.similarity[0] - 0.85)))
    )


def test_a_name_of_many_is_no_key(collection_of) -> None:
    for others, worth in (("y",), True), (("y", "z"), False):
        labels = dict.fromkeys(("x", "s", *others), "Unknown")
        made = collection_of({"a": "x r y, y r z", "b": "s r t"}, labels=labels)
        assert (evidence(made, "x", "s") > 0) is worth


def test_masked_names_say_nothing() -> None:
    keys, pairs = Names.masked(3).of_clusters(np.array([0, 1, 1]))
    assert keys.shape == (2, 0)
    assert pairs.nnz == 0


def test_identifiers_tell_more_than_a_title_that_many_share(collection_of) -> None:
    size = 24
    made = collection_of(
        {name: ", ".join(f"{name}{x} r {name}{x + 1}" for x in range(size - 1)) for name in "ab"}
    )
    rows = [(row, "isbn", f"978-{row:03}", None, None) for row in range(size)]
    rows += [(row, "year", f"{1900 + row}", None, None) for row in range(size)]
    frame = pl.DataFrame(rows, schema=ATTRIBUTE_SCHEMA, orient="row")
    labels = pl.Series(["Poems"] * size)
    graphs = {
        name: replace(graph, labels=labels, attributes=frame) for name, graph in made.graphs.items()
    }
    names = names_of(Nodes.of(replace(made, graphs=graphs), ()), LabelSettings())
    found = (names.weights[[0]] @ names.weights[size:].T).toarray()[0]
    title, number, year = (-np.log1p(-x) for x in (0.95, 0.99, 0.9))
    assert found[0] == pytest.approx(title + number + year)
    assert found[1:] == pytest.approx(title)
