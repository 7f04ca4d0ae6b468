"""The command ``check``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from kgraft.cli.main import app
from kgraft.inference import error_probability, left_out


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(left_out, "MIN_STEPS", 5)
    monkeypatch.setattr(error_probability, "MIN_PLANTED", 200)
    return


def test_facts_are_shown_or_printed_for_programs(student: Path) -> None:
    shown = CliRunner().invoke(app, ["check", str(student), "-k", "3"])
    assert shown.exit_code == 0, shown.output
    assert "evidence" in shown.stdout
    printed = CliRunner().invoke(app, ["-q", "check", str(student), "-k", "3", "--json"])
    found = json.loads(printed.stdout)
    assert len(found) == 3
    assert found[0]["head"].startswith("mine:")
    assert found[0]["error_probability"] >= found[2]["error_probability"]
    assert isinstance(found[0]["evidence"], list)


@pytest.mark.parametrize("ending", [".parquet", ".tsv", ".tsv.gz", ".json"])
def test_all_facts_go_to_a_file(student: Path, tmp_path: Path, ending: str) -> None:
    place = tmp_path / f"found{ending}"
    done = CliRunner().invoke(app, ["check", str(student), "-o", str(place)])
    assert done.exit_code == 0, done.output
    if ending == ".json":
        frame = pl.DataFrame(json.loads(place.read_text()))
    elif ending == ".parquet":
        frame = pl.read_parquet(place)
    else:
        frame = pl.read_csv(place, separator="\t", quote_char=None)
    assert f"{len(frame):,} facts" in done.output
    stated = len(student.with_name("mine.tsv").read_text().splitlines())
    assert len(frame) == stated
    assert frame["error_probability"].is_sorted(descending=True)
    assert {"head", "relation", "tail", "evidence"} <= {*frame.columns}


def test_an_ending_that_says_no_format_is_refused_before_any_work(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_probability, "judge", None)
    failed = CliRunner().invoke(app, ["check", str(student), "-o", str(tmp_path / "a.nt")])
    assert failed.exit_code == 1
    assert "End the name with .parquet, .tsv, .json" in failed.stderr
    assert list(tmp_path.iterdir()) == []
