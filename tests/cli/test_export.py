"""Exporting and going on from a student on the command line, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from typer.testing import CliRunner, Result

from kgraft.cli.main import app
from kgraft.exporting.selection import merge_prior
from kgraft.model.directory import load_model
from kgraft.system.outputs import exclusive_lock


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_file_is_exported_and_told_of(student: Path, tmp_path: Path) -> None:
    done = run("export", student, "--out", tmp_path / "v.npz")
    assert done.exit_code == 0, done.output
    model = load_model(student)
    n, plain = len(model.graph.parts["mine"].entities), merge_prior(model.kge)
    assert (
        f"numpy: {n} entities and 3 relations of mine, {plain.settings.width} numbers each"
        in done.output
    )
    with np.load(tmp_path / "v.npz") as read:
        np.testing.assert_array_equal(read["entities"], plain.entities[:n].numpy())


def test_sources_are_chosen(student: Path, teacher: Path, tmp_path: Path) -> None:
    assert "of mine, big," in run(
        "export", student, "-o", tmp_path / "a.npz", "--sources", "mine, big"
    ).output.replace("\n", " ")
    assert "of big," in run("export", teacher, "-o", tmp_path / "b.npz").output


def test_wrong_input_is_a_sentence(student: Path, tmp_path: Path) -> None:
    for arguments, complaint in (
        (["-o", tmp_path / "v"], "its ending names no format"),
        (["-o", tmp_path / "v", "--format", "faiss"], "there is no format 'faiss'"),
        (["-o", tmp_path / "v.npz", "--sources", "globe"], "no source is called 'globe'"),
    ):
        failed = run("export", student, *arguments)
        assert failed.exit_code == 1
        assert complaint in failed.stderr
    assert list(tmp_path.iterdir()) == []


def test_two_exports_to_one_place_do_not_mix(student: Path, tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / ".v.usearch.lock"):
        second = run("export", student, "-o", tmp_path / "v.usearch")
    assert second.exit_code == 1
    assert "another run writes here" in second.stderr
    assert not (tmp_path / "v.usearch").exists()
    assert run("export", student, "-o", tmp_path / "v.npz").exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["v.npz"]


def test_a_student_goes_on_and_says_what_has_changed(
    collection: Path, teacher: Path, student: Path, tmp_path: Path
) -> None:
    grown = tmp_path / "grown"
    grown.mkdir()
    for file in collection.parent.iterdir():
        if file.is_file():
            (grown / file.name).write_text(file.read_text())
    with (grown / "mine.tsv").open("a") as facts:
        facts.write("mine:new\tr1\tmine:3\n")
    (grown / "collection.toml").write_text(
        (grown / "collection.toml").read_text().replace("test = 0.2", "test = 0.0")
    )
    common = ["--teacher", teacher, "--from", student, "--threads", "1"]
    done = run("retrain", grown / "collection.toml", *common, "-o", tmp_path / "next")
    assert done.exit_code == 0, done.output
    assert "entities: 1 new, 0 gone" in done.output
    assert "validation MRR by vectors:" in done.output
    settings = load_model(tmp_path / "next").settings
    # The earlier student's width holds without being said again.
    assert settings.model.width == 8
    metrics = json.loads((tmp_path / "next" / "metrics.json").read_text())
    assert metrics["update"]["facts_added"] > 0
    assert "- update entities_added: 1" in (tmp_path / "next" / "README.md").read_text()
    one = ["--set", "training.epochs=1", "--set", "training.min_steps=0"]
    run("retrain", grown / "collection.toml", *common, "-o", tmp_path / "one", *one)
    assert load_model(tmp_path / "one").settings.training.epochs == 1


def test_a_teacher_is_no_student_to_go_on_from(
    collection: Path, teacher: Path, tmp_path: Path
) -> None:
    failed = run(
        "retrain", collection, "--teacher", teacher, "--from", teacher, "-o", tmp_path / "x"
    )
    assert failed.exit_code == 1
    assert "this is a teacher model. Name the directory of the last student." in failed.stderr
