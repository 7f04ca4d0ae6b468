"""The script that measures speed: ratios by hand, equal work, and the whole of it on tiny data."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from common import in_turns, ratios

TINY = ["--width", "8", "--batches", "2", "--facts", "20", "--repeats", "2", "--threads", "1"]
PYKEEN = ["--pykeen-facts", "50", "--pykeen-batch-sizes", "8", "16", "--minutes", "0.02"]


@pytest.fixture(scope="module")
def speed() -> Any:
    pytest.importorskip("pykeen")
    return import_module("speed")


def test_ratios_by_hand() -> None:
    assert ratios([1.0, 3.0, 2.0], [2.0, 4.0, 2.0]) == {
        "median": 0.75,
        "least": 0.5,
        "largest": 1.0,
    }


def test_work_takes_turns_after_a_warm_up() -> None:
    done: list[str] = []
    work: dict[str, Callable[[], object]] = {
        name: lambda name=name: done.append(name) for name in ("one", "two")
    }
    seconds = in_turns(work, 2)
    assert done == ["one", "two"] * 3
    assert {name: len(own) for name, own in seconds.items()} == {"one": 2, "two": 2}


@pytest.mark.slow
def test_from_end_to_end(speed: Any, tmp_path: Path) -> None:
    speed.main(["world", *TINY, *PYKEEN, "--epochs", "2", "--out", str(tmp_path / "speed.json")])
    report = json.loads((tmp_path / "speed.json").read_text())
    for name in ("step_of_matmul", "ranking_of_matmul", "ranking_over_pykeen"):
        assert report[name] > 0
    assert report["settings"]["threads"] == 1
    assert len(report["step"]["pykeen_examples_per_second"]) == 4
    quality = report["quality"]
    assert quality["mrr"] == max(mrr for curve in quality["pykeen"].values() for _, mrr in curve)
    assert len(quality["kgraft"]) == 2


@pytest.mark.slow
def test_evaluators_that_disagree_are_an_error(
    speed: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    same_weights = speed.same_weights

    def other_weights(*arguments: Any) -> Any:
        own = same_weights(*arguments)
        own.relations.neg_()
        return own

    monkeypatch.setattr(speed, "same_weights", other_weights)
    with pytest.raises(SystemExit):
        speed.main(["world", *TINY, *PYKEEN, "--parts", "ranking", "--out", str(tmp_path / "x")])
