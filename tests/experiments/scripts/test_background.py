"""The cost of a growing background: medians and ratios by hand, and the script on tiny data."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module as script
from pathlib import Path
from typing import Any

import pytest

from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.retrain import retrain
from kgraft_experiments.benchmark import job


def cost(number: int, background: int, system: str, seconds: float) -> dict[str, Any]:
    about = {"round": number, "background": background, "system": system}
    return {**about, "train_seconds": seconds, "triples": 5, "peak_rss_mib": None, "mrr": 0.5}


ROUNDS = [
    cost(number, background, system, seconds)
    for background, of_systems in (
        (200, {"joint": (9, 8, 1), "teacher": (6, 6, 6), "student": (4, 3, 5)}),
        (100, {"joint": (4, 2, 5), "teacher": (2, 9, 3), "student": (5, 5, 9)}),
    )
    for system, measured in of_systems.items()
    for number, seconds in enumerate(measured, start=1)
]


def test_medians_and_ratios_of_rounds() -> None:
    background = script("background")
    summary = background.medians(ROUNDS)
    seconds = {(x["background"], x["system"]): x["train_seconds"] for x in summary}
    assert seconds == {
        (200, "joint"): 8,
        (200, "teacher"): 6,
        (200, "student"): 4,
        (100, "joint"): 4,
        (100, "teacher"): 3,
        (100, "student"): 5,
    }
    assert {x["peak_rss_mib"] for x in summary} == {None}
    # The student is flat within 5 / 4 though it is the small background that takes longer.
    expected = {"student_flatness": 1.25, "joint_growth": 2.0, "teacher_growth": 2.0}
    assert background.ratios(summary) == expected


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many facts each student's vectors learn, as it comes."""
    found: list[int] = []

    def spied(*arguments: Any, **options: Any) -> TrainedModel:
        student = retrain(*arguments, **options)
        found.append(int(student.graph.among_first(student.kge.n_entities).sum()))
        return student

    monkeypatch.setattr(job, "retrain", spied)
    return found


@pytest.mark.slow
def test_a_growing_background(
    tmp_path: Path,
    started: list[str],
    learned: list[int],
    capsys: pytest.CaptureFixture[str],
    shown: Callable[..., list[str]],
) -> None:
    out = tmp_path / "results" / "background.json"
    sizes = ["--target-entities=60", "--target-facts=300", "--background=1200"]
    work = ["--repeats=2", "--epochs=1", "--width=8", "--threads=1", "--times", "1", "2"]
    script("background").main([f"--out={out}", *sizes, *work])
    report = json.loads(out.read_text(encoding="utf-8"))
    # Each round asks each size anew, the sizes in turns.
    assert started == ["joint for target", "teacher for target", "student for target"] * 4
    turns = [(x["round"], x["background"]) for x in report["rows"] if x["system"] == "joint"]
    assert turns == [(1, 1200), (1, 2400), (2, 1200), (2, 2400)]
    facts = {(x["background"], x["system"]): x["triples"] for x in report["medians"]}
    # The student's vectors learn the same facts; its rules are mined on those about its target's
    # entities, which grow less than all facts do.
    assert len(learned) == 4
    assert len({*learned}) == 1
    assert facts[2400, "joint"] > facts[1200, "joint"] > facts[1200, "student"] > learned[0]
    grown = {x: facts[2400, x] - facts[1200, x] for x in ("joint", "student")}
    assert 0 <= grown["student"] < grown["joint"]
    assert all(0 < row["mrr"] < 1 and row["train_seconds"] > 0 for row in report["rows"])
    assert report["student_flatness"] >= 1
    assert report["settings"]["backgrounds"] == [1200, 2400]
    assert report["machine"]["kgraft"]
    assert capsys.readouterr().out.startswith("student_flatness ")
    lines = shown(report)
    assert len(lines) == 1 + 2 * 3
    assert lines[5].startswith(f"| 1,200 | student | {facts[1200, 'student']:,.0f} |")
