"""The command line, as a user types it, on a small collection."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kgraft.cli.main import app
from kgraft.system.outputs import exclusive_lock

SMALL = ["model.width=16", "training.epochs=2", "training.min_steps=0"]
FAST = [*(part for change in SMALL for part in ("--set", change)), "--threads", "1"]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def collection(tmp_path: Path, write_small: Callable[[Path], Path]) -> Path:
    return write_small(tmp_path)


@pytest.fixture
def student(collection: Path, tmp_path: Path) -> Path:
    run("pretrain", collection, "-o", tmp_path / "teacher", *FAST)
    made = run(
        "retrain", collection, "--teacher", tmp_path / "teacher", "-o", tmp_path / "student", *FAST
    )
    assert made.exit_code == 0, made.output
    return tmp_path / "student"


def test_the_whole_way_from_files_to_answers(collection: Path, student: Path) -> None:
    measured = run("evaluate", student, collection, "--json")
    rows = json.loads(measured.stdout)
    assert {row["side"] for row in rows} == {"tail", "head", "both"}
    assert {row["facts"] for row in rows} == {"all", "covered", "uncovered"}
    answered = run("predict", student, "--head", "mine:3", "--relation", "r1", "-k", "4", "--json")
    answers = json.loads(answered.stdout)
    assert len(answers) == 4
    assert all(answer["head"] == "mine:3" for answer in answers)
    assert [x["score"] for x in answers] == sorted((x["score"] for x in answers), reverse=True)


def test_relations_are_answered_and_known_facts_are_marked(collection: Path, student: Path) -> None:
    fact = collection.with_name("big.tsv").read_text().splitlines()[0].replace("big:", "mine:")
    head, relation, tail = fact.split("\t")
    answers = json.loads(run("predict", student, "--head", head, "-t", tail, "--json").stdout)
    assert {answer["relation"] for answer in answers} == {"r1", "r2", "r3"}
    stated = {answer["relation"]: answer["stated_by"] for answer in answers}
    assert "big" in stated[relation]


def test_joint_and_alone_and_the_mkgc_protocol(collection: Path, tmp_path: Path) -> None:
    assert "joint: 2 epochs" in run("train", collection, "-o", tmp_path / "joint", *FAST).output
    alone = run("train", collection, "--alone", "-o", tmp_path / "alone", *FAST)
    assert "single: 2 epochs" in alone.output
    measured = run("evaluate", tmp_path / "joint", collection, "--protocol", "mkgc", "--json")
    rows = json.loads(measured.stdout)
    assert {(row["side"], row["filter"]) for row in rows} == {("tail", "train+valid")}
    by_relation = run("evaluate", tmp_path / "joint", collection, "--by-relation", "--json")
    assert {row["relation"] for row in json.loads(by_relation.stdout)} <= {"r1", "r2", "r3"}


def test_tables_are_printed_for_people(collection: Path, student: Path) -> None:
    assert "uncovered" in run("evaluate", student, collection).output
    assert "r1" in run("evaluate", student, collection, "--by-relation").output
    assert "known from" in run("predict", student, "--head", "mine:3", "-r", "r1").output
    assert "mine" in run("inspect", collection).output
    assert json.loads(run("inspect", collection, "--json").stdout)


def test_an_error_is_a_sentence_and_a_status(tmp_path: Path) -> None:
    failed = run("inspect", tmp_path / "nothing.toml")
    assert failed.exit_code == 1
    assert "Error: " in failed.stderr
    assert "nothing.toml: there is no such file or directory." in failed.stderr
    assert "Traceback" not in failed.output


def test_a_model_in_the_way_is_not_lost(collection: Path, student: Path) -> None:
    before = (student / "manifest.json").read_bytes()
    refused = run("train", collection, "-o", student, *FAST)
    assert refused.exit_code == 1
    assert "there is a model already" in refused.stderr
    assert "--overwrite" in refused.stderr
    assert (student / "manifest.json").read_bytes() == before
    assert run("train", collection, "-o", student, "--overwrite", *FAST).exit_code == 0
    assert json.loads((student / "manifest.json").read_text())["kind"] == "joint"


def test_an_interrupted_run_is_not_begun_anew_by_accident(collection: Path, tmp_path: Path) -> None:
    kept = tmp_path / ".model.run"
    kept.mkdir()
    (kept / "run.json").write_text("cut off")
    refused = run("train", collection, "-o", tmp_path / "model", *FAST)
    assert refused.exit_code == 1
    assert "--resume" in refused.stderr
    assert (kept / "run.json").read_text() == "cut off"
    shutil.rmtree(kept)
    assert run("train", collection, "-o", tmp_path / "model", "--resume", *FAST).exit_code == 0
    assert not kept.exists()


def test_a_second_run_into_one_directory_is_refused(collection: Path, tmp_path: Path) -> None:
    taught = run("pretrain", collection, "-o", tmp_path / "teacher", *FAST)
    assert taught.exit_code == 0, taught.output
    (tmp_path / "deep").symlink_to(tmp_path)
    commands = {
        "train": ["train", collection],
        "pretrain": ["pretrain", collection],
        "retrain": ["retrain", collection, "--teacher", tmp_path / "teacher"],
        "align": ["align", collection],
        "audit": ["audit", collection],
        "synth": ["synth"],
    }
    with exclusive_lock(tmp_path / ".model.lock"):
        for command, arguments in commands.items():
            for place in (tmp_path / "model", tmp_path / "deep" / "model"):
                fast = FAST if command.endswith("train") else ()
                refused = run(*arguments, "-o", place, *fast)
                assert refused.exit_code == 1, command
                assert f"another run writes here (process {os.getpid()} on" in refused.stderr
    assert not (tmp_path / "model").exists()
    assert run("train", collection, "-o", tmp_path / "model", *FAST).exit_code == 0
    assert not (tmp_path / ".model.lock").exists()


@pytest.mark.parametrize("command", ["train", "pretrain", "retrain"])
def test_a_dry_run_says_what_it_takes_and_writes_nothing(
    collection: Path, student: Path, tmp_path: Path, command: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    taught = ["--teacher", tmp_path / "teacher"] if command == "retrain" else []
    for directory in (tmp_path / "new", student):
        told = run(command, collection, "-o", directory, *taught, *FAST, "--dry-run")
        assert told.exit_code == 0, told.output
        assert "parameters, trained on" in told.stdout
        assert "memory: about" in told.stdout
        assert "time: about " in told.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_a_student_compared_with_training_alone(
    collection: Path, student: Path, tmp_path: Path
) -> None:
    asked = ["retrain", collection, "--teacher", tmp_path / "teacher", "-o", tmp_path / "compared"]
    planned = run(*asked, *FAST, "--compare-alone", "--dry-run")
    assert "  alone: about " in planned.stdout
    assert "  alone: " not in run(*asked, *FAST, "--dry-run").stdout
    made = run(*asked, *FAST, "--compare-alone")
    assert made.exit_code == 0, made.output
    assert "Gained over training alone" in made.stdout
    [line] = [x for x in made.stdout.splitlines() if "both ends linked" in x]
    assert line.count("│") == 6
    metrics = json.loads((tmp_path / "compared" / "metrics.json").read_text())
    assert metrics["gain_over_alone"]["all"].keys() == {
        "queries",
        "alone",
        "student",
        "low",
        "high",
    }
    assert "Gained by grafting" in (tmp_path / "compared" / "README.md").read_text()
    assert "Gained by grafting" in (tmp_path / "compared" / "report.html").read_text()
    assert "Gained" not in (student / "README.md").read_text()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            "training.epoch=3",
            "training.epoch: there is no such setting; did you mean training.epochs?",
        ),
        ("training.epochs=many", "training.epochs"),
        ("epochs", "write PART.NAME=VALUE"),
    ],
)
def test_a_wrong_setting_is_named(
    collection: Path, tmp_path: Path, change: str, complaint: str
) -> None:
    failed = run("train", collection, "-o", tmp_path / "model", "--set", change)
    assert failed.exit_code == 1
    assert complaint in failed.stderr


def test_a_teacher_is_enough_where_its_sources_files_are_not(
    collection: Path, tmp_path: Path
) -> None:
    run("pretrain", collection, "-o", tmp_path / "teacher", *FAST)
    text = collection.read_text()
    listed = text[text.index("[[source]]", text.index("big") - 40) : text.index("[[links]]")]
    assert 'name = "big"' in listed
    collection.write_text(text.replace(listed, ""))
    collection.with_name("big.tsv").unlink()
    out = tmp_path / "student"
    made = run("retrain", collection, "--teacher", tmp_path / "teacher", "-o", out, *FAST)
    assert made.exit_code == 0, made.output
    rows = json.loads(run("evaluate", out, collection, "--json").stdout)
    assert next(row for row in rows if row["facts"] == "covered")["queries"] > 0
    refused = run("train", collection, "-o", tmp_path / "joint", *FAST)
    assert "no source is called 'big'" in refused.stderr


def test_facts_of_another_draw_that_were_trained_on_are_left_out(
    collection: Path, student: Path
) -> None:
    redrawn = collection.with_name("redrawn.toml")
    redrawn.write_text(collection.read_text().replace("seed = 1", "seed = 2"))
    shown = run("evaluate", student, redrawn, "--json")
    assert "Warning: the model was trained on" in shown.stderr
    assert "--include-trained" in shown.stderr
    whole = run("evaluate", student, redrawn, "--json", "--include-trained")
    left, all_ranked = (max(row["queries"] for row in json.loads(x.stdout)) for x in (shown, whole))
    assert left < all_ranked
    page = collection.with_name("report.html")
    run("report", student, redrawn, "--split", "test", "-o", page)
    assert "more are left out, as the model was trained on them" in page.read_text()
