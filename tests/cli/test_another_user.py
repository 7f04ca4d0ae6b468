"""Commands of a user who may not write, or not read, what they name; and of a directory gone."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kgraft.cli.main import app

NOBODY = 65534
ROOT_ONLY = pytest.mark.skipif(
    not hasattr(os, "setresuid") or os.geteuid() != 0, reason="only root becomes another user"
)


@contextmanager
def another_user() -> Iterator[None]:
    """Be another user while the block runs."""
    groups = os.getgroups()
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, 0)
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(groups)


def run(*arguments: str | Path) -> Result:
    with another_user():
        return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def place(student: Path, collection: Path) -> Iterator[Path]:
    """Data and a model of root's in ``root``, which all may read, and ``own`` of another user."""
    top = Path(tempfile.mkdtemp())
    shutil.copytree(student, top / "root" / "student")
    shutil.copytree(collection.parent, top / "root" / "data")
    (top / "own").mkdir()
    for path in (top, *top.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    os.chown(top / "own", NOBODY, NOBODY)
    yield top
    shutil.rmtree(top)


def files(directory: Path) -> dict[str, bytes | None]:
    paths = sorted(directory.rglob("*"))
    return {str(x): x.read_bytes() if x.is_file() else None for x in paths}


COMMANDS: dict[str, Callable[[Path, Path], list[str | Path]]] = {
    "train": lambda root, out: ["train", root / "data" / "collection.toml", "-o", out / "model"],
    "check": lambda root, out: ["check", root / "student", "-o", out / "found.tsv"],
    "complete": lambda root, out: ["complete", root / "student", "-o", out / "found.tsv"],
    "export": lambda root, out: ["export", root / "student", "-o", out / "vectors.npz"],
    "report": lambda root, out: ["report", root / "student", "-o", out / "report.html"],
}


@ROOT_ONLY
@pytest.mark.parametrize("command", list(COMMANDS))
def test_a_place_that_may_not_be_written_to_is_refused_before_the_work(
    place: Path, command: str
) -> None:
    before = files(place)
    made = run(*COMMANDS[command](place / "root", place / "root"))
    assert made.exit_code == 1, made.output
    assert f"{place / 'root'}: nothing can be written here (Permission denied)" in made.stderr
    assert "may write to" in made.stderr
    assert "epoch" not in made.stderr  # Neither training nor judging has begun.
    assert files(place) == before


@ROOT_ONLY
def test_a_model_of_another_user_is_not_replaced(place: Path, fast: list[str]) -> None:
    before = files(place)
    data = place / "root" / "data" / "collection.toml"
    made = run("train", data, "-o", place / "root" / "student", "--overwrite", *fast)
    assert made.exit_code == 1
    assert "nothing can be written here (Permission denied)" in made.stderr
    assert files(place) == before


@ROOT_ONLY
def test_a_model_of_another_user_is_used(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setenv("TMPDIR", str(place / "root"))
    for command in ("complete", "export"):
        made = run(*COMMANDS[command](place / "root", place / "own"))
        assert made.exit_code == 0, made.output
    assert sorted(x.name for x in (place / "own").iterdir()) == ["found.tsv", "vectors.npz"]
    monkeypatch.delenv("HOME")
    asked = run("predict", place / "root" / "student", "--head", "mine:0", "--relation", "r1")
    assert asked.exit_code == 0, asked.output


@ROOT_ONLY
@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("student", ["rules", "root/student"]),
        ("student/manifest.json", ["rules", "root/student"]),
        ("student/weights.safetensors", ["rules", "root/student"]),
        ("student/facts.parquet", ["rules", "root/student"]),
        ("data/collection.toml", ["inspect", "root/data/collection.toml"]),
        ("data/mine.tsv", ["inspect", "root/data/collection.toml"]),
    ],
)
def test_what_may_not_be_read_is_told(
    place: Path, name: str, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "root" / name).chmod(0)
    monkeypatch.chdir(place)
    asked = run(*command)
    assert asked.exit_code in (1, 2), asked.output
    assert isinstance(asked.exception, SystemExit)
    assert Path(name).name in asked.stderr
    assert any(x in asked.stderr for x in ("may not read", "Permission denied", "not readable"))
    assert "fit together" not in asked.stderr


@pytest.mark.skipif(os.name != "posix", reason="a directory in use cannot be removed here")
def test_a_current_directory_that_is_gone_is_told(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = student.absolute()
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    made = CliRunner().invoke(app, ["complete", str(student), "-o", "found.tsv"])
    assert made.exit_code == 1
    assert "The current directory is gone. Change to one that exists." in made.stderr
    absolute = CliRunner().invoke(app, ["complete", str(student), "-o", str(tmp_path / "all.tsv")])
    assert absolute.exit_code == 0, absolute.output
