"""Facts known to be false, and facts stated with a confidence, in the files of a graph."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from kgraft.errors import DataError, KgraftWarning
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.io.interchange import from_arrays, from_frame
from kgraft.io.read_collection import read_collection
from kgraft.io.read_graph import read_graph
from kgraft.io.source import GraphSource
from kgraft.io.write_graph import write_graph

FACTS = "a\tp\tb\nb\tp\tc\nc\tp\td\n"


def read(directory: Path, **files: str) -> KnowledgeGraph:
    """Read a collection of one source from ``KEY__ENDING = text``."""
    lines = ["[[source]]", 'name = "mine"']
    for key, text in files.items():
        name, _, ending = key.partition("__")
        if not ending:
            lines.append(f"{name} = {text}")
            continue
        (directory / f"{name}.{ending}").write_text(text)
        lines.append(f'{name} = "{name}.{ending}"')
    (directory / "collection.toml").write_text("\n".join(lines))
    return read_collection(directory).target_graph


def false_of(graph: KnowledgeGraph) -> list[str]:
    heads, relations, tails = graph.known_false.T
    names = graph.entities.names
    columns = (names.gather(heads), graph.relations.names.gather(relations), names.gather(tails))
    return [" ".join(row) for row in zip(*columns, strict=True)]


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        ("tsv", "a\tp\td\nb\tp\td\na\tp\td\n"),
        ("csv", "tail,relation,head\nd,p,a\nd,p,b\n"),
        ("nt", "<urn:kgraft:a> <urn:kgraft:p> <urn:kgraft:d> .\n"),
    ],
)
def test_negatives_come_in_any_format_and_each_once(tmp_path: Path, ending: str, text: str) -> None:
    if ending == "nt":
        facts = "<urn:kgraft:a> <urn:kgraft:p> <urn:kgraft:b> .\n"
        facts += "<urn:kgraft:c> <urn:kgraft:p> <urn:kgraft:d> .\n"
        found = read(tmp_path, train__nt=facts, negatives__nt=text)
    else:
        found = read(tmp_path, train__tsv=FACTS, **{f"negatives__{ending}": text})
    assert false_of(found) == ["a p d", "b p d"][: 1 + (ending != "nt")]


def test_negatives_change_neither_facts_nor_their_splits(tmp_path: Path) -> None:
    facts = "".join(f"e{x % 20}\tp\te{x * x % 19}\n" for x in range(300))
    split = "{ valid = 0.2, test = 0.2 }"
    (tmp_path / "with").mkdir()
    plain = read(tmp_path, train__tsv=facts, split=split)
    other = read(tmp_path / "with", train__tsv=facts, split=split, negatives__tsv="e1\tp\te18\n")
    assert plain.entities == other.entities
    for part in ("train", "valid", "test"):
        np.testing.assert_array_equal(getattr(plain, part), getattr(other, part))


def test_numbered_negatives_are_of_the_lists(tmp_path: Path) -> None:
    (tmp_path / "entities.txt").write_text("ann\nbob\ncay\n")
    (tmp_path / "relations.txt").write_text("likes\n")
    lists = {"entities": '"entities.txt"', "relations": '"relations.txt"'}
    found = read(tmp_path, train__tsv="0\t0\t1\n", negatives__tsv="1\t0\t2\n", **lists)
    assert false_of(found) == ["bob likes cay"]
    with pytest.raises(DataError, match=r"negatives\.tsv, line 1: the tail is 7, outside 0 to 2"):
        read(tmp_path, train__tsv="0\t0\t1\n", negatives__tsv="1\t0\t7\n", **lists)


def test_negatives_of_unknown_names_are_left_out_and_counted(tmp_path: Path) -> None:
    told = r"negatives\.tsv, line 2: 2 of 3 facts known to be false .*\('z', 'p', 'a'\)"
    with pytest.warns(KgraftWarning, match=told):
        found = read(tmp_path, train__tsv=FACTS, negatives__tsv="a\tp\td\nz\tp\ta\na\tq\tb\n")
    assert false_of(found) == ["a p d"]
    assert "z" not in found.entities


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_fact_both_stated_and_negated_names_both_files(tmp_path: Path, split: str) -> None:
    stated = (
        {"train__tsv": FACTS}
        if split == "train"
        else {"train__tsv": FACTS, "test__tsv": "d\tp\ta\n"}
    )
    negated = "a\tp\td\nb\tp\tc\n" if split == "train" else "d\tp\ta\n"
    with pytest.raises(DataError) as caught:
        read(tmp_path, **stated, negatives__tsv=negated)
    line = 2 if split == "train" else 1
    assert caught.value.path == str(tmp_path / "negatives.tsv")
    assert caught.value.line == line
    assert f"stated in {tmp_path / split}.tsv, line {line}" in str(caught.value)
    assert "Take it out of one of the two" in str(caught.value)


def test_negatives_lie_below_their_collection(tmp_path: Path) -> None:
    (tmp_path / "secret.tsv").write_text("a\tp\td\n")
    (tmp_path / "below").mkdir()
    with pytest.raises(DataError, match="--allow-outside"):
        read(tmp_path / "below", train__tsv=FACTS, negatives='"../secret.tsv"')


def test_graphs_in_memory_have_negatives_too() -> None:
    facts = pl.DataFrame({"head": ["a", "b"], "relation": ["p", "p"], "tail": ["b", "c"]})
    false = pl.DataFrame({"head": ["a", "z"], "relation": ["p", "p"], "tail": ["c", "c"]})
    with pytest.warns(KgraftWarning, match="1 of 2 facts known to be false"):
        assert false_of(from_frame("g", facts, known_false=false)) == ["a p c"]
    assert false_of(from_arrays("g", [(0, 0, 1)], known_false=[(1, 0, 0)])) == ["1 0 0"]
    with pytest.raises(DataError, match="the fact 0 0 1 is known to be false, and stated too"):
        from_arrays("g", [(0, 0, 1)], known_false=[(0, 0, 1)])


# ---------------------------------------------------------------------------------- confidences


@pytest.mark.parametrize("name", ["confidence", "Weight", "score", "PROBABILITY", "ex:prob"])
def test_a_column_of_confidences_is_found_by_its_name(tmp_path: Path, name: str) -> None:
    table = f"{name}\thead\trelation\ttail\n0.5\ta\tp\tb\n\tb\tp\tc\n1\tc\tp\td\n"
    found = read(tmp_path, train__tsv=table)
    assert found.confidence["train"].tolist() == [0.5, 1.0, 1.0]
    assert found.to_frame()["confidence"].to_list() == [0.5, 1.0, 1.0]


def test_columns_may_give_or_leave_out_the_confidence(tmp_path: Path) -> None:
    table = "a\tp\tb\t0.5\nb\tp\tc\t0.25\n"
    given = read(tmp_path, train__tsv=table, columns='["head", "relation", "tail", "confidence"]')
    assert given.confidence["train"].tolist() == [0.5, 0.25]
    left_out = read(tmp_path, train__tsv=table, columns='["head", "relation", "tail", "_"]')
    assert left_out.confidence == {}


def test_parquet_has_confidences(tmp_path: Path) -> None:
    frame = pl.DataFrame({"s": ["a", "b"], "p": ["p", "p"], "o": ["b", "c"], "weight": [0.5, None]})
    frame.write_parquet(tmp_path / "facts.parquet")
    found = read_graph(GraphSource(name="g", train=tmp_path / "facts.parquet"))
    assert found.confidence["train"].tolist() == [0.5, 1.0]


def test_a_confidence_out_of_range_is_an_error(tmp_path: Path) -> None:
    table = "head\trelation\ttail\tconfidence\na\tp\tb\t0.5\nb\tp\tc\t0\n"
    with pytest.raises(DataError, match=r"train\.tsv, line 3: the confidence 0 is no confidence"):
        read(tmp_path, train__tsv=table)
    frame = pl.DataFrame({"h": ["a"], "r": ["p"], "t": ["b"], "probability": ["likely"]})
    with pytest.raises(DataError, match="the probability likely in row 1 is no confidence"):
        from_frame("g", frame)


def test_a_weight_that_is_no_confidence_is_left_out_and_counted(tmp_path: Path) -> None:
    table = "head\trelation\ttail\tweight\na\tp\tb\t0.5\nb\tp\tc\t3\nc\tp\td\t12\n"
    with pytest.warns(
        KgraftWarning, match=r"train\.tsv, line 3: the column 'weight' .* 2 of its 3"
    ):
        found = read(tmp_path, train__tsv=table)
    assert (len(found.train), found.confidence) == (3, {})


def test_a_repeated_fact_has_its_highest_confidence_in_its_split() -> None:
    frame = pl.DataFrame(
        {"h": ["a", "b", "a"], "r": ["p"] * 3, "t": ["b", "c", "b"], "prob": [0.2, 0.4, 0.7]}
    )
    found = from_frame("g", frame)
    assert found.train.tolist() == [[0, 0, 1], [1, 0, 2]]
    assert found.confidence["train"].tolist() == [0.7, 0.4]


def test_drawn_splits_keep_each_facts_confidence(tmp_path: Path) -> None:
    rows = [f"e{x % 20}\tp\te{x // 20}\t{(x + 1) / 500}" for x in range(300)]
    table = "\n".join(["head\trelation\ttail\tconfidence", *rows])
    found = read(tmp_path, train__tsv=table, split="{ valid = 0.2, test = 0.2 }")
    frame = found.to_frame()
    assert set(frame["split"]) == {"train", "valid", "test"}
    number = 20 * frame["tail"].str.slice(1).cast(pl.Int64)
    number += frame["head"].str.slice(1).cast(pl.Int64)
    assert (frame["confidence"] * 500 - 1 - number).abs().max() < 1e-9


@pytest.mark.parametrize("kind", ["tsv", "parquet"])
def test_written_graphs_keep_negatives_and_confidences(tmp_path: Path, kind: str) -> None:
    frame = pl.DataFrame(
        {"h": ["a", "b", "c"], "r": ["p"] * 3, "t": ["b", "c", "a"], "prob": [0.2, 0.4, 1.0]}
    )
    false = pl.DataFrame({"h": ["b"], "r": ["p"], "t": ["a"]})
    graph = from_frame("g", frame, known_false=false)
    again = read_graph(write_graph(graph, tmp_path, format=kind))  # type: ignore[arg-type]
    assert again.confidence["train"].tolist() == [0.2, 0.4, 1.0]
    assert false_of(again) == ["b p a"]
    with pytest.raises(DataError, match="which N-Triples cannot hold"):
        write_graph(graph, tmp_path, format="ntriples")


def test_a_graph_checks_its_confidences() -> None:
    graph = from_arrays("g", [(0, 0, 1), (1, 0, 2)])
    for wrong in ([0.5], [0.0, 1.0], [0.5, 1.5], [np.nan, 1.0]):
        with pytest.raises(ValueError, match="needs a confidence"):
            KnowledgeGraph(
                "g", graph.entities, graph.relations, graph.train,
                confidence={"train": np.array(wrong)},
            )  # fmt: skip
    some = KnowledgeGraph(
        "g", graph.entities, graph.relations, graph.train,
        confidence={"train": np.array([0.25, 0.5])},
    ).select(train=np.array([False, True]))  # fmt: skip
    assert (some.train.tolist(), some.confidence["train"].tolist()) == ([[1, 0, 2]], [0.5])


def test_spelling_that_is_normalised_is_so_in_negatives(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read(
            tmp_path,
            train__tsv="http://x/a\tp\thttp://x/b\n",
            negatives__tsv="https://x/b/\tp\thttp://x/a\n",
            spelling='"normal"',
        )
    assert false_of(found) == ["http://x/b p http://x/a"]
