"""Run all checks of reliability, and write one report.

Usage: python benchmarks/chaos.py --inputs 10000 --out benchmarks/results/reliability.json

Each check is a command, which its row of the report names. ``--inputs`` is the number of damaged
inputs of each reader: 10,000 fit into a quarter of an hour on two cores, 100,000 take half an hour
to an hour more. ``--kills 10`` kills ten times as often, a thousand times in all, which takes an
hour, and ``--soak 3600`` asks a server for an hour. ``--only NAME`` runs the checks whose names
begin with it.

A row is in the report as soon as its check and those before it have ended. ``--resume`` keeps the
rows that have passed with the same command; so a run that was stopped goes on, and a long one can
be made in parts that ``--resume REPORT ...`` puts together.
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
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from common import CORES, ONE_THREAD
from more_readers import READERS

from kgraft_experiments.benchmark.plan import write_report
from kgraft_experiments.benchmark.runner import machine

HERE = Path(__file__).parent

FILLED = 1_800
"""Seconds of a soak from which on its memory is held to the floor of an hour."""

STOPS = {
    "inside": {
        "train": 3, "pretrain": 2, "retrain": 1, "update": 1, "align": 2, "audit": 1, "synth": 2,
        "init": 2, "prepare": 1, "export": 2, "report": 1, "complete": 1, "check": 1, "predict": 1,
        "questions": 1, "fetch": 2, "import": 2, "texts": 1, "decisions": 1,
        "workers": 1, "retrain-many": 1, "graft": 1, "benchmark": 1,
    },
    "kill": {
        "train": 6, "pretrain": 6, "retrain": 2, "update": 2, "align": 6, "audit": 4, "synth": 7,
        "init": 8, "prepare": 3, "export": 5, "report": 2, "complete": 1, "check": 1, "predict": 4,
        "questions": 1, "fetch": 5, "import": 7, "texts": 4, "decisions": 1,
        "workers": 1, "retrain-many": 1, "graft": 1, "benchmark": 1,
    },
    "end": {"train": 4, "pretrain": 4, "retrain": 4, "benchmark": 1, "align": 4, "audit": 2},
    "full": {"train": 4, "pretrain": 4, "retrain": 4, "align": 4, "audit": 2},
    "damage": {"train": 4, "retrain": 4},
    "second": {"train": 2, "pretrain": 2, "retrain": 2, "benchmark": 1, "align": 2, "audit": 1},
}  # fmt: skip
"""Number of stops of each command, in each way of ``kills.py``."""

KILLS = ("kill", "inside")
"""Ways whose numbers ``--kills`` multiplies."""

LONG = ("workers", "retrain-many", "graft", "benchmark")
"""Commands of several processes or trainings, whose numbers it multiplies by a fifth of that."""

GUIDED_SECONDS = 25
"""Time for each reader with inputs that are guided by coverage, where atheris is installed."""

CASES = 100_000
"""Random cases of each part of ``brute_force.py``."""

ATTACKS, MANIFEST, GUARD, ROUTES, RELOADER, LOOP = (
    "tests/serving/test_attacks.py",
    "tests/model/test_manifest.py",
    "tests/serving/test_guard.py",
    "tests/serving/test_routes.py",
    "tests/serving/test_model_reloader.py",
    "tests/training/test_loop.py",
)
TESTS = {
    "checkpoints and whole files": [
        "tests/training/test_checkpoint.py",
        "tests/system/test_files.py",
        "tests/system/test_outputs.py",
    ],
    "a stop at any step": [LOOP, "-k", "interrupt or dies or finished"],
    "a stop while it loads": ["tests/test_kgraft_command.py", "tests/system/test_messages.py"],
    "inputs that once crashed": ["tests/test_traps.py"],
    "names that a terminal would obey": ["tests/system/test_terminal.py"],
    "no code from data": ["tests/test_architecture.py", "-k", "code_comes or can_fail"],
    "numbers that are not finite": [LOOP, "-k", "no_number or too_large"],
    "metrics agree with PyKEEN": ["tests/evaluation/test_ranking.py", "-k", "pykeen"],
    "degenerate graphs": ["tests/test_degenerate.py"],
    "columns and labels that would grow": [
        "tests/io/test_columnar.py",
        "tests/exporting/test_single_file.py",
        "-k",
        "nested or pad",
    ],
    "outputs on mount points and full disks": [
        "tests/system/test_outputs.py",
        "tests/cli/test_outputs.py",
        "tests/exporting/test_export.py",
        "-k",
        "mount or fixed or half_replaced or full_disk",
    ],
    "a collection reads below its directory": ["tests/io/test_outside.py"],
    "contents of a model directory": ["tests/model/test_contents.py"],
    "memory that is used up": ["tests/system/test_messages.py", "-k", "memory"],
    "serving slow clients": [ATTACKS, GUARD, "-k", "sends_no or dripping or takes or not_come"],
    "serving clients that read nothing or leave": ["tests/serving/test_starving.py"],
    "serving huge bodies": [ATTACKS, GUARD, "-k", "huge or without_end or large"],
    "serving deep JSON": [ROUTES, "-k", "wrong_body"],
    "serving requests of any kind": ["tests/serving/test_schema.py"],
    "serving 1,000 connections": [ATTACKS, "-k", "thousand or all_connections"],
    "serving a model that is replaced": [RELOADER],
    "another user's files": ["tests/cli/test_another_user.py"],
    "formulas in files for spreadsheets": [
        "tests/inference/test_prediction_files.py",
        "tests/io/test_decisions.py",
    ],
    "serving files that change in place": [ATTACKS, MANIFEST, "-k", "change or never_ends"],
    "the tests of the threat model": ["tests/test_threats.py"],
    "redirects of endpoints": ["tests/io/test_sparql_endpoint.py", "-k", "redirect or weaker"],
    "lists of targets": ["tests/cli/test_retrain_many.py", "-k", "below or keep_to or looks_like"],
    "vectors in the file itself": ["tests/io/test_vectors.py", "-k", "itself"],
    "serving by token": [GUARD, "-k", "token"],
    "serving no file by a request": [ATTACKS, ROUTES, "-k", "file or wrong_request"],
}
"""Checks that are tests; each one's row has the outcome of every test."""


def commands(inputs: int, kills: int = 1, soak: int = 120) -> dict[str, list[str]]:
    """Return the command of each check, the longest first.

    Args:
        inputs: Damaged inputs of each reader.
        kills: How often as many kills as ``STOPS`` has.
        soak: Seconds of the soak.
    """
    found = {
        f"{how} {command}": ["benchmarks/kills.py", command, how, "--times", str(times)]
        for how, by_command in STOPS.items()
        for command, one in by_command.items()
        if (times := _times(how, command, one, kills))
    }
    replaced = ["--replacements", str(max(1, soak // 180))]
    # Caches fill in the first minutes.
    growth = [] if soak >= FILLED else ["--growth", "20"]
    found["soak"] = ["benchmarks/soak.py", "--seconds", str(soak), *replaced, *growth]
    for part in ("queries", "merging"):
        command = ["benchmarks/brute_force.py", part, "--cases", str(CASES)]
        found[f"brute force {part}"] = command
    found["bombs"] = ["benchmarks/bombs.py"]
    found["same seed, same numbers"] = ["benchmarks/same.py"]
    found["load"] = ["benchmarks/serve.py", "--clients", "64", "--seconds", "10"]
    found["starving"] = ["benchmarks/starve.py"]
    found["known vulnerabilities of dependencies"] = ["scripts/audit.py", "constraints.txt"]
    for name in READERS:
        found[f"fuzz {name}"] = ["benchmarks/fuzz.py", name, "--inputs", str(inputs)]
        if find_spec("atheris"):
            seconds = ["--seconds", str(GUIDED_SECONDS)]
            found[f"guided {name}"] = ["benchmarks/guided.py", name, *seconds]
    for name, arguments in TESTS.items():
        found[f"test {name}"] = ["-m", "pytest", "-q", *arguments]
    return found


def _times(how: str, command: str, one: int, kills: int) -> int:
    """Return how often a command is stopped."""
    if how not in KILLS:
        return one
    return one * (max(1, kills // 5) if command in LONG else kills)


def check(name: str, command: Sequence[str]) -> dict[str, Any]:
    """Run a check and return its row."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "row"
        own = {"-m": [f"--junitxml={out}"], "scripts/audit.py": []}.get(command[0], ["--out", out])
        ended = subprocess.run(  # noqa: S603
            [sys.executable, *command, *own],
            cwd=HERE.parent,
            env={**os.environ, **ONE_THREAD},
            capture_output=True,
            check=False,
            text=True,
        )
        text = out.read_text(encoding="utf-8") if out.exists() else "{}"
        row = outcomes(text) if text.startswith("<") else json.loads(text)
    seconds = round(time.perf_counter() - begin, 1)
    passed = ended.returncode == 0 and row.get("survived") == row.get("tried")
    passed = passed and row.get("tried") != 0 and not row.get("errors")
    passed = passed and not any(x["crashes"] for x in row.get("fuzz", ()))
    if not passed:
        row["said"] = (ended.stdout + ended.stderr)[-2000:]
    elif not row:
        row["said"] = ended.stdout.strip()
    print(f"{'passed' if passed else 'FAILED'} {name}, {seconds:.0f} s", flush=True)
    return {"check": name, "passed": passed, "command": shown(command), "seconds": seconds, **row}


def outcomes(junit: str) -> dict[str, Any]:
    """Return the outcome of each test in pytest's report."""
    cases = ET.fromstring(junit).iter("testcase")  # noqa: S314 - made here
    ended = [(case.attrib["name"][:100], {part.tag for part in case}) for case in cases]
    skipped = [name for name, how in ended if "skipped" in how]
    passed = [name for name, how in ended if not how & {"skipped", "failure", "error"}]
    tried = len(ended) - len(skipped)
    return {"tried": tried, "survived": len(passed), "passed_tests": passed, "skipped": skipped}


def shown(command: Sequence[str]) -> str:
    """Return a command as it is typed."""
    return "python " + shlex.join(command)


def report(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the rows with their sums."""
    inside = [row for row in rows if row["check"].startswith("inside ")]
    kills = inside + [row for row in rows if row["check"].startswith("kill ")]
    fuzz = [x for row in rows for x in row.get("fuzz", ())]
    by_reader = Counter[str]()
    for x in fuzz:
        by_reader[x["reader"]] += x["inputs"]
    return {
        "kills_tried": sum(row.get("tried", 0) for row in kills),
        "kills_survived": sum(row.get("survived", 0) for row in kills),
        "kills_inside_writes": sum(row.get("tried", 0) for row in inside),
        "fuzzed_inputs": sum(x["inputs"] for x in fuzz),
        "crashes_open": sum(len(x["crashes"]) for x in fuzz),
        "checks": len(rows),
        "checks_passed": sum(row["passed"] for row in rows),
        "fuzzed_by_reader": dict(by_reader),
        "machine": machine(),
        "rows": list(rows),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(description=__doc__, prog="chaos.py")
    parser.add_argument("--inputs", type=int, default=10_000, help="of each reader")
    parser.add_argument("--kills", type=int, default=1, help="how often as many kills")
    parser.add_argument("--soak", type=int, default=120, help="seconds of the soak")
    parser.add_argument("--workers", type=int, default=CORES)
    parser.add_argument("--only", default="", help="checks whose names begin so")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "reliability.json")
    kept = "keep what has passed in these reports; by default in the one that is written"
    parser.add_argument("--resume", type=Path, nargs="*", metavar="REPORT", help=kept)
    asked = parser.parse_args(arguments)
    begin = time.perf_counter()
    every = commands(asked.inputs, asked.kills, asked.soak)
    reports = () if asked.resume is None else asked.resume or [asked.out]
    known = [json.loads(path.read_text("utf-8")) for path in reports if path.exists()]
    rows = {
        row["check"]: row
        for earlier in known
        for row in earlier["rows"]
        if row["command"] == shown(every.get(row["check"], ()))
    }
    passed = {name for name, row in rows.items() if row["passed"]}
    chosen = {k: v for k, v in every.items() if k.startswith(asked.only) and k not in passed}
    before = sum(earlier["seconds"] for earlier in known)

    def whole() -> dict[str, Any]:
        seconds = round(before + time.perf_counter() - begin, 1)
        return report([rows[name] for name in every if name in rows]) | {"seconds": seconds}

    with ThreadPoolExecutor(asked.workers) as pool:
        for row in pool.map(check, chosen, chosen.values()):
            rows[row["check"]] = row
            write_report(asked.out, whole())
    found = whole()
    write_report(asked.out, found)
    for key in (
        "kills_tried",
        "kills_survived",
        "kills_inside_writes",
        "fuzzed_inputs",
        "crashes_open",
    ):
        print(f"{key} {found[key]}")
    return 0 if found["checks"] == found["checks_passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
