"""The command that makes a synthetic collection, as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from kgraft.io.read_collection import read_collection
from kgraft_experiments.commands.synth import synth

SMALL = ["target.entities=300", "target.facts=1500", "background.facts=4000"]


def run(directory: Path, *changes: str) -> Result:
    app = typer.Typer()
    app.command()(synth)
    sets = [part for change in [*SMALL, *changes] for part in ("--set", change)]
    return CliRunner().invoke(app, ["-o", str(directory), *sets])


def test_a_collection_is_made_and_described(tmp_path: Path) -> None:
    done = run(tmp_path / "made", "background.shared=0.5")
    assert done.exit_code == 0, done.output
    assert "target: 300 entities, facts: 1,200 train, 150 valid, 150 test" in done.output
    assert "750 of the target's 1,500 facts (50.0 %)" in done.output
    collection = read_collection(tmp_path / "made")
    n_links = sum(len(links) for links in collection.links)
    assert f"{n_links:,} links" in done.output


@pytest.mark.parametrize(
    ("change", "complaint"),
    [("links.linked=2", "links.linked"), ("background.facts=10", "needs at least")],
)
def test_a_bad_setting_is_a_sentence_and_leaves_nothing(
    tmp_path: Path, change: str, complaint: str
) -> None:
    failed = run(tmp_path / "made", change)
    assert failed.exit_code == 1
    assert complaint in failed.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    refused = run(tmp_path)
    assert refused.exit_code == 1
    assert "there is something here already" in refused.stderr
