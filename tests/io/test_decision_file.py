"""Decisions that are written into a review file one by one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kgraft.errors import DataError, KgraftError
from kgraft.io.decision_file import DecisionFile
from kgraft.io.decisions import decide, read_decisions
from kgraft.io.interchange import from_arrays


def test_a_file_is_begun_with_its_first_decision(tmp_path: Path) -> None:
    path = tmp_path / "decisions.csv"
    kept = DecisionFile(path)
    assert kept.read() == {}
    assert not path.exists()
    kept.write(("a", "p", "=c"), "accept", {"probability": "0.9000", "why": "inferred"})
    kept.write(("a", "p", 'say "b", c'), "refuse")
    assert path.read_bytes().decode().split("\r\n") == [
        "\ufeffdecision,head,relation,tail,probability,why",
        "accept,a,p,'=c,0.9000,inferred",
        'refuse,a,p,"say ""b"", c",,',
        "",
    ]
    assert kept.read() == {("a", "p", "=c"): "accept", ("a", "p", 'say "b", c'): "refuse"}


def test_a_graph_takes_what_was_written(tmp_path: Path) -> None:
    own = from_arrays("mine", [(0, 0, 1)], entities=["a", "=b"], relations=["p"])
    path = tmp_path / "decisions.csv"
    kept = DecisionFile(path)
    kept.write(("=b", "p", "a"), "accept")
    kept.write(("a", "p", "a"), "refuse")
    found, _ = decide(own, read_decisions(path), path)
    assert found.train.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert found.known_false.tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_what_a_file_holds_else_stays(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "review.csv"
    lines = ["head,decision,Relation,tail,note", "a,,p,b,look here", "'=a,no,p,b,", "a,,p,c,"]
    path.write_text("\n".join(line.replace(",", separator) for line in lines), encoding="utf-8")
    kept = DecisionFile(path)
    kept.write(("a", "p", "b"), "accept")
    kept.write(("=a", "p", "b"), None)
    kept.write(("c", "p", "c"), "refuse", {"why": "the file has no such column"})
    expected = [lines[0], "a,accept,p,b,look here", "'=a,,p,b,", "a,,p,c,", "c,refuse,p,c,"]
    text = path.read_bytes().decode()
    assert text.split("\r\n")[:-1] == [line.replace(",", separator) for line in expected]
    assert kept.read() == {("a", "p", "b"): "accept", ("c", "p", "c"): "refuse"}


def test_a_decision_is_changed_in_every_row_of_its_fact(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    path.write_text("decision,head,relation,tail\nyes,a,p,b\n,a,p,b\n", encoding="utf-8")
    kept = DecisionFile(path)
    kept.write(("a", "p", "b"), "refuse")
    assert read_decisions(path)["decision"].to_list() == ["refuse", "refuse"]
    kept.write(("a", "p", "b"), None)
    assert kept.read() == {}
    kept.write(("a", "p", "c"), None)
    assert len(read_decisions(path)) == 2


def test_a_file_with_a_header_alone_has_no_decisions(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    path.write_text("decision,head,relation,tail\n", encoding="utf-8")
    assert len(read_decisions(path)) == 0
    DecisionFile(path).write(("a", "p", "b"), "accept")
    assert len(read_decisions(path)) == 1


def test_a_file_that_is_no_review_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    path.write_text("decision,head,relation,tail\nyes,a,p,b\n", encoding="utf-8")
    kept = DecisionFile(path)
    text = "decision,head,relation,tail\nperhaps,a,p,b\n"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"review\.csv, line 2: 'perhaps' is no decision"):
        kept.write(("a", "p", "c"), "accept")
    assert path.read_text(encoding="utf-8") == text
    with pytest.raises(DataError, match="compressed"):
        DecisionFile(tmp_path / "review.csv.gz")
    with pytest.raises(DataError, match="there is no directory"):
        DecisionFile(tmp_path / "nowhere" / "review.csv")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    kept = DecisionFile(tmp_path / "review.csv")
    tmp_path.chmod(0o500)
    try:
        if (tmp_path / "probe").parent.stat().st_uid == 0:
            pytest.skip("the superuser may write everywhere")
        with pytest.raises(KgraftError, match="nothing can be written here"):
            kept.write(("a", "p", "b"), "accept")
    finally:
        tmp_path.chmod(0o700)


def test_several_writers_lose_no_decision(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"

    def write(writer: int) -> None:
        kept = DecisionFile(path)
        for number in range(3):
            kept.write((f"{writer}:{number}", "p", "b"), "accept" if number % 2 else "refuse")

    with ThreadPoolExecutor(3) as pool:
        for written in [pool.submit(write, writer) for writer in range(3)]:
            written.result()
    assert len(DecisionFile(path).read()) == 9
    assert sorted(x.name for x in tmp_path.iterdir() if not x.name.endswith(".lock")) == [path.name]


def test_what_a_killed_writer_has_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / f".{'ab' * 16}.decisions.csv"
    left.write_text("decision,he")
    DecisionFile(tmp_path / "decisions.csv").write(("a", "p", "b"), "accept")
    assert not left.exists()
