"""The command ``complete``."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from kgraft.cli.main import app


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_whole_graph_is_completed(student: Path, tmp_path: Path) -> None:
    told = run("complete", student, "--least", "0.2", "-o", tmp_path / "a.tsv")
    assert told.exit_code == 0, told.output
    found = pl.read_csv(tmp_path / "a.tsv", separator="\t")
    assert found.columns[:5] == ["head", "relation", "tail", "probability", "probability_if_asked"]
    assert f"{len(found):,} facts that mine does not state" in told.output
    assert "How complete mine is was estimated for each of its" in told.output
    assert (found["probability"] >= 0.2).all()
    assert set(found["list"]) <= {"stated", "inferred"}


def test_contradictions_are_counted_and_left_out_unless_asked_for(
    student: Path, tmp_path: Path
) -> None:
    plain = run("complete", student, "--least", "0", "-o", tmp_path / "a.parquet")
    more = ("--contradictions", "-o", tmp_path / "b.parquet")
    every = run("complete", student, "--least", "0", *more)
    few, all_ = (pl.read_parquet(tmp_path / name) for name in ("a.parquet", "b.parquet"))
    hidden = all_.filter(pl.col("list") == "contradiction")
    assert len(all_) == len(few) + len(hidden)
    assert all("mine states" in x for x in hidden["contradicts"])
    assert f"  {len(hidden):,} contradiction: the graph states another answer" in every.output
    assert ("left out (--contradictions)" in plain.output) == bool(len(hidden))


def test_no_file_of_the_graph_states_what_it_lacks(student: Path, tmp_path: Path) -> None:
    place, more = tmp_path / "found.tsv", tmp_path / "more.tsv"
    run("complete", student, "--least", "0", "-o", place)
    found = [line.split("\t")[:3] for line in place.read_text().splitlines()[1:]]
    stated = [x.split("\t") for x in student.with_name("mine.tsv").read_text().splitlines()]
    assert found
    assert not [fact for fact in found if fact in stated]
    more.write_text("".join("\t".join(x) + "\n" for x in [*found[:5], ("mine:0", "r9", "mine:1")]))
    told = run("complete", student, "--least", "0", "-o", place, "--known", more)
    assert "5 of 6 known facts are about names of mine" in told.output
    after = [line.split("\t")[:3] for line in place.read_text().splitlines()[1:]]
    assert not [fact for fact in after if fact in found[:5]]


def test_a_teacher_completes_nothing(teacher: Path, tmp_path: Path) -> None:
    failed = run("complete", teacher, "-o", tmp_path / "a.tsv")
    assert "gives no probabilities of facts" in failed.stderr
    assert failed.exit_code == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.xls", "a"])
def test_the_ending_of_the_file_selects_its_format(
    student: Path, tmp_path: Path, name: str
) -> None:
    failed = run("complete", student, "-o", tmp_path / name)
    assert "End the name with .parquet, .tsv, .nt" in failed.stderr
    assert failed.exit_code == 1


def test_a_review_with_decisions_is_not_written_over(student: Path, tmp_path: Path) -> None:
    review = tmp_path / "review.csv"
    assert run("complete", student, "-o", review).exit_code == 0
    assert run("complete", student, "-o", review).exit_code == 0, "nothing is decided"
    made = "decision;head;relation;tail\n;mine:3;r1;mine:3\nperhaps;mine:4;r1;mine:3\n"
    review.write_text(made)
    failed = run("complete", student, "-o", review)
    assert failed.exit_code == 1
    assert "review.csv: 1 decision would be lost. Name another file" in failed.stderr
    assert review.read_text() == made


def test_accepted_facts_are_written_as_rdf(student: Path, tmp_path: Path) -> None:
    first, second, out = (tmp_path / name for name in ("a.csv", "b.csv", "accepted.nt"))
    head = "decision,head,relation,tail,probability\n"
    first.write_text(head + "accept,mine:3,r1,mine:5,0.9\nrefuse,mine:3,r2,mine:3,0.6\n")
    second.write_text(
        head + ",mine:1,r2,mine:3,0.7\nyes,mine:3,r1,mine:5,0.9\ny,mine:2,r1,mine:4,1\n"
    )
    asked = ("--accepted", first, "--accepted", second, "--base", "http://my.example/")
    told = run("complete", student, *asked, "-o", out)
    assert told.exit_code == 0, told.output
    assert f"2 accepted facts of {first} and {second}: {out}" in told.output
    facts = [line for line in out.read_text().splitlines() if not line.startswith("#")]
    relation = "<http://my.example/r1>"
    assert facts == [f"<mine:3> {relation} <mine:5> .", f"<mine:2> {relation} <mine:4> ."]
    for ending in ("ttl", "tsv", "parquet", "csv"):
        told = run("complete", student, *asked, "-o", tmp_path / f"accepted.{ending}")
        assert told.exit_code == 0, told.output
    turtle = (tmp_path / "accepted.ttl").read_text()
    assert f"<mine:3> {relation} <mine:5> .\n<mine:2> {relation} <mine:4> .\n" in turtle
    first.write_text(head + "perhaps,mine:3,r1,mine:5,0.9\n")
    failed = run("complete", student, *asked, "-o", out)
    assert "line 2: 'perhaps' is no decision" in failed.stderr
