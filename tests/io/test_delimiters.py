"""CSV of other signs than commas, and texts that are not UTF-8."""

from __future__ import annotations

from pathlib import Path

import pytest

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.io.read_graph import read_graph
from kgraft.io.read_links import read_links
from kgraft.io.source import GraphSource

FACTS = [("Lyon, Rhône", "in_country", "France"), ("Nice", "in_country", "France")]


def read(path: Path, text: str, name: str = "g", **options: object) -> KnowledgeGraph:
    path.write_text(text)
    return read_graph(GraphSource(name=name, train=path, **options))  # type: ignore[arg-type]


def facts(graph: KnowledgeGraph) -> list[tuple[str, str, str]]:
    e, r = graph.entities, graph.relations
    return [(e.name(h), r.name(p), e.name(t)) for h, p, t in graph.train]


def table(sign: str, header: str = "") -> str:
    return "".join(
        sign.join(cells) + "\n" for cells in [*([header.split()] * bool(header)), *FACTS]
    )


@pytest.mark.parametrize("sign", [";", "\t", "|"])
@pytest.mark.parametrize("header", ["", "head relation tail"])
@pytest.mark.parametrize("stated", ["", "sep={}\n", '"sep={}"\r\n'])
def test_csv_may_have_another_sign(tmp_path: Path, sign: str, header: str, stated: str) -> None:
    text = stated.format(sign) + table(sign, header)
    assert facts(read(tmp_path / "f.csv", text)) == FACTS


def test_a_header_of_another_order_counts_there_too(tmp_path: Path) -> None:
    text = 'sep=;\nto;rel;from\n"Fran;ce";in;Lyon\n'
    assert facts(read(tmp_path / "f.csv", text)) == [("Lyon", "in", "Fran;ce")]


def test_commas_are_what_the_ending_says(tmp_path: Path) -> None:
    text = "a;1,in;2,b;3\nc;1,in;2,d;3\n"
    assert facts(read(tmp_path / "f.csv", text))[0] == ("a;1", "in;2", "b;3")


def test_a_wrong_row_keeps_its_line(tmp_path: Path) -> None:
    rows = "a;in;b\n" * 30
    with pytest.raises(DataError, match="line 32: expected 3 columns separated by semicolons"):
        read(tmp_path / "f.csv", f"sep=;\n{rows}a;in\n")


def test_links_and_attributes_may_have_semicolons(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("entity;attribute;value\nNice;name;Nice, France\n")
    graph = read(tmp_path / "f.csv", table(";"), attributes=tmp_path / "a.csv")
    assert graph.attributes is not None
    assert graph.attributes["value"].to_list() == ["Nice, France"]
    (tmp_path / "l.csv").write_text("sep=;\nNice;Nice;0.5\nFrance;France;0.25\n")
    links = read_links(tmp_path / "l.csv", graph, read(tmp_path / "f.csv", table(";"), "h"))
    assert links.confidence.tolist() == [0.5, 0.25]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["f.tsv", "f.csv", "f.nt", "f.ttl", "f.rdf", "f.jsonld"])
def test_utf_16_is_named(tmp_path: Path, name: str, encoding: str) -> None:
    (tmp_path / name).write_bytes(("\ufeff" + table("\t")).encode(encoding))
    with pytest.raises(DataError, match=r"line 1: the text is UTF-16.*Save it as UTF-8"):
        read_graph(GraphSource(name="g", train=tmp_path / name))


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [
        ("f.tsv", "a\tr\tb\t0,9\n", '"tail", "confidence"'),
        ("f.tsv", "a\tr\tb\t0.9\n", '"tail", "confidence"'),
        ("f.tsv", "head\trelation\ttail\tconfidence\na\tr\tb\t0,9\n", "decimal comma as a point"),
        ("f.tsv", "head\trelation\ttail\tweight\na\tr\tb\t0,9\n", "decimal comma as a point"),
        ("f.csv", "head;relation;tail;conf\na;r;b;0,9\n", "decimal comma as a point"),
        ("f.csv", "a,r,b,0,9\n", "the last number with a point"),
    ],
)
def test_a_decimal_comma_is_named(tmp_path: Path, name: str, text: str, remedy: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path / name, text)
    assert remedy in str(caught.value)


def test_a_decimal_comma_of_a_link_is_named(tmp_path: Path) -> None:
    graph = read(tmp_path / "f.csv", table(";"))
    (tmp_path / "l.tsv").write_text("Nice\tNice\t0,5\n")
    with pytest.raises(DataError, match=r"line 1: the confidence '0,5' .*comma as a point"):
        read_links(tmp_path / "l.tsv", graph, graph)
