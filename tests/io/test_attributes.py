"""Attributes of entities come from tables of their own, and from literals among the facts."""

from __future__ import annotations

import warnings
from pathlib import Path

import polars as pl
import pytest

from kgraft.errors import DataError, KgraftWarning
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.io.read_collection import read_collection
from kgraft.io.read_graph import read_graph
from kgraft.io.source import GraphSource

XSD = "http://www.w3.org/2001/XMLSchema#"
LANG = "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString"
FACTS = "a\tr\tb\nc\tr\tb\n"
VALUES = (
    "a\tname\tEast One\n"
    'd\tname\t"Four"@en-GB\n'
    'c\tdate\t"1846-10-07"^^<http://www.w3.org/2001/XMLSchema#date>\n'
    'c\tsize\t"7"^^xsd:int\n'
    'c\tquote\t"a \\"b\\" \\u00e9"\n'
    'c\tpath\tC:\\new "x"\n'
)
EXPECTED = [
    ("a", "name", "East One", f"{XSD}string", None),
    ("c", "date", "1846-10-07", f"{XSD}date", None),
    ("c", "path", 'C:\\new "x"', f"{XSD}string", None),
    ("c", "quote", 'a "b" \u00e9', f"{XSD}string", None),
    ("c", "size", "7", f"{XSD}int", None),
    ("d", "name", "Four", LANG, "en-GB"),
]
"""By entity and attribute, whatever the order of the lines."""


def graph_of(directory: Path, **more: object) -> KnowledgeGraph:
    place = {"train": (directory / "facts",), **more}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_graph(GraphSource(name="g", **place))  # type: ignore[arg-type]


def attributes(graph: KnowledgeGraph) -> list[tuple[object, ...]]:
    assert graph.attributes is not None
    assert graph.attributes["entity"].dtype == pl.Int64
    return [(graph.entities.name(row), *rest) for row, *rest in graph.attributes.iter_rows()]


def test_a_table_of_attributes_without_an_ending(write) -> None:
    directory = write({"facts": FACTS, "values": VALUES})
    graph = graph_of(directory, attributes=(directory / "values",))
    assert graph.entities.names.to_list() == ["a", "b", "c", "d"]
    assert graph.relations.names.to_list() == ["r"]
    assert attributes(graph) == EXPECTED


def test_a_header_and_csv(write) -> None:
    table = 'value,subject,property\nx,a,name\n"""y""@fr",d,name\n'
    directory = write({"facts": FACTS, "v.csv": table})
    graph = graph_of(directory, attributes=(directory / "v.csv",))
    assert attributes(graph) == [
        ("a", "name", "x", f"{XSD}string", None),
        ("d", "name", "y", LANG, "fr"),
    ]


def test_a_value_may_hold_tabs_and_quotes(write) -> None:
    values = 'a\tname\tEast\tOne\r\n\na\tsize\t5"\na\tnote\t"x\ty"@en\n'
    directory = write({"facts": FACTS, "values": values})
    graph = graph_of(directory, attributes=(directory / "values",))
    assert [row[2] for row in attributes(graph)] == ["East\tOne", "x\ty", '5"']


def test_ids_of_a_list_of_names(write) -> None:
    directory = write({"facts": "0\tr\t1\n", "names": "a\nb\nd\n", "values": "2\tsize\t5\n"})
    more = {"entities": directory / "names", "attributes": (directory / "values",)}
    assert attributes(graph_of(directory, **more)) == [("d", "size", "5", f"{XSD}string", None)]
    write({"values": "2\tsize\t5\n3\tsize\t5\n"})
    with pytest.raises(DataError, match=r"values, line 2: the entity is 3, outside 0 to 2"):
        graph_of(directory, **more)


def test_rdf_gives_its_literals(write) -> None:
    text = '<x:d> <x:name> "Four"@en .\n<x:d> <x:r> <x:e> .\n'
    directory = write({"facts": FACTS, "v.nt": text, "v.txt": text.splitlines()[0]})
    with pytest.warns(KgraftWarning, match=r"v\.nt: 1 facts among the attributes were left out"):
        graph = read_graph(
            GraphSource(name="g", train=directory / "facts", attributes=directory / "v.nt")
        )
    assert graph.entities.names.to_list() == ["a", "b", "c", "x:d"]
    assert attributes(graph) == [("x:d", "x:name", "Four", LANG, "en")]
    assert attributes(graph_of(directory, attributes=(directory / "v.txt",))) == attributes(graph)


def test_literals_among_facts_are_attributes(write) -> None:
    directory = write({"facts": FACTS + '"Heroes"\tby\t"Bowie" (band)\n' + VALUES.split("\n")[1]})
    graph = graph_of(directory)
    assert len(graph.train) == 3
    assert graph.entities.names.to_list() == ['"Bowie" (band)', '"Heroes"', "a", "b", "c", "d"]
    assert attributes(graph) == EXPECTED[-1:]


@pytest.mark.parametrize("name", ["attr_triples_1", "attr_triples_2.tsv", "attribute_triples"])
def test_attributes_given_as_facts_by_their_own_name(write, name: str) -> None:
    directory = write({"facts": FACTS, name: VALUES})
    train = (directory / "facts", directory / name)
    with pytest.warns(KgraftWarning, match="read as attributes of entities, as its name says"):
        graph = read_graph(GraphSource(name="g", train=train))
    assert len(graph.train) == 2
    assert attributes(graph) == EXPECTED


def test_rows_without_a_value_are_left_out_and_counted(write) -> None:
    directory = write({"facts": FACTS, "values": "a\tname\t\nc\tname\tC\nb\tname\r\n"})
    source = GraphSource(name="g", train=directory / "facts", attributes=directory / "values")
    with pytest.warns(KgraftWarning, match="values: 2 attributes have no value"):
        assert len(attributes(read_graph(source))) == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("v.tsv", "a\tname\n", "none of 1 attributes has a value"),
        ("v.csv", "a,name\n", "none of 1 attributes has a value"),
        ("v.tsv", "", "holds no rows"),
        ("v.tsv", b"a\tname\tx\n\xff\tname\tx\n", "line 2: .*UTF-8"),
        ("v.tsv", "a\tname\tx\n\na name x\n", "line 3: expected 3 columns .*, found 1"),
        ("v.csv", "a,name,x\na,name,x,y\n", "line 2: expected 3 columns"),
        ("v.tsv", "a\t\tx\n", "line 1: the attribute is empty"),
        ("v.parquet", "", "attributes are not read from parquet"),
        ("v.dat", "", "names no known format"),
    ],
)
def test_what_is_no_table_of_attributes_is_refused(write, name, text, message) -> None:
    directory = write({"facts": FACTS, name: text})
    with pytest.raises(DataError, match=message):
        graph_of(directory, attributes=(directory / name,))


def test_a_collection_names_them_beside_itself(write) -> None:
    directory = write(
        {
            "facts": FACTS,
            "values": VALUES,
            "other.tsv": "D\tr\tE\n",
            "links": "d\tD\n",
            "c.toml": '[[source]]\nname = "g"\ntrain = "facts"\nattributes = "values"\n'
            '[[source]]\nname = "h"\ntrain = "other.tsv"\n'
            '[[links]]\nleft = "g"\nright = "h"\npath = "links"\n',
        }
    )
    assert read_collection(directory / "c.toml").links[0].pairs.tolist() == [[3, 0]]
