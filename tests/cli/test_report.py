"""The command ``report``, and the reports that other commands write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kgraft.cli.main import app
from kgraft.model import weight_files
from kgraft.model.directory import load_model

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "dbp5l" / "results.json"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_training_leaves_a_report_on_validation_facts(student: Path, teacher: Path) -> None:
    text = (student / "report.html").read_text(encoding="utf-8")
    assert "validation facts of mine" in text
    assert "test facts of" not in text
    manifest = json.loads((student / "manifest.json").read_text())
    assert "report.html" not in manifest["files"]
    assert manifest["files"]["weights.safetensors"]["sha256"] in text
    assert load_model(student).target == "mine"
    # The background of this collection holds no fact out.
    assert "no validation facts to measure" in (teacher / "report.html").read_text(encoding="utf-8")


def test_a_model_is_overwritten_with_its_report(
    collection: Path, fast: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "model"
    assert run("train", collection, "--alone", "-o", out, *fast).exit_code == 0
    assert run("train", collection, "-o", out, "--overwrite", *fast).exit_code == 0
    assert "Joint for mine" in (out / "report.html").read_text(encoding="utf-8")


def test_a_model_in_several_files_has_a_report(
    collection: Path, fast: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_files.write_weights, "__defaults__", (500,))
    out = tmp_path / "model"
    assert run("train", collection, "--alone", "-o", out, *fast).exit_code == 0
    text = (out / "report.html").read_text(encoding="utf-8")
    assert "SHA-256 of weights-00001-of-" in text


def test_a_report_on_test_facts(student: Path, collection: Path, tmp_path: Path) -> None:
    place = tmp_path / "new" / "test.html"
    options = ["--out", place, "--split", "test", "--by", "vectors", "--threads", "1"]
    made = run("report", student, collection, *options)
    assert made.exit_code == 0, made.output
    assert made.stdout.strip() == f"The report is in {place}"
    text = place.read_text(encoding="utf-8")
    assert "test facts of mine" in text
    assert "answers by vectors alone" in text
    assert run("report", student, collection, *options).exit_code == 0


def test_without_a_collection_it_takes_the_place_of_the_first(student: Path) -> None:
    made = run("report", student, "--threads", "1")
    assert made.exit_code == 0, made.output
    assert "Asked for both ends" not in (student / "report.html").read_text(encoding="utf-8")


def test_a_report_of_a_benchmark(tmp_path: Path) -> None:
    made = run("report", RESULTS, "--out", tmp_path / "results.html")
    assert made.exit_code == 0, made.output
    assert "Systems compared" in (tmp_path / "results.html").read_text(encoding="utf-8")


def test_what_is_in_the_way_stays(student: Path, tmp_path: Path) -> None:
    place = tmp_path / "thesis.html"
    place.write_text("mine")
    refused = run("report", student, "--out", place)
    assert refused.exit_code == 1
    assert "thesis.html: this is not a report of kgraft. Name another file." in refused.stderr
    assert place.read_text() == "mine"


def test_wrong_input_ends_in_a_sentence(student: Path, collection: Path, tmp_path: Path) -> None:
    nowhere = run("report", tmp_path / "nothing")
    assert nowhere.exit_code == 1
    assert "there is no manifest.json here" in nowhere.stderr
    unknown = run("report", student, collection, "--target", "yours")
    assert unknown.exit_code == 1
    assert "no source is called 'yours'" in unknown.stderr
    (tmp_path / "notes.json").write_text("[1, 2]")
    other = run("report", tmp_path / "notes.json")
    assert other.exit_code == 1
    assert "Name a results.json" in other.stderr
    both = run("report", RESULTS, collection)
    assert both.exit_code == 2
    assert not list(tmp_path.glob("*.html"))
