"""The measure of preparing, on a small collection."""

from __future__ import annotations

import json
from importlib import import_module as script
from pathlib import Path

import pytest

pytest.importorskip("duckdb", reason="duckdb is not installed")


@pytest.mark.slow
def test_a_collection_is_prepared_and_cut(tmp_path: Path) -> None:
    out = tmp_path / "distributed.json"
    out.write_text('{"rows": 1, "commands": {"other": "x"}}')
    options = ["--work", str(tmp_path), "--out", str(out), "--threads=1", "--memory=0.3"]
    script("prepare").main([*options, "--facts=20000", "--entities=3000", "--target=400"])
    found = json.loads(out.read_text())
    assert found["rows"] == 1
    assert {*found["commands"]} == {"other", "prepare"}
    assert found["prepare_facts"] == 22_400
    assert found["cut_facts"] > 100
    assert 0 < found["prepare_peak_gib"] < 4
