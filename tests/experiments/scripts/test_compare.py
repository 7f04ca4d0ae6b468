"""The comparison of two checkouts: ratios by hand, and this checkout beside itself."""

from __future__ import annotations

import json
from importlib import import_module as script
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_a_ratio_above_one_is_this_checkout_faster() -> None:
    this, other = ([{"seconds": {"rank": x}} for x in own] for own in ((1.0, 2.0), (3.0, 2.0)))
    [row] = script("compare").compared({"this": this, "other": other})
    assert (row["this_seconds"], row["other_seconds"]) == (1.5, 2.5)
    assert row["times_as_fast"] == {"median": 2.0, "least": 1.0, "largest": 3.0}


@pytest.mark.slow
def test_a_checkout_beside_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "compare.json"
    tiny = {"model": {"width": 4}, "training": {"epochs": 1}}
    student = {**tiny, "training": {"epochs": 1, "min_steps": 0}, "rules": {"longest": 0}}
    settings = [f"--teacher={json.dumps(tiny)}", f"--student={json.dumps(student)}"]
    script("compare").main([str(ROOT), "--rounds=1", "--threads=1", f"--out={out}", *settings])
    report = json.loads(out.read_text())
    assert report["settings"]["threads"] == 1
    assert "--rounds 1 --threads 1 --clock perf_counter" in report["command"]
    assert str(ROOT) not in out.read_text()
    assert report["mrr"]["this"] == report["mrr"]["other"]
    figures = [row["figure"] for row in report["figures"]]
    assert figures[:2] == ["pretrain", "retrain"]
    assert all(row["this_seconds"] > 0 for row in report["figures"])
    assert capsys.readouterr().out.count("\n") == len(figures) == 6
