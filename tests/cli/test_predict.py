"""Questions, files of them, whole graphs and explanations on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from kgraft.cli import predict as command
from kgraft.cli.main import app


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.tsv"
    path.write_text("head\trelation\ttail\nmine:3\tr1\t\n\tr2\tmine:5\nmine:3\t\tmine:4\n")
    return path


def test_a_question_is_answered_with_probabilities(student: Path) -> None:
    shown = run("predict", student, "--head", "mine:3", "-r", "r1", "-k", "2")
    assert "probability" in shown.output
    answers = json.loads(run("predict", student, "--head", "mine:3", "-r", "r1", "--json").stdout)
    assert all(0 < answer["probability"] < 1 for answer in answers)


def test_without_probabilities_there_is_no_such_column(teacher: Path) -> None:
    shown = run("predict", teacher, "--head", "big:3", "-r", "r1")
    assert shown.exit_code == 0
    assert "score" in shown.output
    assert "probability" not in shown.output


def test_typed_answers_are_fewer(student: Path) -> None:
    for more in ([], ["--typed"]):
        shown = run("predict", student, "--head", "mine:3", "-r", "r3", "-k", "99", "--json", *more)
        tails = {answer["tail"] for answer in json.loads(shown.stdout)}
        assert tails  # the smaller set is seen last
    graph = student.parent
    facts = [
        line.split("\t")
        for name in ("mine", "big")
        for line in (graph / f"{name}.tsv").read_text().replace("big:", "mine:").splitlines()
    ]
    assert tails <= {tail for _, relation, tail in facts if relation == "r3"}


def test_a_file_of_questions(student: Path, questions: Path) -> None:
    shown = run("predict", student, "--queries", questions, "-k", "1")
    assert shown.exit_code == 0, shown.output
    for title in ("mine:3, r1, ?", "?, r2, mine:5", "mine:3, ?, mine:4"):
        assert title in shown.output
    found = json.loads(run("predict", student, "--queries", questions, "-k", "2", "--json").stdout)
    assert [len(answers) for answers in found] == [2, 2, 2]
    alone = json.loads(run("predict", student, "--head", "mine:3", "-r", "r1", "--json").stdout)
    # What scores alike stands in any order.
    assert [x["score"] for x in found[0]] == pytest.approx([x["score"] for x in alone[:2]])


def test_answers_to_a_file_go_to_a_file_in_portions(
    student: Path, questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "AT_ONCE", 2)
    written = run(
        "predict", student, "--queries", questions, "-k", "2", "-o", tmp_path / "a.parquet"
    )
    assert "6 answers to 3 queries are in" in written.output
    found = pl.read_parquet(tmp_path / "a.parquet")
    assert found["asked"].to_list() == ["tail"] * 2 + ["head"] * 2 + ["relation"] * 2


def test_one_question_goes_to_a_file_too(student: Path, tmp_path: Path) -> None:
    asked = ("predict", student, "--head", "mine:3", "-r", "r1", "-k", "3", "-o")
    refused = run(*asked, tmp_path / "a.nt")
    assert refused.exit_code == 1
    assert "the name 'r1' is no IRI" in refused.stderr
    run(*asked, tmp_path / "a.nt", "--base", "https://e.org/")
    about, *lines = (tmp_path / "a.nt").read_text().splitlines()
    assert about == f"# model: {student}, a student for mine"
    assert [x for x in lines if "# settings: top = 3, by = " in x]
    facts = [line for line in lines if not line.startswith("#")]
    assert len(facts) == 3
    assert all(line.startswith("<mine:3> <https://e.org/r1> <") for line in facts)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((), "gives two of head, relation and tail"),
        (("--queries", "x.tsv", "--head", "mine:3"), "exclude each other"),
        (("--queries", "none.tsv"), "none.tsv: there is no such file"),
        (("--head", "mine:3", "-r", "r1", "-o", "a.xls"), "End the name with .parquet, .tsv, .nt"),
    ],
    ids=str,
)
def test_what_cannot_be_asked(student: Path, options: tuple[str, ...], complaint: str) -> None:
    failed = run("predict", student, *options)
    assert (failed.exit_code, complaint in failed.stderr) == (1, True), failed.output


def test_a_wrong_question_in_a_file_is_named(student: Path, questions: Path) -> None:
    questions.write_text(questions.read_text() + "mine:99\tr1\t\n")
    failed = run("predict", student, "--queries", questions, "-o", questions.with_name("a.tsv"))
    assert "questions.tsv, line 5: no entity or relation is called 'mine:99'" in failed.stderr
    assert not questions.with_name("a.tsv").exists()


def test_similar_entities(student: Path) -> None:
    shown = run("similar", student, "mine:3", "-k", "2")
    assert "similarity" in shown.output
    found = json.loads(run("similar", student, "mine:3", "-k", "2", "--json").stdout)
    assert [set(x) for x in found] == [{"name", "label", "similarity", "sources"}] * 2
    failed = run("similar", student, "nobody")
    assert (failed.exit_code, "is called 'nobody'" in failed.stderr) == (1, True)


def fact(student: Path, relation: str = "r3") -> list[str]:
    """A fact that big states."""
    lines = (student.parent / "big.tsv").read_text().replace("big:", "mine:").splitlines()
    return next(x.split("\t") for x in lines if f"\t{relation}\t" in x)


def test_an_explanation_in_words(student: Path) -> None:
    shown = run("explain", student, *fact(student), "--by", "both")
    assert shown.exit_code == 0, shown.output
    lines = shown.output.splitlines()
    head, relation, tail = fact(student)
    assert lines[0] == f"{relation}({head}, {tail})"
    assert "by both, rank " in lines[1]
    assert any(line.startswith("  big: big:") for line in lines)
    assert any("because " in line for line in lines)
    assert any(line.startswith("Without the fact that supports it most (") for line in lines)
    for title in ("Rules that infer it", "Paths that mean", "The most similar known facts"):
        assert title in shown.output


def test_an_explanation_by_vectors_promises_nothing(student: Path) -> None:
    shown = run("explain", student, *fact(student), "--by", "vectors")
    assert "only re-training" in shown.output
    assert "Rules that infer it" not in shown.output


def test_an_explanation_for_programs(student: Path) -> None:
    found = json.loads(run("explain", student, *fact(student), "--json").stdout)
    assert [found[x] for x in ("head", "relation", "tail")] == fact(student)
    assert "big" in {x["source"] for x in found["stated_by"]}
    failed = run("explain", student, "mine:3", "r1", "nobody")
    assert (failed.exit_code, "is called 'nobody'" in failed.stderr) == (1, True)


def test_a_review_is_followed_by_the_next_student(
    student: Path, teacher: Path, tmp_path: Path
) -> None:
    review = tmp_path / "review.csv"
    lines = ["decision,head,relation,tail", "accept,mine:3,r1,mine:3", "refuse,mine:3,r2,mine:3"]
    review.write_text("\n".join(lines) + "\n")
    asked = ("retrain", student.with_name("collection.toml"), "--teacher", teacher, "--dry-run")
    told = run(*asked, "-o", tmp_path / "next", "--from", student, "--decisions", review)
    assert told.exit_code == 0, told.output
    assert "1 accepted (beside 0 stated already), 1 refused, 0 without a decision" in told.output
    review.write_text("\n".join([*lines, "perhaps,mine:3,r1,mine:4"]) + "\n")
    failed = run(*asked, "-o", tmp_path / "next", "--decisions", review)
    assert "review.csv, line 4: 'perhaps' is no decision" in failed.stderr


def test_new_entities_are_folded_in_for_one_call(student: Path, tmp_path: Path) -> None:
    facts, links = tmp_path / "facts.csv", tmp_path / "links.tsv"
    facts.write_text("head,relation,tail\nmine:new,r1,mine:4\nmine:2,r2,mine:new\n")
    asked = ("predict", student, "--head", "mine:new", "-r", "r1", "-k", "99", "--facts", facts)
    shown = run(*asked, "--json")
    assert shown.exit_code == 0, shown.output
    assert "1 new entity with 2 facts from" in shown.stderr
    known = [x["tail"] for x in json.loads(shown.stdout) if x["known"]]
    assert known == ["mine:4"]
    links.write_text("mine:new\tbig\tbig:99\n")
    file = tmp_path / "a.parquet"
    written = run(*asked, "--links", links, "-o", file)
    assert "1 link of" in written.stderr
    assert "count for nothing, as the model has no fact of 'big:99' of big" in " ".join(
        written.stderr.split()
    )
    found = pl.read_parquet(file)
    assert set(found["head"]) == {"mine:new"}
    assert found.filter(tail="mine:4")["probability"].to_list() == [1.0]
    failed = run("predict", student, "--head", "mine:new", "-r", "r1")
    assert failed.exit_code == 1


def test_a_text_alone_makes_a_new_entity(student: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.tsv"
    known = "".join(
        f"mine:{x}\tnumber {x} of {'first' if x < 10 else 'second'}\n" for x in range(20)
    )
    texts.write_text(f"entity\ttext\n{known}mine:new\ta number of the first\n")
    asked = ("--head", "mine:new", "-r", "r1", "-k", "3", "--json")
    shown = run("predict", student, *asked, "--texts", texts)
    assert shown.exit_code == 0, shown.output
    assert f"1 new entity with 0 facts from {texts}" in " ".join(shown.stderr.split())
    assert len(json.loads(shown.stdout)) == 3
    texts.write_text("entity\ttext\nmine:new\n")
    failed = run("predict", student, *asked, "--texts", texts)
    assert failed.exit_code == 1
    assert "texts.tsv" in failed.stderr


def test_facts_of_unknown_relations_are_refused(student: Path, tmp_path: Path) -> None:
    facts = tmp_path / "facts.tsv"
    facts.write_text("mine:new\tr1\tmine:4\nmine:new\tr11\tmine:4\n")
    failed = run("predict", student, "--head", "mine:new", "-r", "r1", "--facts", facts)
    assert failed.exit_code == 1
    shown = " ".join(failed.stderr.split())
    assert "line 2: no entity or relation is called 'r11'; did you mean 'r1'" in shown
    failed = run("predict", student, "--head", "mine:3", "-r", "r1", "--links", facts)
    assert "Add --facts" in failed.stderr
