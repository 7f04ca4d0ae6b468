import gzip
import os
from pathlib import Path

import polars as pl
import pytest

from kgraft.errors import DataError, KgraftWarning
from kgraft.graph.knowledge_graph import ATTRIBUTE_SCHEMA, KnowledgeGraph
from kgraft.io.file_formats import ENDINGS, format_of
from kgraft.io.read_collection import read_collection
from kgraft.io.read_graph import read_graph
from kgraft.io.source import GraphSource, Split


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).write_text(content)
    return root


def read(root: Path, **settings: object) -> KnowledgeGraph:
    for key in ("train", "valid", "test", "entities", "relations", "labels"):
        if isinstance(settings.get(key), str):
            settings[key] = root / str(settings[key])
    return read_graph(GraphSource.model_validate({"name": "g", **settings}))


def named(graph: KnowledgeGraph, split: str = "train") -> list[tuple[str, str, str]]:
    return [
        (graph.entities.name(h), graph.relations.name(r), graph.entities.name(t))
        for h, r, t in getattr(graph, split)
    ]


def test_the_format_goes_by_the_ending(tmp_path: Path) -> None:
    assert format_of(Path("a.TSV.gz")) == "tsv"
    assert {format_of(Path(f"a{ending}")) for ending in ENDINGS} == set(ENDINGS.values())
    with pytest.raises(DataError, match=r"'\.bin' names no known format"):
        read(tmp_path, train="facts.bin")


def test_all_files_of_a_graph_share_their_names(tmp_path: Path) -> None:
    write(tmp_path, {"t.tsv": "b\tp\ta\n", "v.csv": "a,p,c\n", "e.nt": "<x:d> <x:q> <x:e> .\n"})
    pl.DataFrame({"h": ["c"], "r": ["p"], "t": ["b"]}).write_parquet(tmp_path / "t.parquet")
    graph = read(
        tmp_path, train=[tmp_path / "t.tsv", tmp_path / "t.parquet"], valid="v.csv", test="e.nt"
    )
    assert graph.entities.names.to_list() == ["a", "b", "c", "x:d", "x:e"]
    assert graph.relations.names.to_list() == ["p", "x:q"]
    assert graph.train.tolist() == [[1, 0, 0], [2, 0, 1]]
    assert (graph.valid.tolist(), graph.test.tolist()) == ([[0, 0, 2]], [[3, 1, 4]])


def test_a_format_that_is_named_outranks_the_ending(tmp_path: Path) -> None:
    write(tmp_path, {"facts.data": "a,p,b\n"})
    assert named(read(tmp_path, train="facts.data", format="csv")) == [("a", "p", "b")]


def test_columns_and_headers(tmp_path: Path) -> None:
    write(tmp_path, {"f.tsv": "Subject\tObject\tPredicate\na\tb\tp\n", "g.tsv": "b\t1\tp\ta\n"})
    assert named(read(tmp_path, train="f.tsv")) == [("a", "p", "b")]
    columns = ("tail", "weight", "relation", "head")
    assert named(read(tmp_path, train="g.tsv", columns=columns)) == [("a", "p", "b")]


def test_line_numbers_of_lists(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"f.tsv": "1.0\tp\t2\n2\tq\t0\n", "e.txt": "a\tThe A\nb\nc\nunused\n", "r.txt": "p\nq\n"},
    )
    graph = read(tmp_path, train="f.tsv", entities="e.txt")
    assert named(graph) == [("b", "p", "c"), ("c", "q", "a")]
    assert len(graph.entities) == 4
    assert graph.label(0) == "The A"
    write(tmp_path, {"f.tsv": "1\t1\t2\n"})
    both = read(tmp_path, train="f.tsv", entities="e.txt", relations="r.txt")
    assert named(both) == [("b", "q", "c")]


@pytest.mark.parametrize(
    ("facts", "line", "problem"),
    [
        ("0\t0\t1\n0\t0\t2\n", 2, "the tail is 2, outside 0 to 1"),
        ("0\t0\t1\n\nnan\t0\t1\n", 3, "the head is 'nan', not a whole number"),
        ("head\trelation\ttail\n0\t0.5\t1\n", 2, "the relation is '0.5', not a whole number"),
        ("0\t-1\t1\n", 1, "the relation is -1, outside 0 to 0"),
    ],
)
def test_bad_line_numbers(tmp_path: Path, facts: str, line: int, problem: str) -> None:
    write(tmp_path, {"f.tsv": facts, "e.txt": "a\nb\n", "r.txt": "p\n"})
    with pytest.raises(DataError, match=problem) as caught:
        read(tmp_path, train="f.tsv", entities="e.txt", relations="r.txt")
    assert (caught.value.path, caught.value.line) == (str(tmp_path / "f.tsv"), line)


def test_lists_do_not_go_with_rdf(tmp_path: Path) -> None:
    write(tmp_path, {"f.nt": "<x:a> <x:p> <x:b> .\n", "e.txt": "a\n"})
    with pytest.raises(DataError, match="RDF names its entities"):
        read(tmp_path, train="f.nt", entities="e.txt")


def test_labels_from_a_file(tmp_path: Path) -> None:
    write(tmp_path, {"f.tsv": "a\tp\tb\n", "l.tsv": "b\tThe B\nx\tnobody\n"})
    graph = read(tmp_path, train="f.tsv", labels="l.tsv")
    assert [graph.label(0), graph.label(1)] == ["a", "The B"]


def test_rdf_literals_become_attributes_and_labels(tmp_path: Path) -> None:
    label = "http://www.w3.org/2000/01/rdf-schema#label"
    body = f'<x:a> <x:p> <x:b> .\n<x:b> <{label}> "Le B"@fr .\n<x:b> <{label}> "B"@en .\n'
    write(tmp_path, {"f.nt": body, "g.nt": '<x:alone> <x:n> "5" .\n'})
    graph = read(tmp_path, train=[tmp_path / "f.nt", tmp_path / "g.nt"])
    assert graph.entities.names.to_list() == ["x:a", "x:alone", "x:b"]
    assert graph.labels is not None
    assert graph.labels.to_list() == [None, None, "B"]
    assert graph.attributes is not None
    assert dict(graph.attributes.schema) == ATTRIBUTE_SCHEMA
    assert graph.attributes.select("entity", "value", "language").rows() == [
        (1, "5", None),
        (2, "B", "en"),
        (2, "Le B", "fr"),
    ]


def test_a_statement_of_two_named_graphs_is_one_fact(tmp_path: Path) -> None:
    write(tmp_path, {"f.nq": "<x:a> <x:p> <x:b> <x:g> .\n<x:a> <x:p> <x:b> <x:h> .\n"})
    graph = read(tmp_path, train="f.nq")
    assert (len(graph.train), graph.duplicates) == (1, 1)


def test_train_that_repeats_test_names_file_and_line(tmp_path: Path) -> None:
    write(tmp_path, {"f.tsv": "\na\tp\tb\nb\tp\ta\n", "t.tsv": "b\tp\ta\n"})
    with pytest.warns(KgraftWarning, match=r"f\.tsv, line 3: train of 'g' repeats 1 fact"):
        graph = read(tmp_path, train="f.tsv", test="t.tsv")
    assert named(graph) == [("a", "p", "b")]
    assert named(graph, "test") == [("b", "p", "a")]


def test_a_split_is_made_after_duplicates_are_gone(tmp_path: Path) -> None:
    lines = "".join(f"e{h}\tp\te{t}\n" for h in range(10) for t in range(10))
    (tmp_path / "f.tsv.gz").write_bytes(gzip.compress((lines * 2).encode()))
    graph = read(tmp_path, train="f.tsv.gz", split=Split(valid=0.1, test=0.2, seed=1))
    assert len(graph.train) + len(graph.valid) + len(graph.test) == 100
    assert graph.duplicates == 100
    assert len(set(map(tuple, graph.triples.tolist()))) == 100


@pytest.mark.skipif("KGRAFT_DATA" not in os.environ, reason="KGRAFT_DATA does not name real data")
@pytest.mark.parametrize(
    ("folder", "sizes"),
    [
        ("wn18rr", (40943, 11, 86835, 3034, 3134)),
        ("codex/codex-m", (17050, 51, 185584, 10310, 10311)),
    ],
)
def test_published_sizes(folder: str, sizes: tuple[int, ...]) -> None:
    root = Path(os.environ["KGRAFT_DATA"]) / folder
    graph = read(root, train="train.txt", valid="valid.txt", test="test.txt")
    splits = (len(graph.train), len(graph.valid), len(graph.test))
    assert (len(graph.entities), len(graph.relations), *splits) == sizes


@pytest.mark.parametrize(
    ("name", "text", "advice"),
    [
        ("f.json", '[{"head": "a", "relation": "r", "tail": "b"}]', "no JSON-LD"),
        ("f.json", '{"type":"node","id":"0"}\n{"type":"node","id":"1"}\n', "no JSON-LD"),
        ("f.json", '{"edges": []}', "no JSON-LD"),
        ("f.jsonl", '{"type":"node","id":"0"}\n', "Export its edges as CSV"),
        ("f.graphml", "<graphml/>", "Export its edges as CSV"),
        ("f.xlsx", "PK", "Save the sheet as CSV"),
        ("f.zip", "PK", "Unpack it"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, name: str, text: str, advice: str) -> None:
    (tmp_path / name).write_text(text)
    for read in (lambda x: read_graph(GraphSource(name="g", train=x)), read_collection):
        with pytest.raises(DataError) as caught:
            read(tmp_path / name)
        assert advice in str(caught.value)
