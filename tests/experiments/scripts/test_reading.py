"""The comparison of reading speed: one graph in every format, this checkout beside itself."""

from __future__ import annotations

import json
from importlib import import_module as script
from pathlib import Path

import pytest

from kgraft.io.read_collection import read_collection

ROOT = Path(__file__).parents[3]


def test_every_format_holds_the_same_facts(tmp_path: Path) -> None:
    formats = script("reading").write_files(tmp_path, 100)
    found = {name: read_collection(tmp_path / f"{name}.toml") for name in formats}
    facts = {len(graph.train) for x in found.values() for graph in x.graphs.values()}
    assert facts == {100}
    assert len(found["names"].graphs["g"].entities) == 100
    assert len(found["sssom"].links[0]) == 50


@pytest.mark.slow
def test_a_checkout_beside_itself(tmp_path: Path) -> None:
    out = tmp_path / "reading.json"
    script("reading").main([str(ROOT), "--rounds=1", "--facts=100", f"--out={out}"])
    report = json.loads(out.read_text())
    assert "--rounds 1 --threads 1 --facts 100" in report["command"]
    figures = [row["figure"] for row in report["figures"]]
    assert figures == ["parquet", "tsv", "ntriples", "rdfxml", "names", "sssom"]
    assert str(ROOT) not in out.read_text()
