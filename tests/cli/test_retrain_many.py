"""Students for many targets: finished once, resumed, failures apart, and errors by line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from kgraft.cli.main import app
from kgraft.cli.work_list import read_work
from kgraft.errors import DataError
from kgraft.model.directory import load_model
from kgraft.system.outputs import exclusive_lock, lock_of

FAST = 'set = ["model.width=8", "training.epochs=1", "training.min_steps=0"]\n'


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def targets(collection: Path, tmp_path: Path) -> Path:
    """A list of three students: two of a collection, and a graph that is grafted."""
    file = tmp_path / "targets.toml"
    file.write_text(
        FAST
        + f'[[target]]\nname = "one"\ndata = "{collection}"\n'
        + f'[[target]]\nname = "two"\ndata = "{collection}"\ncompare = true\n'
        + 'set = ["training.seed=2"]\n'
        + f'[[target]]\ndata = "{collection.with_name("mine.tsv")}"\ncompare = false\n'
    )
    return file


def results(told: Result) -> dict[str, Any]:
    assert told.exit_code in (0, 1), told.output
    return {x["name"]: x for x in json.loads(told.stdout[: told.stdout.rindex("]") + 1])}


def test_each_student_is_made_once(targets: Path, teacher: Path, tmp_path: Path) -> None:
    words = (
        "retrain-many",
        targets,
        "--teacher",
        teacher,
        "-o",
        tmp_path / "students",
        "--allow-outside",
    )
    made = run(*words, "--workers", "2", "--threads", "1")
    assert made.exit_code == 0, made.output
    assert "[3/3]" in made.output
    found = json.loads((tmp_path / "students" / "results.json").read_text())
    assert {x["name"]: x["status"] for x in found} == dict.fromkeys(("mine", "one", "two"), "done")
    assert [x["gained"] is not None for x in found] == [False, False, True]
    students = {x: load_model(tmp_path / "students" / x) for x in ("mine", "one", "two")}
    assert students["two"].settings.training.seed == 2
    assert "graft" in students["mine"].metrics
    assert "validation MRR" in (tmp_path / "students" / "one.log").read_text()
    again = results(run(*words, "--json"))
    assert {x["status"] for x in again.values()} == {"kept"}
    targets.write_text(targets.read_text().replace("seed=2", "seed=3"))
    left = tmp_path / "students" / f".{'ab' * 16}.results.json"
    left.write_text("[{")
    changed = results(run(*words, "--json"))
    assert {name: x["status"] for name, x in changed.items()} == {
        "one": "kept",
        "two": "done",
        "mine": "kept",
    }
    assert not left.exists()


def test_one_that_fails_stops_no_other(targets: Path, teacher: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tsv"
    broken.write_text("a\tr1\n")
    targets.write_text(targets.read_text() + f'[[target]]\ndata = "{broken}"\n')
    words = (
        "retrain-many",
        targets,
        "--teacher",
        teacher,
        "-o",
        tmp_path / "students",
        "--allow-outside",
    )
    told = run(*words)
    assert told.exit_code == 1
    assert "broken: failed after" in told.output
    assert "broken.tsv" in told.output
    text = " ".join(told.output.split())
    assert "1 student of 4 failed: broken. Read NAME.log in" in text
    assert [x.name for x in (tmp_path / "students").iterdir() if x.is_dir()].count("broken") == 0
    again = results(run(*words, "--json"))
    assert {x["status"] for name, x in again.items() if name != "broken"} == {"kept"}


@pytest.mark.slow
def test_a_stopped_list_goes_on(targets: Path, teacher: Path, tmp_path: Path) -> None:
    out = tmp_path / "students"
    text = targets.read_text().replace("training.epochs=1", "training.epochs=400")
    targets.write_text(text.replace("training.min_steps=0", "training.patience=400"))
    words = [
        "retrain-many",
        str(targets),
        "--teacher",
        str(teacher),
        "-o",
        str(out),
        "--allow-outside",
    ]
    command = [sys.executable, "-m", "kgraft", *words, "--workers", "2", "--threads", "1"]
    for stop in (signal.SIGTERM, signal.SIGKILL):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            _wait(lambda: any(out.glob(".*.run/*")), process)
            os.kill(process.pid, stop)
            process.communicate()
        assert process.returncode != 0
    # Students of the killed one end by themselves, and keep what they have reached.
    for name in ("one", "two"):
        _wait(lambda name=name: _is_free(out / name))
    told = results(run(*words, "--json", "--workers", "2"))
    assert {x["status"] for x in told.values()} <= {"done", "kept"}
    assert len(told) == 3
    assert "Stopped" in (out / "one.log").read_text() + (out / "two.log").read_text()
    assert not [*out.glob(".*.run")]


def _wait(until: Any, process: subprocess.Popen[bytes] | None = None) -> None:
    end = time.monotonic() + 240
    while not until():
        assert time.monotonic() < end
        assert process is None or process.poll() is None, process.communicate()[0]
        time.sleep(0.05)


def _is_free(directory: Path) -> bool:
    try:
        with exclusive_lock(lock_of(directory)):
            return True
    except Exception:
        return False


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", r"target: Field required"),
        ("[target]\n", "write it as tables in two brackets"),
        ("set = []\nx = \n", "line 2: not well-formed TOML"),
        ('[[target]]\ndata = "none.toml"\n', r"line 1: there is no .*none.toml. Mend 'data'"),
        ('\n[[target]]\ndata = "a.tsv"\nnmae = "b"\n', r"line 2: .*nmae: there is no such"),
        ('[[target]]\ndata = "a.tsv"\nname = "../b"\n', "line 1: .*name: String should match"),
        ('[[target]]\ndata = "a.tsv"\n' * 2, "line 3: two students are called 'a'. Give one"),
    ],
)
def test_errors_name_the_line(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\tr\tb\n")
    file = tmp_path / "targets.toml"
    file.write_text(text)
    with pytest.raises(DataError, match=complaint):
        read_work(file, "teacher", tmp_path / "out")


def test_a_list_may_begin_with_a_mark_and_a_base_counts(
    collection: Path, teacher: Path, tmp_path: Path
) -> None:
    base, file = tmp_path / "base.toml", tmp_path / "targets.toml"
    text = collection.read_text()
    for name in ("mine.tsv", "big.tsv", "links.tsv"):
        (tmp_path / name).write_bytes(collection.with_name(name).read_bytes())
    base.write_text(text)
    (tmp_path / "own.toml").write_text('base = "base.toml"\n')
    file.write_text('\ufeff[[target]]\ndata = "own.toml"\n')
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.tsv").write_text("a\tr\tb\n")
    file.write_text(file.read_text() + '[[target]]\ndata = "folder"\n')

    def prints() -> dict[str, str]:
        return {x.name: x.fingerprint for x in read_work(file, str(teacher), tmp_path / "out")}

    before = prints()
    (tmp_path / "big.tsv").write_text("big:1\tr1\tbig:2\n")
    (folder / "b.tsv").write_text("a\tr\tc\n")
    assert all(before[name] != found for name, found in prints().items())


def test_a_student_depends_on_its_files_and_its_teacher(
    targets: Path, collection: Path, teacher: Path, tmp_path: Path
) -> None:
    def prints() -> dict[str, str]:
        found = read_work(targets, str(teacher), tmp_path / "out", allow_outside=True)
        return {x.name: x.fingerprint for x in found}

    before, links = prints(), collection.with_name("links.tsv")
    text = links.read_text()
    try:
        links.write_text(text + "mine:0\tbig:1\n")
        changed = prints()
    finally:
        links.write_text(text)
    assert {x for x in before if before[x] != changed[x]} == {"one", "two"}
    found = read_work(targets, "other", tmp_path / "out", allow_outside=True)
    other = {x.name: x.fingerprint for x in found}
    assert all(other[x] != before[x] for x in before)


@pytest.mark.parametrize("key", ["data", "links", "settings"])
@pytest.mark.parametrize("way", ["up", "absolute", "link"])
def test_a_list_names_files_below_its_directory_unless_its_user_allows_more(
    tmp_path: Path, key: str, way: str
) -> None:
    here, other = tmp_path / "here", tmp_path / "other.tsv"
    here.mkdir()
    for path in (other, here / "a.tsv"):
        path.write_text("a\tr\tb\n")
    (here / "link.tsv").symlink_to(other)
    named = {"up": "../other.tsv", "absolute": str(other), "link": "link.tsv"}[way]
    settings = f"settings = '{named}'\n" if key == "settings" else ""
    data = named if key == "data" else "a.tsv"
    links = f"links = ['{named}']\n" if key == "links" else ""
    file = here / "targets.toml"
    file.write_text(f"{settings}[[target]]\ndata = '{data}'\nname = 'x'\n{links}")
    with pytest.raises(DataError, match=r"targets.toml, line [12]: .*lies outside .*allow-outside"):
        read_work(file, "teacher", tmp_path / "out")
    [task] = read_work(file, "teacher", tmp_path / "out", allow_outside=True)
    assert "--allow-outside" in task.words


def test_collections_of_a_list_keep_to_their_directories_too(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\tr\tb\n")
    file = tmp_path / "targets.toml"
    file.write_text('[[target]]\ndata = "a.tsv"\n')
    [task] = read_work(file, "teacher", tmp_path / "out")
    assert "--allow-outside" not in task.words


def test_a_file_that_looks_like_an_option_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("--allow-outside").write_text("a\tr\tb\n")
    Path("targets.toml").write_text('[[target]]\nname = "x"\ndata = "--allow-outside"\n')
    [task] = read_work(Path("targets.toml"), "teacher", Path("out"))
    assert task.words[1] == "./--allow-outside"


def test_a_base_that_leads_back_ends(tmp_path: Path) -> None:
    for name, base in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.toml").write_text(f'base = "{base}.toml"\n')
    file = tmp_path / "targets.toml"
    file.write_text('[[target]]\ndata = "a.toml"\n')
    assert len(read_work(file, "teacher", tmp_path / "out")) == 1
    file.write_text('[[target]]\ndata = ".."\n')
    with pytest.raises(DataError, match="line 1: this has no name"):
        read_work(file, "teacher", tmp_path / "out", allow_outside=True)
