"""Students of a list on a Ray cluster, and as jobs of Slurm's kind, are those of processes here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from threading import Event, Timer
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from kgraft.cli.clusters import LocalProcesses, SlurmJobs, run_command
from kgraft.cli.main import app
from kgraft.errors import KgraftError, SettingsError

FAST = 'set = ["model.width=8", "training.epochs=1", "training.min_steps=0"]\n'


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def words(collection: Path, teacher: Path, tmp_path: Path) -> list[str | Path]:
    file = tmp_path / "targets.toml"
    file.write_text(FAST + f'[[target]]\nname = "one"\ndata = "{collection}"\n')
    return ["retrain-many", file, "--teacher", teacher, "--allow-outside", "--threads", "1", "-o"]


def weights(directory: Path) -> Any:
    manifest = json.loads((directory / "one" / "manifest.json").read_text())
    return manifest["files"]["weights.safetensors"]


@pytest.mark.slow
@pytest.mark.parametrize("place", [("--ray", "local"), ("--slurm", "cluster=local,timeout_min=9")])
def test_students_are_the_same_everywhere(
    words: list[str | Path],
    tmp_path: Path,
    place: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_worker_niceness", "0")
    pytest.importorskip({"--ray": "ray", "--slurm": "submitit"}[place[0]])
    here = run(*words, tmp_path / "here")
    assert here.exit_code == 0, here.output
    there = run(*words, tmp_path / "there", *place)
    assert there.exit_code == 0, there.output
    assert weights(tmp_path / "here") == weights(tmp_path / "there")
    assert "validation MRR" in (tmp_path / "there" / "one.log").read_text()
    again = run(*words, tmp_path / "there", *place)
    assert "done before" in again.output


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_job_that_fails_has_a_status(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    jobs = SlurmJobs(tmp_path / "jobs", "cluster=debug", 1)
    words = ("inspect", str(tmp_path / "none.tsv"))
    assert jobs.run(words, {}, tmp_path / "a.log", Event()) == 1
    assert run_command(words, {}, str(tmp_path / "b.log")) == 1
    for name in ("a.log", "b.log"):
        assert "there is no such file" in (tmp_path / name).read_text()


def test_a_command_is_stopped(tmp_path: Path) -> None:
    stop = Event()
    Timer(1.0, stop.set).start()
    words = ("serve", str(tmp_path / "none"))
    assert LocalProcesses().run(words, {}, tmp_path / "a.log", stop) != 0


def test_parameters_are_named(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    with pytest.raises(SettingsError, match="--slurm short: write NAME=VALUE"):
        SlurmJobs(tmp_path, "short", 1)
    with pytest.raises(KgraftError, match="Slurm cannot be used"):
        SlurmJobs(tmp_path, "cluster=nowhere", 1)


def test_one_place_is_chosen(words: list[str | Path], tmp_path: Path) -> None:
    told = run(*words, tmp_path / "out", "--ray", "auto", "--slurm", "partition=x")
    assert told.exit_code == 1
    assert "give one of --ray and --slurm" in told.output


@pytest.mark.parametrize(("option", "library"), [("--ray", "ray"), ("--slurm", "submitit")])
def test_a_missing_library_is_named(
    words: list[str | Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    library: str,
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    told = run(*words, tmp_path / "out", option, "auto")
    assert told.exit_code == 1
    assert f"pip install 'kgraft[{option[2:]}]'" in " ".join(told.output.split())
