"""The benchmark of a large graph, on a small one."""

from __future__ import annotations

import json
from importlib import import_module as script
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kgraft.io.read_graph import read_graph


@pytest.fixture
def scale(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script, doing all in this process."""
    module = script("scale")
    monkeypatch.setattr(module, "apart", lambda do, *arguments: do(*arguments))
    return module


SIZES = ["--triples=3000", "--small=1000", "--relations=12", "--types=4", "--target=400"]


def test_a_graph_is_carried_from_its_file_to_a_targets_subgraph(
    scale: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work, out = tmp_path / "work", tmp_path / "results" / "scale.json"
    options = [f"--work={work}", f"--out={out}", *SIZES, "--width=8", "--threads=1"]
    scale.main([*options, "--steps=4", "--rounds=2", "--queries=10"])
    report = json.loads(out.read_text(encoding="utf-8"))
    assert report["relations"] == 12
    assert 2_900 < report["triples"] < 3_000, "all but about 20 that are held out"
    assert 0 < report["subgraph_triples"] < report["triples"]
    assert 0 < report["mrr"] <= 1
    assert list(report["stages"]) == ["read", "join", "train", "rank", "save", "load", "cut"]
    assert report["peak_rss_gib"] >= report["stages"]["read"]["peak_rss_gib"] > 0
    assert report["rate_of_small_graph"] > 0
    assert report["reading"].keys() == {"parquet", "ntriples"}
    assert "entities" in capsys.readouterr().out


def test_both_files_hold_the_same_facts(scale: Any, tmp_path: Path) -> None:
    asked = scale.options().parse_args([f"--work={tmp_path}", "--out=unused", *SIZES])
    scale.make(1_000, tmp_path / "made", asked)
    graphs = [
        read_graph(scale.GraphSource(name="x", train=[tmp_path / "made" / name]))
        for name in ("background1-train.parquet", "background.nt")
    ]
    assert graphs[0].entities == graphs[1].entities
    assert graphs[0].train.tolist() == graphs[1].train.tolist()


def test_rates_count_the_examples_of_each_round(
    scale: Any, ticking: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Trainer:
        """Learns nothing."""

        metrics = SimpleNamespace(flush=list)

        def step(self, batch: list[int]) -> None:
            assert batch

    class Run:
        """TripleSampler of some queries."""

        def __init__(self, size: int) -> None:
            self.size = size

        def trainer(self) -> Trainer:
            return Trainer()

        def sampler(self) -> Any:
            return self

        def epoch(self, number: int) -> Any:
            assert number > 0
            return iter([[0] * self.size] * 3)

    monkeypatch.setattr(scale, "time", ticking)
    # Two rounds of three steps each, and a second to each round.
    assert scale.rates([Run(5), Run(7)], steps=5, rounds=2) == [[15.0, 15.0], [21.0, 21.0]]
