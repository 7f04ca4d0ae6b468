"""Texts about entities: tables with and without a header, and the graph's own names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from kgraft.errors import DataError
from kgraft.io.read_collection import read_collection
from kgraft.io.texts import Texts, read_texts, readable

Write = Callable[[dict[str, str | bytes]], Path]


def test_texts_of_an_entity_are_joined_and_labels_are_kept(write: Write) -> None:
    place = write(
        {
            "a.tsv": "entity\tlabel\tdescription\nQ1\tAnn\ta queen\nQ2\t\tno label\nQ3\tCay\t\n",
            "b.tsv": "Q1\tAnn\ta queen\nQ2\t\tno label\nQ3\tCay\t\n",
            "c.csv": "entity,label,description\nQ1,Ann,a queen\nQ2,,no label\nQ3,Cay,\n",
        }
    )
    expected = ["Ann. a queen", "no label", "Cay"]
    for name in ("a.tsv", "b.tsv", "c.csv"):
        found = read_texts(place / name)
        assert found.names.names.to_list() == ["Q1", "Q2", "Q3"]
        assert found.texts.to_list() == expected
        labels = None if found.labels is None else found.labels.to_list()
        assert labels == (None if name == "b.tsv" else ["Ann", None, "Cay"])
    frame = pl.DataFrame({"label": ["Ann", None], "entity": ["Q1", "Q2"], "year": [1, 2]})
    frame.write_parquet(place / "d.parquet")
    assert read_texts(place / "d.parquet").texts.to_list() == ["Ann", ""]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Q1\tAnn\nQ1\tBob\n", "line 2: the name 'Q1' is repeated"),
        ("Q1\nQ2\n", "no column of texts"),
        ("Q1\tAnn\n\tBob\n", "line 2"),
    ],
)
def test_a_table_that_cannot_be_used_is_an_error(write: Write, text: str, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        read_texts(write({"a.tsv": text}) / "a.tsv")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "description,Name\na red lamp,Lamp\na chair,Chair\n"),
        ("t.tsv", "label\tdescription\tIRI\n\ta red lamp\tLamp\n\ta chair\tChair\n"),
        ("t.csv", "id,description\nLamp,a red lamp\nChair,a chair\n"),
        ("t.csv", "Lamp,a red lamp\nChair,a chair\n"),
    ],
)
def test_names_are_where_the_header_says(write: Write, name: str, text: str) -> None:
    read = read_texts(write({name: text}) / name)
    assert read.names.names.to_list() == ["Lamp", "Chair"]
    assert read.texts.to_list() == ["a red lamp", "a chair"]


def test_a_graphs_own_texts_are_labels_names_and_literals(write: Write) -> None:
    label = "<http://www.w3.org/2000/01/rdf-schema#label>"
    place = write(
        {
            "a.nt": "<http://x/Ann_Bee> <http://x/knows> <http://x/b%C3%A9> .\n"
            f'<http://x/b%C3%A9> {label} "Bey" .\n'
            '<http://x/Ann_Bee> <http://x/about> "a queen" .\n'
        }
    )
    texts = Texts.of_graph(read_collection(str(place / "a.nt")).target_graph).texts.to_list()
    assert texts[0] == "Ann Bee. a queen"
    assert texts[1].startswith("Bey")
    assert readable("http://fr.dbpedia.org/resource/1._FC_Union_Berlin") == "1. FC Union Berlin"
    assert readable("plain name") == "plain name"
