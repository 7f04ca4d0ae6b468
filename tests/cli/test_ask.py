"""SPARQL on the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("rdflib", reason="needs the extra 'ask'")

from kgraft.cli.main import app

QUERY = "SELECT ?x WHERE { <mine:3> :r1/:r2 ?x }"


def run(*arguments: str | Path, text: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=text)


def test_answers_are_printed_with_their_facts(student: Path, tmp_path: Path) -> None:
    shown = run("ask", student, QUERY, "--limit", "2")
    assert shown.exit_code == 0, shown.output
    for text in ("probability", "r1(mine:3, ", "r2("):
        assert text in shown.output
    answers = json.loads(run("ask", student, QUERY, "--limit", "2", "--json").stdout)
    assert len(answers) == 2
    assert all(set(x) >= {"bindings", "probability", "hops"} for x in answers)
    assert all(len(x["hops"]) == 2 and list(x["bindings"]) == ["x"] for x in answers)
    path = tmp_path / "query.rq"
    path.write_text(f"# asked again\n{QUERY}\n", encoding="utf-8-sig")
    for again in (run("ask", student, path, "-k2", "--json"),
                  run("ask", student, "-", "-k2", "--json", text=f"\ufeff{QUERY}")):  # fmt: skip
        assert json.loads(again.stdout) == answers


def test_questions_in_words_are_answered_and_learned(student: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="needs the extra 'questions'")
    question = "which r1 has mine:3 ?"
    shown = run("ask", student, question, "-k2")
    assert shown.exit_code == 0, shown.output
    assert "guessed by the names of relations" in shown.stderr
    assert "r1(mine:3, " in shown.stdout
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("question\tpath\nwho follows mine:3\tr1\nwho precedes mine:3\t^r1\n")
    own = tmp_path / "model"
    shutil.copytree(student, own)
    for options, file in (([], own / "questions.safetensors"), (["-o", tmp_path / "q"], None)):
        made = run("questions", own, pairs, *options)
        assert made.exit_code == 0, made.output
        assert "2 paths learned from 2 questions" in made.stdout
        assert (file or tmp_path / "q").is_file()
    for model, options in ((own, []), (student, ["--learned", tmp_path / "q"])):
        shown = run("ask", model, "who precedes mine:5", "--json", *options)
        assert "mine:5: ^r1 (" in shown.stderr
        assert "learned from 2 questions" in shown.stderr
        assert all(set(x) >= {"bindings", "probability"} for x in json.loads(shown.stdout))
    elsewhere = run("questions", "hf://someone/model", pairs)
    assert "Name a file with --out" in elsewhere.output
    pairs.write_text("question\tpath\nwho follows mine:3\tr77\n")
    wrong = run("questions", own, pairs)
    assert wrong.exit_code == 1
    assert "pairs.tsv, line 2: no entity or relation is called 'r77'" in wrong.output


def test_counts_and_yes(student: Path) -> None:
    shown = run("ask", student, "SELECT (COUNT(DISTINCT ?x) AS ?n) { <mine:3> :r1 ?x }")
    assert "stated" in shown.output
    assert shown.exit_code == 0
    assert "probability" in run("ask", student, "ASK { <mine:3> :r1 <mine:4> }").output


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("SELECT ?x { ?x :r1 :mine_3 OPTIONAL { ?x :r2 ?y } }", "OPTIONAL is not supported"),
        ("SELECT ?x { ?x :r77 ?y }", "no entity or relation is called 'r77'"),
        ("missing.rq", "nor a file"),
        ("SELECT ?x { ?x", "cannot be read"),
    ],
)
def test_errors_are_sentences(student: Path, query: str, problem: str) -> None:
    shown = run("ask", student, query)
    assert isinstance(shown.exception, SystemExit), shown.exception
    assert shown.exit_code == 1
    assert problem in " ".join(shown.output.split())
    assert shown.output.count("path of a file") == ("nor a file" in problem)
