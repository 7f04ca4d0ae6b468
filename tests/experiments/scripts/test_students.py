"""The seconds of students beside another checkout, and of the demonstration beside other work."""

from __future__ import annotations

import json
from argparse import Namespace
from importlib import import_module as script
from pathlib import Path
from typing import Any

import pytest


def answer(seconds: float, mrr: float) -> dict[str, Any]:
    return {"seconds": seconds, "mrr": mrr, "peak_mib": 10 * seconds, "stages": {"rules": 1.0}}


def test_medians_of_targets_that_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    students = script("students")
    asked: list[tuple[str, str]] = []
    seconds = {"a": (8.0, 4.0), "b": (10.0, 3.0), "c": (20.0, 6.0)}

    def measured(checkout: Path, given: Namespace, _: str) -> dict[str, Any]:
        asked.append((checkout.name, given.target))
        is_now = checkout.name != "other"
        return answer(seconds[given.target][is_now], 0.5 + 0.1 * is_now)

    monkeypatch.setattr(students, "measured", measured)
    monkeypatch.setattr(students, "with_teacher", lambda *_: None)
    out = tmp_path / "students.json"
    out.write_text(json.dumps({"busy_share": 2.5}))
    options = ["--other", "other", "--targets", "a,b,c", "--threads", "1", "--out", str(out)]
    students.main(["world", *options])
    report = json.loads(out.read_text())
    assert (report["seconds_before"], report["seconds_now"]) == (10.0, 4.0)
    assert report["seconds_share"] == 0.4
    assert (report["mrr_before"], report["mrr_now"], report["peak_mib"]) == (0.5, 0.6, 60.0)
    assert report["busy_share"] == 2.5
    assert "--parts students --threads 1 --clock perf_counter" in report["command_students"]
    # Who begins alternates.
    assert [name == "other" for name, _ in asked][::2] == [True, False, True]
    assert [target for _, target in asked] == ["a", "a", "b", "b", "c", "c"]


def test_a_busy_machine_is_compared_with_a_quiet_one(monkeypatch: pytest.MonkeyPatch) -> None:
    students = script("students")
    others: list[int] = []
    monkeypatch.setattr(students, "CORES", 2)
    monkeypatch.setattr(students, "demonstration", lambda: 10.0 + 7.0 * len(others))

    class Other:
        def __init__(self, *_: Any, **__: Any) -> None:
            others.append(1)

        def kill(self) -> None:
            others.pop()

        def wait(self) -> None:
            pass

    monkeypatch.setattr(students.subprocess, "Popen", Other)
    found = students.busy(Namespace(rounds=2))
    assert found == {
        "demo_quiet_seconds": 10.0,
        "demo_busy_seconds": 24.0,
        "busy_share": 2.4,
    }
    assert others == []
