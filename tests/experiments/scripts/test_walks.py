"""The time of sampling beside training: turns and ratios by hand, and the script on tiny data."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module as script
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from kgraft.io.read_collection import read_collection
from kgraft.training.sampler import TripleSampler


class Clock:
    """Time that passes only by what is done."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


class Slow:
    """Batches that take 2 s each, and a trainer that takes 6 s for one, on a clock of their own."""

    metrics = SimpleNamespace(flush=list)

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def __iter__(self) -> Slow:
        return self

    def __next__(self) -> range:
        self.clock.now += 2
        return range(10)

    def step(self, _batch: range) -> None:
        self.clock.now += 6


def test_making_and_learning_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    walks, clock = script("walks"), Clock()
    monkeypatch.setattr(walks, "time", clock)
    assert walks.turns(Slow(clock), Slow(clock), 4) == (40, 8.0, 24.0)
    assert clock.now == (walks.WARM_UP + 4) * 8


def test_how_far_walks_are_ahead() -> None:
    paths = [{"steps": 3, "paths_per_second": x} for x in (900, 400)]
    training = [{"steps": steps, "learned_per_second": 100} for steps in (1, 3)]
    found = list(script("walks").with_ahead(training, paths))
    assert [row["ahead"] for row in found] == [None, 12.0]


def test_the_middle_of_some_rounds() -> None:
    rows = [{"encoder": "gru", "steps": 2, "making": x} for x in (0.3, 0.1, 0.2)]
    assert script("walks").middle(rows) == {"encoder": "gru", "steps": 2, "making": 0.2}


def test_epochs_follow_each_other() -> None:
    facts = np.array([[row, 0, row + 1] for row in range(6)])
    stream = script("walks").endless(TripleSampler(facts, 7, 1, batch_size=8, negatives=2, seed=0))
    assert [len(next(stream)) for _ in range(5)] == [8, 4, 8, 4, 8]


def test_walks_and_training_are_measured(
    layout: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    shown: Callable[..., list[str]],
) -> None:
    out = tmp_path / "walks.json"
    wanted = ["--steps", "1", "2", "3", "--walkers", "16", "64", "--seconds=0.02"]
    sizes = ["--batches=2", "--repeats=2", "--width=8", "--batch-size=32", "--threads=1"]
    script("walks").main([str(layout), f"--out={out}", *wanted, *sizes])
    report = json.loads(out.read_text(encoding="utf-8"))
    assert [(x["steps"], x["walkers"]) for x in report["walks"]] == [
        (2, 16),
        (2, 64),
        (3, 16),
        (3, 64),
    ]
    for row in report["walks"]:
        assert row["paths_per_second"] > 0
        expected = row["paths_per_second"] * (row["steps"] - 1)
        assert row["steps_per_second"] == pytest.approx(expected, abs=2)
    keys = [(x["encoder"], x["steps"]) for x in report["training"]]
    assert keys == [(encoder, steps) for encoder in ("complex", "gru") for steps in (1, 2, 3)]
    for row in report["training"]:
        assert 0 < row["making"] < 1
        assert row["queries_per_second"] < row["learned_per_second"]
        assert (row["ahead"] is None) == (row["steps"] == 1)
    facts = sum(len(graph.train) for graph in read_collection(layout).graphs.values())
    assert report["settings"]["facts"] <= facts
    assert capsys.readouterr().out.count("queries/s") == 6
    lines = shown(report, drawn=False)
    assert len(lines) == 1 + 6 + 1 + 4
