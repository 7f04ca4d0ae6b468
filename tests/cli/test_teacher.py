"""Teachers of vectors and of texts, from the command line to a student."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from kgraft.cli.main import app
from kgraft.model.directory import load_model


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """Vectors of 30 of the 40 entities of mine, and of others."""
    names = [f"mine:{number}" for number in range(30)] + ["x", "y"]
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(32, 5)))
    (tmp_path / "names.txt").write_text("\n".join(names) + "\n")
    return tmp_path / "v.npy"


def test_vectors_are_imported_and_taught(
    vectors: Path, collection: Path, fast: list[str], tmp_path: Path
) -> None:
    names, teacher = vectors.with_name("names.txt"), tmp_path / "teacher"
    made = run("teacher", "import", vectors, "--names", names, "-o", teacher)
    assert made.exit_code == 0, made.output
    assert "32 vectors of 6 numbers" in made.output
    assert load_model(teacher).graph.sources == ("v",)
    student = run("retrain", collection, "--teacher", teacher, "-o", tmp_path / "student", *fast)
    assert student.exit_code == 0, student.output
    assert load_model(tmp_path / "student").graph.sources == ("mine", "v")
    small = run(
        *("teacher", "import", vectors, "--names", names, "--only", collection),
        *("--source", "given", "-o", tmp_path / "small"),
    )
    assert small.exit_code == 0, small.output
    assert "30 of the 40 names of the graph have a vector" in " ".join(small.output.split())
    assert load_model(tmp_path / "small").graph.sources == ("given",)
    again = run("teacher", "import", vectors, "--names", names, "-o", teacher)
    assert again.exit_code == 1
    assert "--overwrite" in again.output


def test_texts_are_taught(collection: Path, fast: list[str], tmp_path: Path) -> None:
    table = tmp_path / "texts.tsv"
    words = ("north", "south", "east", "west")
    table.write_text("".join(f"mine:{n}\tplace in the {words[n % 4]}\n" for n in range(40)))
    for options in ((str(table),), ("--of", str(collection))):
        made = run("teacher", "texts", *options, "-o", tmp_path / "teacher", "--overwrite")
        assert made.exit_code == 0, made.output
    assert run("inspect", tmp_path / "teacher").exit_code in (0, 1)
    student = run(
        *("retrain", collection, "--teacher", tmp_path / "teacher"),
        *("-o", tmp_path / "student", "--compare-alone", *fast),
    )
    assert student.exit_code == 0, student.output
    assert "Gained over training alone" in student.output


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "Give TEXTS or --of COLLECTION"),
        (("{texts}", "--encoder", "bert"), "there is no encoder 'bert'"),
        (("{texts}", "--encoder", "sentence-transformers:x"), "pip install 'kgraft[texts]'"),
        (("{texts}", "--encoder", "words:none.vec"), "there is no such file"),
        (("{empty}",), "all texts are empty"),
    ],
)
def test_what_is_wrong_with_texts_is_said(
    options: tuple[str, ...], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
    texts, empty = tmp_path / "a.tsv", tmp_path / "b.tsv"
    texts.write_text("a\tone two\nb\ttwo three\n")
    empty.write_text("a\t\nb\t \n")
    given = [x.format(texts=texts, empty=empty) for x in options]
    made = run("teacher", "texts", *given, "-o", tmp_path / "teacher")
    assert made.exit_code == 1
    assert expected in " ".join(made.output.split())
    assert not (tmp_path / "teacher").exists()
