"""Reviewed files, and what their decisions change in a graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.io.decisions import DecisionCounts, decide, read_decisions, with_decisions
from kgraft.io.interchange import from_arrays
from kgraft.linking.collection import collect

HEADER = "decision,head,relation,tail,probability"


def graph() -> KnowledgeGraph:
    """a, b, =c and d; a p b, b p =c; d p a is a test fact; a p d is known to be false."""
    return from_arrays(
        "mine",
        [(0, 0, 1), (1, 0, 2)],
        test=[(3, 0, 0)],
        known_false=[(0, 0, 3)],
        entities=["a", "b", "=c", "d"],
        relations=["p"],
    )


def review(directory: Path, *lines: str, header: str = HEADER) -> Path:
    path = directory / "review.csv"
    path.write_bytes(("\ufeff" + "\r\n".join([header, *lines, ""])).encode())
    return path


def test_accepted_facts_are_facts_and_refused_ones_known_to_be_false(tmp_path: Path) -> None:
    path = review(
        tmp_path,
        "Accept,b,p,d,0.9",
        "accepted,a,p,b,0.9",
        " yes ,d,p,a,0.8",
        "refuse,b,p,a,0.7",
        "No,a,p,d,0.7",
        ",b,p,b,0.6",
        "accept,'=c,p,a,0.5",
        "accept,b,p,d,0.9",
    )
    own = graph()
    found, counts = decide(own, read_decisions(path), path)
    assert counts == DecisionCounts(accepted=2, stated=2, refused=1, undecided=1)
    assert str(counts) == ("2 accepted (beside 2 stated already), 1 refused, 1 without a decision")
    assert found.train.tolist() == [*own.train.tolist(), [1, 0, 3], [2, 0, 0]]
    assert found.test.tolist() == own.test.tolist()
    assert found.known_false.tolist() == [[0, 0, 3], [1, 0, 0]]
    assert found.confidence == {}


def test_accepted_facts_are_sure(tmp_path: Path) -> None:
    own = graph()
    given = {"train": np.array([0.5, 1.0])}
    own = KnowledgeGraph("mine", own.entities, own.relations, own.train, confidence=given)
    found, _ = decide(own, read_decisions(review(tmp_path, "accept,b,p,d,0.9")))
    assert found.confidence["train"].tolist() == [0.5, 1.0, 1.0]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_spreadsheet_may_separate_otherwise(tmp_path: Path, separator: str) -> None:
    lines = [x.replace(",", separator) for x in (HEADER, "accept,b,p,d,0.9")]
    path = review(tmp_path, lines[1], header=lines[0])
    assert read_decisions(path).rows() == [("b", "p", "d", "accept", 2)]


@pytest.mark.parametrize(
    ("lines", "line", "told"),
    [
        (["maybe,b,p,d,1"], 2, "'maybe' is no decision. Write accept or refuse"),
        ([",b,p,d,1", "accept,b,p,x,1"], 3, "no entity or relation is called 'x'"),
        (["refuse,a,p,b,1"], 2, "the fact a p b is refused, and 'mine' states it. Take it out"),
        (["refuse,d,p,a,1"], 2, "is refused, and 'mine' states it"),
        (["accept,a,p,d,1"], 2, "is accepted, and 'mine' knows it to be false"),
        (["accept,b,p,d,1", "refuse,b,p,d,1"], 3, "b p d is decided otherwise in line 2"),
        (["accept,,p,d,1"], 2, "the head is empty"),
    ],
)
def test_a_decision_that_cannot_be_followed_names_its_line(
    tmp_path: Path, lines: list[str], line: int, told: str
) -> None:
    path = review(tmp_path, *lines)
    with pytest.raises(DataError) as caught:
        decide(graph(), read_decisions(path), path)
    assert (caught.value.path, caught.value.line) == (str(path), line)
    assert told in str(caught.value)


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    path = review(tmp_path, "a,p,b", header="head,relation,tail")
    with pytest.raises(DataError, match="line 1: the first line does not name the columns decis"):
        read_decisions(path)


def test_several_files_apply_in_turn_and_are_counted(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    paths = [
        review(tmp_path, "accept,b,p,d,1"),
        review(tmp_path / "other", "accept,b,p,d,1", "refuse,b,p,a,1"),
    ]
    collection = collect([graph()], target="mine")
    found, lines = with_decisions(collection, paths)
    assert (len(found.target_graph.train), len(found.target_graph.known_false)) == (3, 2)
    assert lines[1] == (
        f"{paths[1]}: 0 accepted (beside 1 stated already), 1 refused, 0 without a decision"
    )
    assert with_decisions(collection, []) == (collection, [])
