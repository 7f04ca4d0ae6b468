"""Compare the speed of this checkout with another one's, in turns.

Usage: python benchmarks/compare.py OTHER_CHECKOUT --rounds 5 --threads 2 --out compare.json

In each round, a process of either checkout pre-trains a teacher on ``--collection``, re-trains a
student, and ranks the target's test facts, by vectors and by the student's default evidence. The
report has medians of both checkouts, and the median, least and largest ratio of this one's speed to
the other's in a round. ``mrr`` is the same where both compute the same numbers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from common import options_of, ratios, run

HERE = Path(__file__).resolve().parents[1]

DRIVER = """
import json, sys, time
from pathlib import Path
from statistics import median
import torch, kgraft
from kgraft.evaluation.evaluate import evaluate
asked = json.loads(sys.argv[1])
if not Path(kgraft.__file__).is_relative_to(asked["source"]):
    sys.exit(f"kgraft is imported from {kgraft.__file__}")
torch.set_num_threads(asked["threads"])
kgraft.pretrain, kgraft.retrain  # imported before they are timed
def settings(name, kind):
    return asked[name] and kind.model_validate_json(asked[name])
clock = getattr(time, asked["clock"])
found = {}
def timed(name, do):
    begin = clock()
    result = do()
    found[name] = min(found.get(name, 1e9), clock() - begin)
    return result
collection = kgraft.read_collection(asked["collection"])
how = settings("teacher", kgraft.TrainSettings), settings("student", kgraft.RetrainSettings)
teacher = timed("pretrain", lambda: kgraft.pretrain(collection, how[0]))
student = timed("retrain", lambda: kgraft.retrain(collection, teacher, how[1]))
for _ in range(3):
    timed("rank by vectors", lambda: evaluate(student, collection, by="vectors"))
    ranked = timed("rank", lambda: evaluate(student, collection))
for model in (teacher, student):
    rate = median(entry["queries_per_second"] for entry in model.log)
    found[f"training step of the {model.kind}, a query"] = 1 / rate
print(json.dumps({"seconds": found, "mrr": ranked.mrr()}))
"""
"""Measures one checkout and prints seconds; of ranking the best of three, so without warm-up."""


def measured(checkout: Path, asked: Namespace, driver: str = DRIVER) -> dict[str, Any]:
    """Run a driver with a checkout's sources, and return the seconds of each figure."""
    source = checkout.resolve() / "src"
    given = json.dumps({**vars(asked), "source": str(source)}, default=str)
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
    threads = dict.fromkeys(names, str(asked.threads))
    ended = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "ignore", "-c", driver, given],
        env={**os.environ, **threads, "PYTHONPATH": str(source)},
        capture_output=True,
        check=False,
        text=True,
    )
    if ended.returncode:
        raise SystemExit(f"{checkout} cannot be measured: {ended.stderr[-2000:]}")
    return dict(json.loads(ended.stdout.splitlines()[-1]))


def compared(rounds: Mapping[str, Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return a row for each figure: medians of both checkouts, and ratios of their speeds."""
    this, other = ([row["seconds"] for row in rounds[name]] for name in ("this", "other"))
    rows = []
    for name in this[0]:
        own, theirs = [x[name] for x in this], [x[name] for x in other]
        seconds = {"this_seconds": median(own), "other_seconds": median(theirs)}
        rows.append({"figure": name, **seconds, "times_as_fast": ratios(theirs, own)})
    return rows


def in_turns(asked: Namespace, driver: str = DRIVER) -> dict[str, list[dict[str, Any]]]:
    """Measure both checkouts in turns; who begins alternates."""
    rounds: dict[str, list[dict[str, Any]]] = {"this": [], "other": []}
    places = {"this": HERE, "other": Path(asked.other)}
    for number in range(asked.rounds):
        for name in sorted(places, reverse=bool(number % 2)):
            rounds[name].append(measured(places[name], asked, driver))
    return rounds


def measure(asked: Namespace) -> dict[str, Any]:
    """Compare training and ranking."""
    rounds = in_turns(asked)
    given = f"--rounds {asked.rounds} --threads {asked.threads} --clock {asked.clock}"
    return {
        "settings": {"other": Path(asked.other).name},
        "command": f"python benchmarks/compare.py OTHER {given}",
        "mrr": {name: [row["mrr"] for row in rows] for name, rows in rounds.items()},
        "figures": compared(rounds),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    clock = ("perf_counter", "process_time counts CPU time, on a machine with other work")
    given = (str, "its settings as JSON, which have to mean the same in both checkouts")
    parser = options_of(
        __doc__, "other", collection="world", rounds=5, teacher=given, student=given, clock=clock
    )
    for row in run(parser, measure, arguments)["figures"]:
        ratio = row["times_as_fast"]
        print(f"{row['figure']}: {ratio['median']:.3f} ({ratio['least']} to {ratio['largest']})")


if __name__ == "__main__":
    main()
