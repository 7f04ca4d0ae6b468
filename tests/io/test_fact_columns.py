import gzip
import warnings
from pathlib import Path

import polars as pl
import pytest
from table_facts import facts, read

from kgraft.errors import DataError, KgraftWarning
from kgraft.io.columnar import facts_of
from kgraft.io.fact_columns import find_roles
from kgraft.io.interchange import from_frame
from kgraft.io.read_graph import read_graph
from kgraft.io.source import GraphSource

FACT = {"head": "Lyon", "relation": "in_country", "tail": "France"}
HEADERS = [
    ("from", "to", "rel"),
    ("source", "target", "type"),
    ("Head", "Tail", "Relation"),
    ("SUBJECT", "OBJECT", "Predicate"),
    ("h", "t", "r"),
    ("?s", "?o", "?p"),
    ("subject_id", "object_id", "predicate_id"),
    (":START_ID(City)", "id:END_ID(Country)", ":TYPE"),
    ("~from", "~to", "~label"),
    ("node1", "node2", "label"),
    ("startNode", "endNode", "relationship"),
]
"""Names of head, tail and relation."""


@pytest.mark.parametrize("names", HEADERS, ids=lambda names: names[0])
@pytest.mark.parametrize("kind", ["tsv", "csv", "parquet", "arrow", "polars", "pandas"])
def test_names_tell_the_columns_in_every_table(
    tmp_path: Path, names: tuple[str, ...], kind: str
) -> None:
    frame = pl.DataFrame(
        [("Lyon", "France", "in_country"), ("Paris", "France", "in_country")],
        schema=list(names),
        orient="row",
    )
    path = tmp_path / f"f.{kind}"
    if kind in ("polars", "pandas"):
        graph = from_frame("g", frame if kind == "polars" else frame.to_pandas())
    else:
        if kind == "parquet":
            frame.write_parquet(path)
        elif kind == "arrow":
            frame.write_ipc(path)
        else:
            frame.write_csv(path, separator="\t" if kind == "tsv" else ",")
        graph = read_graph(GraphSource(name="g", train=path))
    assert facts(graph) == [("Lyon", "in_country", "France"), ("Paris", "in_country", "France")]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("id subject predicate object relation category", (1, 2, 3)),
        ("head_name head_id relation tail_id tail_name", (1, 2, 3)),
        ("subject object predicate source", (0, 2, 1)),
        ("source relation target type", (0, 1, 2)),
        ("edge_id source target type", (1, 3, 2)),
    ],
)
def test_further_columns_do_not_matter(header: str, expected: tuple[int, ...]) -> None:
    assert tuple(find_roles(header.split()).values()) == expected


@pytest.mark.parametrize(
    "header",
    ["a b c", "from to when", "source target relation predicate", "head head relation tail"],
)
def test_what_names_do_not_tell_is_refused(header: str) -> None:
    names = header.split()
    frame = pl.DataFrame({f"{name}{i}": ["x"] for i, name in enumerate(names)})
    if len(set(names)) == len(names):
        frame.columns = names
        with pytest.raises(DataError, match=rf"{', '.join(names)}\) do not tell which") as caught:
            facts_of(frame)
        assert "Call the three columns" in str(caught.value)
        assert facts_of(frame, ("tail", "relation", "head")).rows() == [("x", "x", "x")]
    assert len(find_roles(names)) < 3


def test_columns_without_names_go_by_position(tmp_path: Path) -> None:
    for names in (("0", "1", "2"), ("column_0", "column_1", "column_2"), ("V1", "V2", "V3")):
        assert facts_of(pl.DataFrame([["a"], ["p"], ["b"]], schema=names)).rows() == [
            ("a", "p", "b")
        ]


def test_a_header_of_two_roles_is_refused_unless_told(tmp_path: Path) -> None:
    text = "from\tto\twhen\na\tb\tp\n"
    with pytest.raises(DataError, match=r"from, to, when\) do not tell .* relation") as caught:
        read(tmp_path / "f.tsv", text)
    assert caught.value.line == 1
    order = ("head", "tail", "relation")
    assert facts(read(tmp_path / "f.tsv", text, columns=order)) == [("a", "p", "b")]
    assert len(read(tmp_path / "f.tsv", text, header=False).train) == 2


def test_a_claimed_header_that_tells_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x, y, z\) do not tell"):
        read(tmp_path / "f.tsv", "x\ty\tz\na\tp\tb\n", header=True)
    assert len(read(tmp_path / "f.tsv", "0\t1\t2\na\tp\tb\n", header=True).train) == 1


def test_given_columns_against_a_header(tmp_path: Path) -> None:
    text, order = "subject\tpredicate\tobject\na\tp\tb\n", ("tail", "relation", "head")
    with pytest.raises(DataError, match="names the columns otherwise"):
        read(tmp_path / "f.tsv", text, columns=order)
    told = read(tmp_path / "f.tsv", text, columns=order, header=True)
    assert facts(told) == [("b", "p", "a")]


@pytest.mark.parametrize(
    "text", ["person\tknows\tobject\na\tp\tb\n", "a\tp\tb\n0\t0\t1\n1\t0\t2\n"], ids=["word", "ids"]
)
def test_a_first_line_like_a_header_is_said(tmp_path: Path, text: str) -> None:
    with pytest.warns(KgraftWarning, match="line 1: the first line .* looks like a header"):
        read(tmp_path / "f.tsv", text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(tmp_path / "f.tsv", text, header=False)
        read(tmp_path / "g.tsv", "object\tis_a\tthing\nthing\tis_a\tobject\nobject\tp\tx\n")


def test_ntriples_under_the_ending_of_text(tmp_path: Path) -> None:
    text = "# facts\n<http://x/a> <http://x/p> <http://x/b.> .\n"
    assert facts(read(tmp_path / "f.txt", text)) == [("http://x/a", "http://x/p", "http://x/b.")]
    tabs = "<http://x/a>\t<http://x/p>\t<http://x/b>\t.\n"
    assert facts(read(tmp_path / "g.tsv", tabs)) == [("http://x/a", "http://x/p", "http://x/b")]
    (tmp_path / "h.txt.gz").write_bytes(gzip.compress(text.encode()))
    assert len(read_graph(GraphSource(name="g", train=tmp_path / "h.txt.gz")).train) == 1
    (tmp_path / "j.txt").write_text(f"<http://x/a b> <http://x/p> <http://x/b> .\n{text}")
    with pytest.raises(DataError, match=r"line 1: not well-formed N-Triples .*malformed=\"skip\""):
        read_graph(GraphSource(name="g", train=tmp_path / "j.txt"))
    table = "<http://x/a>\t<http://x/p>\t<http://x/b>\n"
    assert facts(read(tmp_path / "i.tsv", table)) == [
        ("<http://x/a>", "<http://x/p>", "<http://x/b>")
    ]


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("@prefix x: <http://x/> .\n", 'format = "turtle"'),
        ('<?xml version="1.0"?>\n', 'format = "rdfxml"'),
        ('{"@id": "x"}\n', 'format = "jsonld"'),
        ("a,p,b\n", 'separated by commas: say format = "csv"'),
        ("a;p;b\n", 'separated by semicolons: say format = "csv"'),
        ("a p b\n", "separated by spaces: write tabs"),
        ("a\tp\tb\tc\n", "columns = "),
        ("9" * 5000 + "\n0\t1\t0\n", "one column each"),
    ],
)
def test_another_format_is_named(tmp_path: Path, text: str, remedy: str) -> None:
    with pytest.raises(DataError, match="expected 3 columns separated by tabs") as caught:
        read(tmp_path / "f.tsv", text)
    assert remedy in str(caught.value)


@pytest.mark.parametrize("separator", [" ", "\t"])
def test_openke_facts_have_a_count_and_tails_before_relations(
    tmp_path: Path, separator: str
) -> None:
    text = "2\n0 1 5\n1 2 6\n".replace(" ", separator)
    expected = [("0", "5", "1"), ("1", "6", "2")]
    assert facts(read(tmp_path / "f.txt", text)) == expected
    order = ("head", "tail", "relation")
    assert facts(read(tmp_path / "f.txt", text, columns=order, header=True)) == expected
    for count in ("\t\t2", "2\t"):
        with pytest.raises(DataError, match="counts 2 facts, and 1 follow"):
            read(tmp_path / "tabs.tsv", f"{count}\n0\t1\t0\n")
    with pytest.raises(DataError, match="counts 3 facts, and 2 follow"):
        read(tmp_path / "f.txt", text.replace("2", "3", 1))


def test_a_quoted_header_means_quoted_cells(tmp_path: Path) -> None:
    text = '"subject"\t"object"\t"predicate"\n"a ""1"""\t"b"\t"p"\n2\t"b"\tp"\n'
    graph = read(tmp_path / "f.tsv", text)
    assert facts(graph) == [("2", 'p"', "b"), ('a "1"', "p", "b")]
    with pytest.raises(DataError, match="the tail is empty") as caught:
        read(tmp_path / "f.tsv", text + '"a"\t""\t"p"\n')
    assert caught.value.line == 4
    plain = read(tmp_path / "f.tsv", 'head\trelation\ttail\n"a"\t"p"\t"b"\n')
    assert facts(plain) == [('"a"', '"p"', '"b"')]
