import dataclasses
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import ATTRIBUTE_SCHEMA, SPLITS, KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.interchange import from_arrays
from kgraft.io.rdf import RDFS_LABEL
from kgraft.io.read_graph import read_graph
from kgraft.io.write_graph import write_graph

Fact = tuple[int, int, int]


def by_name(graph: KnowledgeGraph) -> dict[str, set[tuple[str, str, str]]]:
    """What a graph says, whatever its numbering."""
    return {
        split: {
            (graph.entities.name(h), graph.relations.name(r), graph.entities.name(t))
            for h, r, t in getattr(graph, split)
        }
        for split in SPLITS
    }


def labels(graph: KnowledgeGraph) -> dict[str, str]:
    given = graph.labels.to_list() if graph.labels is not None else [None] * len(graph.entities)
    names = graph.entities.names.to_list()
    return {name: label for name, label in zip(names, given, strict=True) if label is not None}


def attributes(graph: KnowledgeGraph) -> set[tuple[str | None, ...]]:
    if graph.attributes is None:
        return set()
    return {(graph.entities.name(row), *rest) for row, *rest in graph.attributes.iter_rows()}


def small() -> KnowledgeGraph:
    graph = from_arrays(
        "g",
        [(0, 0, 1), (1, 1, 2)],
        valid=[(2, 0, 0)],
        test=[(2, 1, 1)],
        entities=["a", "http://x/b", "c"],
        relations=["p", "q"],
    )
    return dataclasses.replace(graph, labels=pl.Series(["The A", None, 'Das "C" \\ é']))


@pytest.mark.parametrize(
    ("kind", "compression", "files"),
    [
        ("tsv", "", {"train.tsv", "valid.tsv", "test.tsv", "labels.tsv"}),
        ("tsv", ".gz", {"train.tsv.gz", "valid.tsv.gz", "test.tsv.gz", "labels.tsv.gz"}),
        ("tsv", ".bz2", {"train.tsv.bz2", "valid.tsv.bz2", "test.tsv.bz2", "labels.tsv.bz2"}),
        ("parquet", "", {"train.parquet", "valid.parquet", "test.parquet", "labels.tsv"}),
        ("ntriples", ".zst", {"train.nt.zst", "valid.nt.zst", "test.nt.zst", "literals.nt.zst"}),
    ],
)
def test_what_was_written_reads_back(
    tmp_path: Path, kind: str, compression: str, files: set[str]
) -> None:
    graph = small()
    source = write_graph(graph, tmp_path, format=kind, compression=compression)  # type: ignore[arg-type]
    assert {path.name for path in tmp_path.iterdir()} == files
    again = read_graph(source)
    assert (again.name, by_name(again), labels(again)) == ("g", by_name(graph), labels(graph))


def test_text_files_are_as_plain_as_can_be(tmp_path: Path) -> None:
    write_graph(small(), tmp_path)
    assert (tmp_path / "train.tsv").read_text() == "a\tp\thttp://x/b\nhttp://x/b\tq\tc\n"
    write_graph(small(), tmp_path, format="ntriples")
    assert (tmp_path / "test.nt").read_text() == ("<urn:kgraft:c> <urn:kgraft:q> <http://x/b> .\n")


def test_attributes_survive_in_ntriples(tmp_path: Path) -> None:
    rows = [
        (0, RDFS_LABEL, "The A", "http://www.w3.org/2001/XMLSchema#string", None),
        (1, "own attribute", "3", "http://www.w3.org/2001/XMLSchema#integer", None),
        (2, "http://x/n", 'a "quoted"\nline', None, "de"),
        (2, RDFS_LABEL, "other", None, None),
    ]
    frame = pl.DataFrame(rows, schema=ATTRIBUTE_SCHEMA, orient="row")
    graph = dataclasses.replace(small(), attributes=frame)
    again = read_graph(write_graph(graph, tmp_path, format="ntriples"))
    assert labels(again) == labels(graph)
    values = {
        (entity, name, value, language) for entity, name, value, _, language in attributes(again)
    }
    assert values == {
        ("a", RDFS_LABEL, "The A", None),
        ("http://x/b", "own attribute", "3", None),
        ("c", "http://x/n", 'a "quoted"\nline', "de"),
        ("c", RDFS_LABEL, "other", None),
        # The label that no attribute gave.
        ("c", RDFS_LABEL, 'Das "C" \\ é', None),
    }
    third = read_graph(write_graph(again, tmp_path / "again", format="ntriples"))
    assert attributes(third) == attributes(again)


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a\rb", "", "\ufeffa"])
def test_tsv_refuses_what_it_cannot_hold_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    graph = from_arrays("g", [(0, 0, 1)], entities=["x", name], relations=["p"])
    with pytest.raises(DataError, match="cannot stand in a TSV file"):
        write_graph(graph, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_moves_none_of_its_files(tmp_path: Path) -> None:
    write_graph(small(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    bad = dataclasses.replace(small(), labels=pl.Series(["fine", None, "two\nlines"]))
    swapped = dataclasses.replace(bad, train=np.array([(0, 0, 0)]))
    with pytest.raises(DataError):
        write_graph(swapped, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no facts to train on"):
        write_graph(from_arrays("g", []), tmp_path)


tsv_text = st.text(
    st.characters(codec="utf-8", exclude_characters="\t\r\n\ufeff"), min_size=1, max_size=6
)
any_text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
facts = st.sets(
    st.tuples(st.integers(0, 4), st.integers(0, 1), st.integers(0, 4)), min_size=1, max_size=12
)


def graph_of(
    names: list[str], relations: list[str], triples: set[Fact], n_test: int
) -> KnowledgeGraph:
    ordered = np.array(sorted(triples))
    cut = max(1, len(ordered) - n_test)
    return KnowledgeGraph(
        "g", Vocabulary.of(names), Vocabulary.of(relations), ordered[:cut], test=ordered[cut:]
    )


def unique(text: st.SearchStrategy[str], size: int) -> st.SearchStrategy[list[str]]:
    return st.lists(text, min_size=size, max_size=size, unique=True)


@settings(max_examples=50, deadline=None)
@given(unique(tsv_text, 5), unique(tsv_text, 2), facts, st.integers(0, 5))
@example(["head", "tail", '"', "#", "\x00"], ["relation", " "], {(0, 0, 1), (2, 1, 3)}, 0)
def test_tsv_gives_back_any_names(
    names: list[str], relations: list[str], triples: set[Fact], n_test: int
) -> None:
    graph = graph_of(names, relations, triples, n_test)
    with TemporaryDirectory() as directory:
        # A relation may have the name of sameness by chance.
        source = write_graph(graph, Path(directory)).model_copy(update={"identities": "facts"})
        assert by_name(read_graph(source)) == by_name(graph)


@settings(max_examples=50, deadline=None)
@given(
    unique(any_text, 5),
    unique(any_text, 2),
    facts,
    st.integers(0, 5),
    st.sampled_from(["parquet", "ntriples"]),
)
@example(
    ["urn:kgraft:a", "http://x/ü", "_:b0", "\n", "\ufeff"], ["p", "x:p"], {(0, 0, 1)}, 0, "ntriples"
)
@example(["a", "b", "c", "d", "e"], ["SAMEAS", "p"], {(0, 0, 1)}, 0, "parquet")
def test_parquet_and_ntriples_give_back_any_names(
    names: list[str], relations: list[str], triples: set[Fact], n_test: int, kind: str
) -> None:
    graph = graph_of(names, relations, triples, n_test)
    with TemporaryDirectory() as directory:
        source = write_graph(graph, Path(directory), format=kind)  # type: ignore[arg-type]
        # A relation may have the name of sameness by chance.
        source = source.model_copy(update={"identities": "facts"})
        assert by_name(read_graph(source)) == by_name(graph)
