"""Run everything that shows how reliable kgraft is, and write one report.

Usage: python benchmarks/chaos.py --inputs 25000 --out benchmarks/results/reliability.json

Each check is a command of its own, and each row of the report tells its command. ``--inputs`` is
how many damaged inputs each reader is given: 25,000 fit into a quarter of an hour on two cores,
100,000 take half an hour more. ``--only NAME`` runs the checks whose names begin so.

Each row is in the report as soon as its check and those before it have ended. With ``--resume``
those that have passed, by the command that would be run again, stay; so a run that was stopped goes
on, and one with many inputs can be made in parts.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from readers import READERS

from kgraft.benchmark.plan import write_report
from kgraft.benchmark.runner import machine

HERE = Path(__file__).parent

STOPS = {
    "kill": {"train": 14, "pretrain": 11, "retrain": 11, "benchmark": 4, "align": 6, "audit": 4},
    "end": {"train": 4, "pretrain": 4, "retrain": 4, "benchmark": 1, "align": 4, "audit": 2},
    "full": {"train": 4, "pretrain": 4, "retrain": 4, "align": 4, "audit": 2},
    "damage": {"train": 4, "retrain": 4},
    "second": {"train": 2, "pretrain": 2, "retrain": 2, "benchmark": 1, "align": 2, "audit": 1},
}
"""How often a verb is stopped in each way of ``kills.py``; in all 50 times killed."""

TESTS = {
    "degenerate graphs": ["tests/test_degenerate.py"],
    "no code from data": ["tests/test_architecture.py"],
    "metrics agree with PyKEEN": ["tests/evaluation"],
    "numbers that are not finite": ["tests/training/test_loop.py"],
    "serving under attack": ["tests/serving", "-m", "chaos or not chaos"],
}
"""Checks that are tests; one whose tests are not there is left out."""


def commands(inputs: int) -> dict[str, list[str]]:
    """Return the command of each check, the longest first."""
    found = {
        f"{how} {verb}": ["benchmarks/kills.py", verb, how, "--times", str(times)]
        for how, by_verb in STOPS.items()
        for verb, times in by_verb.items()
    }
    found["bombs"] = ["benchmarks/bombs.py"]
    found["same seed, same numbers"] = ["benchmarks/same.py"]
    for name in READERS:
        found[f"fuzz {name}"] = ["benchmarks/fuzz.py", name, "--inputs", str(inputs)]
    for name, arguments in TESTS.items():
        if (HERE.parent / arguments[0]).exists():
            found[f"test {name}"] = ["-m", "pytest", "-q", *arguments]
    return found


def check(name: str, command: Sequence[str]) -> dict[str, Any]:
    """Run a check and return its row."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "row.json"
        own = [] if name.startswith("test ") else ["--out", str(out)]
        ended = subprocess.run(  # noqa: S603
            [sys.executable, *command, *own],
            cwd=HERE.parent,
            env={**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"},
            capture_output=True,
            check=False,
            text=True,
        )
        row = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    seconds = round(time.perf_counter() - begin, 1)
    passed = ended.returncode == 0 and row.get("survived") == row.get("tried")
    passed = passed and not any(x["crashes"] for x in row.get("fuzz", ()))
    if not passed:
        row["said"] = (ended.stdout + ended.stderr)[-2000:]
    print(f"{'passed' if passed else 'FAILED'} {name}, {seconds:.0f} s", flush=True)
    return {"check": name, "passed": passed, "command": shown(command), "seconds": seconds, **row}


def shown(command: Sequence[str]) -> str:
    """Return a command as people type it."""
    return "python " + shlex.join(command)


def report(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the rows with their sums."""
    kills = [row for row in rows if row["check"].startswith("kill ")]
    fuzz = [x for row in rows for x in row.get("fuzz", ())]
    return {
        "kills_tried": sum(row.get("tried", 0) for row in kills),
        "kills_survived": sum(row.get("survived", 0) for row in kills),
        "fuzzed_inputs": sum(x["inputs"] for x in fuzz),
        "crashes_open": sum(len(x["crashes"]) for x in fuzz),
        "checks": len(rows),
        "checks_passed": sum(row["passed"] for row in rows),
        "fuzzed_by_reader": {x["reader"]: x["inputs"] for x in fuzz},
        "machine": machine(),
        "rows": list(rows),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(description=__doc__, prog="chaos.py")
    parser.add_argument("--inputs", type=int, default=25_000, help="of each reader")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="checks whose names begin so")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "reliability.json")
    parser.add_argument("--resume", action="store_true", help="keep what has passed")
    asked = parser.parse_args(arguments)
    begin = time.perf_counter()
    every = commands(asked.inputs)
    known = json.loads(asked.out.read_text("utf-8")) if asked.resume and asked.out.exists() else {}
    rows = {
        row["check"]: row
        for row in known.get("rows", ())
        if row["passed"] and row["command"] == shown(every.get(row["check"], ()))
    }
    chosen = {k: v for k, v in every.items() if k.startswith(asked.only) and k not in rows}
    found = report(list(rows.values()))
    with ThreadPoolExecutor(asked.workers) as pool:
        for row in pool.map(check, chosen, chosen.values()):
            rows[row["check"]] = row
            found = report([rows[name] for name in every if name in rows])
            found["seconds"] = round(known.get("seconds", 0) + time.perf_counter() - begin, 1)
            write_report(asked.out, found)
    for key in ("kills_tried", "kills_survived", "fuzzed_inputs", "crashes_open"):
        print(f"{key} {found[key]}")
    return 0 if found["checks"] == found["checks_passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
