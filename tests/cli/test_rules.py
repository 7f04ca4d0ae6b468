"""Rules on the command line, and answers by them, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kgraft.cli.main import app


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_rules_are_shown_to_people(student: Path) -> None:
    shown = run("rules", student)
    assert shown.exit_code == 0, shown.output
    lines = shown.output.splitlines()
    rules, examples = lines[0::2], lines[1::2]
    assert len(rules) == len(examples) == 20
    assert all(" if " in line and "explains" in line for line in rules)
    assert all(" because " in line and "[" in line for line in examples)
    confidence = [float(line.split()[0]) for line in rules]
    assert confidence == sorted(confidence, reverse=True)


def test_rules_are_shown_to_programs(student: Path) -> None:
    shown = run("rules", student, "--relation", "r3", "-k", "40", "--examples", "2", "--json")
    rules = json.loads(shown.stdout)
    assert {rule["relation"] for rule in rules} == {"r3"}
    composed = next(x for x in rules if x["text"] == "r3(X, Y) if r1(X, A) and r2(A, Y)")
    assert set(composed) == {"relation", "text", "support", "confidence", "examples"}
    assert composed["support"] >= 2
    assert 0 < composed["confidence"] < 1
    assert len(composed["examples"]) == 2
    for fact, one, other in composed["examples"]:
        assert [x["relation"] for x in (fact, one, other)] == ["r3", "r1", "r2"]
        assert (fact["head"], fact["tail"]) == (one["head"], other["tail"])
        assert one["tail"] == other["head"]
        assert all(set(x["stated_by"]) <= {"mine", "big"} != set() for x in (fact, one, other))


def test_rules_can_be_shown_without_examples(student: Path) -> None:
    lines = run("rules", student, "-k", "3", "--examples", "0").output.splitlines()
    assert len(lines) == 3
    assert not any("because" in line for line in lines)
    assert all(not x["examples"] for x in json.loads(
        run("rules", student, "--examples", "0", "--json").stdout
    ))  # fmt: skip


def test_evaluation_goes_by_what_it_is_told(collection: Path, student: Path) -> None:
    def figures(*by: str) -> list[dict[str, object]]:
        measured = run("evaluate", student, collection, "--json", *by)
        assert measured.exit_code == 0, measured.output
        found: list[dict[str, object]] = json.loads(measured.stdout)
        return found

    ways = {by: figures("--by", by) for by in ("vectors", "rules", "both")}
    # One epoch makes no vectors; nearly all that mine may say is stated by big.
    mrr = {
        by: next(row["mrr"] for row in rows if row["side"] == "both" and row["facts"] == "covered")
        for by, rows in ways.items()
    }
    assert mrr["rules"] > mrr["vectors"]  # type: ignore[operator]
    metrics = json.loads((student / "metrics.json").read_text())["validation_mrr_by"]
    best = max(("vectors", "rules", "both"), key=metrics.__getitem__)
    assert figures() == ways[best]


@pytest.mark.parametrize("by", ["vectors", "rules", "both"])
def test_tables_say_what_answers_go_by(collection: Path, student: Path, by: str) -> None:
    shown = run("evaluate", student, collection, "--by", by).output
    assert f"by {by}" in " ".join(shown.split())


def test_predictions_go_by_what_they_are_told(student: Path) -> None:
    def tails(*by: str) -> list[tuple[str, float]]:
        answered = run(
            "predict", student, "--head", "mine:3", "-r", "r1", "-k", "40", "--json", *by
        )
        assert answered.exit_code == 0, answered.output
        return [(x["tail"], x["score"]) for x in json.loads(answered.stdout)]

    by_rules = tails("--by", "rules")
    assert all(0 <= score <= 1 for _, score in by_rules)
    assert by_rules[0][1] > 0
    assert min(score for _, score in tails("--by", "vectors")) < 0
    assert tails("--by", "both") not in (by_rules, tails("--by", "vectors"))
    assert "known from" in run("predict", student, "--head", "mine:3", "-r", "r1").output


def test_a_model_without_rules_says_so_in_a_sentence(collection: Path, teacher: Path) -> None:
    asked = ("--head", "big:3", "-r", "r1")
    for arguments, complaint in (
        (("rules", teacher), "Error: this teacher has no rules"),
        (("predict", teacher, *asked, "--by", "rules"), "Error: this teacher has no rules to"),
        (("evaluate", teacher, collection, "--by", "both"), "Error: this teacher has no rules to"),
    ):
        failed = run(*arguments)
        assert failed.exit_code == 1
        assert complaint in failed.stderr
        assert "Traceback" not in failed.output
    assert run("predict", teacher, *asked, "--by", "vectors").exit_code == 0


def test_unknown_relations_and_ways_are_named(student: Path) -> None:
    failed = run("rules", student, "--relation", "r33")
    assert failed.exit_code == 1
    assert "'r33'; did you mean 'r3'" in failed.stderr
    wrong = run("predict", student, "--head", "mine:3", "-r", "r1", "--by", "magic")
    assert wrong.exit_code == 2
    assert "magic" in wrong.stderr


def test_an_unknown_relation_lists_those_there_are(student: Path) -> None:
    asked = run("rules", student, "--relation", "unheard")
    assert asked.exit_code == 1
    assert "there are r1, r2, r3" in asked.stderr
