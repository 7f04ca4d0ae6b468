"""A single graph's figures in a report of several."""

from __future__ import annotations

import json
from importlib import import_module as script
from pathlib import Path

import pytest
import tomli_w


@pytest.mark.slow
def test_each_graph_alone_has_a_row_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {}
    for name, longest in (("vectors", 0), ("rules", 1)):
        settings = {"model": {"width": 8}, "training": {"epochs": 1}, "rules": {"longest": longest}}
        (tmp_path / f"{name}.toml").write_text(tomli_w.dumps(settings))
        asked = ["world", "--settings", str(tmp_path / f"{name}.toml"), "--threads", "1"]
        script("single").main([*asked, "--out", str(tmp_path / "single.json")])
        rows[name] = json.loads(capsys.readouterr().out)
    report = json.loads((tmp_path / "single.json").read_text())
    assert {name: row["figures"] for name, row in report.items()} == rows
    assert list(rows["vectors"]) == ["vectors"]
    assert list(rows["rules"]) == ["vectors", "rules", "both"]
    assert set(rows["rules"]["both"]) == {"mrr", "hits@1", "hits@3", "hits@10"}
    assert report["rules"]["facts"]["test"] > 0
