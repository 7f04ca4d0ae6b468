"""Files and directories that commands write: behind links, readable by others, nothing beside."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kgraft.cli.main import app
from kgraft.model.directory import load_model

LEFT = f".{'0' * 32}."


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def shared_umask() -> Iterator[None]:
    """A umask by which others read what is written."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("shared_umask")
def test_a_model_behind_a_link_is_replaced_there_and_others_can_read_it(
    tmp_path: Path, collection: Path, fast: list[str]
) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "current").symlink_to("disk/v1")
    seeds = []
    for seed, more in ((1, []), (2, ["--overwrite"])):
        made = run(
            *("train", collection, "--alone", "-o", tmp_path / "current", *fast, *more),
            *("--set", f"training.seed={seed}"),
        )
        assert made.exit_code == 0, made.output
        seeds.append(load_model(tmp_path / "disk" / "v1").settings.training.seed)
        assert (tmp_path / "disk" / "v1" / "report.html").exists()
    assert seeds == [1, 2]
    assert (tmp_path / "current").is_symlink()
    assert sorted(x.name for x in tmp_path.iterdir()) == ["current", "disk"]
    assert [x.name for x in (tmp_path / "disk").iterdir()] == ["v1"]
    modes = {x.name: x.stat().st_mode & 0o777 for x in (tmp_path / "disk" / "v1").iterdir()}
    assert modes["weights.safetensors"] == 0o644
    assert set(modes.values()) == {0o644}


def test_a_link_that_leads_to_itself_is_refused_before_training(
    tmp_path: Path, collection: Path, fast: list[str]
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    made = run("train", collection, "--alone", "-o", tmp_path / "loop", *fast)
    assert made.exit_code == 1
    assert "loop: this symbolic link leads to itself" in made.stderr
    assert "embeddings" not in made.stderr
    assert [x.name for x in tmp_path.iterdir()] == ["loop"]


def test_predictions_and_reports_are_written_behind_links(tmp_path: Path, student: Path) -> None:
    (tmp_path / "share").mkdir()
    for name in ("found.tsv", "page.html"):
        (tmp_path / name).symlink_to(f"share/{name}")
    (tmp_path / "share" / "found.tsv").write_text("old")
    asked = run("complete", student, "--least", "0", "-o", tmp_path / "found.tsv")
    assert asked.exit_code == 0, asked.output
    assert (tmp_path / "share" / "found.tsv").read_text().startswith("head\trelation")
    reported = run("report", student, "-o", tmp_path / "page.html")
    assert reported.exit_code == 0, reported.output
    assert (tmp_path / "found.tsv").is_symlink()
    assert (tmp_path / "page.html").is_symlink()
    assert sorted(x.name for x in tmp_path.rglob("*")) == [
        *("found.tsv", "found.tsv", "page.html", "page.html", "share")
    ]


def test_what_killed_commands_left_beside_a_file_is_removed(tmp_path: Path, student: Path) -> None:
    found, page = tmp_path / "found.tsv", tmp_path / "page.html"
    for file in (found, page):
        file.with_name(LEFT + file.name).touch()
    run("complete", student, "-o", found)
    run("report", student, "-o", page)
    assert sorted(x.name for x in tmp_path.iterdir()) == ["found.tsv", "page.html"]


IN_A_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
"""Runs a shell that may mount, and whose mounts end with it."""

MOUNT = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'


def may_mount() -> bool:
    """Return True where this user may make a namespace of mounts."""
    if shutil.which("unshare") is None:
        return False
    return (
        subprocess.run([*IN_A_NAMESPACE, "mount"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.slow
@pytest.mark.skipif(not may_mount(), reason="this user may not mount")
def test_a_model_is_trained_into_a_mounted_volume(
    tmp_path: Path, collection: Path, fast: list[str]
) -> None:
    disk, volume = tmp_path / "disk", tmp_path / "volume"
    disk.mkdir()
    volume.mkdir()
    mounted = [*IN_A_NAMESPACE, MOUNT, "sh", str(disk), str(volume)]
    command = ["train", str(collection), "--alone", "-o", str(volume), *fast]
    for more in ([], ["--overwrite"]):
        made = subprocess.run(
            [*mounted, sys.executable, "-m", "kgraft", *command, *more],
            capture_output=True,
            check=False,
            text=True,
        )
        assert made.returncode == 0, made.stderr
    assert load_model(disk).target == "mine"
    assert sorted(x.name for x in tmp_path.iterdir()) == ["disk", "volume"]
    assert not [x.name for x in disk.iterdir() if x.name.startswith(".")]
