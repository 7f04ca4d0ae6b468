"""Measure how long a student takes, stage by stage, beside another checkout.

Usage: python benchmarks/students.py DIRECTORY_OF_DBP5L --other CHECKOUT --teachers DIR \
           --threads 2 --out benchmarks/results/students.json
       python benchmarks/students.py world --parts busy --threads 2 --out ...

``students`` re-trains a student of each target by either checkout, in turns, in processes of their
own, and ranks the target's test facts by both. Teachers are pre-trained once, by this checkout,
into ``--teachers``; those that are there are taken. ``update`` goes on from a student of the first
target when a hundredth of its facts is new, beside training it again. ``busy`` runs ``kgraft demo``
quietly and then beside processes that keep all cores busy; it means little on a machine with other
work.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from common import CORES, add_to_report, options_of, run
from compare import HERE, measured

import kgraft
from kgraft.evaluation.ranking import rank
from kgraft.graph.known_facts import KnownFacts
from kgraft.model.directory import save_model
from kgraft.pipeline.candidate_lists import SIDES
from kgraft_experiments.benchmark.runner import machine

DRIVER = """
import json, sys, time
from pathlib import Path
import torch, kgraft
from kgraft.evaluation.evaluate import evaluate
from kgraft.pipeline.run import RunOptions
from kgraft.system.memory import peak
asked = json.loads(sys.argv[1])
if not Path(kgraft.__file__).is_relative_to(asked["source"]):
    sys.exit(f"kgraft is imported from {kgraft.__file__}")
torch.set_num_threads(asked["threads"])
clock = getattr(time, asked["clock"])
kgraft.retrain  # imported before it is timed
class Stages:
    def __init__(self):
        self.seconds, self.name, self.at = {}, "start", clock()
    def _to(self, name):
        now = clock()
        self.seconds[self.name] = self.seconds.get(self.name, 0) + now - self.at
        self.name, self.at = name, now
    def begin(self, name, total):
        self._to(name.replace(f" for {asked['target']}", ""))
    def end(self):
        self._to(f"after {self.name}")
    def advance(self, done):
        pass
    def tell(self, line):
        pass
collection = kgraft.read_collection(asked["collection"]).with_target(asked["target"])
teacher = kgraft.load_model(Path(asked["teachers"]) / asked["target"])
stages, begin = Stages(), clock()
student = kgraft.retrain(collection, teacher, options=RunOptions(stages))
seconds, memory = clock() - begin, peak() / 2**20
stages._to("")
found = evaluate(student, collection, by="both").mrr()
print(json.dumps({
    "seconds": round(seconds, 2), "peak_mib": round(memory), "mrr": round(found, 4),
    "validation": {by: round(x, 4) for by, x in student.evidence.mrr.items()},
    "stages": {name: round(x, 2) for name, x in stages.seconds.items() if x >= 0.01},
}))
"""
"""Re-trains a student in one checkout, and prints seconds and quality."""

BUSY = "while True: pass"
"""The work of a process that keeps a core busy."""


def students(asked: Namespace) -> dict[str, Any]:
    """Re-train the students of each target by both checkouts."""
    places = {"before": Path(asked.other), "now": HERE}
    rows = []
    for number, target in enumerate(targets_of(asked)):
        with_teacher(asked, target)
        given = Namespace(**{**vars(asked), "target": target})
        # Who begins alternates.
        order = sorted(places, reverse=bool(number % 2))
        found = {name: measured(places[name], given, DRIVER) for name in order}
        print(target, {name: x["seconds"] for name, x in found.items()}, flush=True)
        rows.append({"target": target, **found})
    seconds = {name: median(row[name]["seconds"] for row in rows) for name in places}
    return {
        "seconds_before": seconds["before"],
        "seconds_now": seconds["now"],
        "seconds_share": round(seconds["now"] / seconds["before"], 3),
        "mrr_before": round(mean(row["before"]["mrr"] for row in rows), 4),
        "mrr_now": round(mean(row["now"]["mrr"] for row in rows), 4),
        "peak_mib": max(row["now"]["peak_mib"] for row in rows),
        "students": rows,
    }


def targets_of(asked: Namespace) -> list[str]:
    """Return the targets: those asked for, or the collection's, or all of its graphs."""
    collection = kgraft.read_collection(asked.collection)
    own = [collection.target] if collection.target else list(collection.graphs)
    return asked.targets.split(",") if asked.targets else own


def with_teacher(asked: Namespace, target: str) -> None:
    """Pre-train the teacher of a target, if it is not there."""
    directory = Path(asked.teachers) / target
    if not directory.exists():
        collection = kgraft.read_collection(asked.collection).with_target(target)
        save_model(kgraft.pretrain(collection), directory)


def busy(asked: Namespace) -> dict[str, Any]:
    """Run the demonstration quietly and beside processes that keep all cores busy, in turns."""
    quiet, beside = [], []
    for _ in range(asked.rounds):
        quiet.append(demonstration())
        with all_cores_busy():
            beside.append(demonstration())
    return {
        "demo_quiet_seconds": round(median(quiet), 1),
        "demo_busy_seconds": round(median(beside), 1),
        "busy_share": round(median(beside) / median(quiet), 2),
    }


def demonstration() -> float:
    """Return the seconds that ``kgraft demo`` takes."""
    with TemporaryDirectory() as place:
        begin = time.perf_counter()
        command = [sys.executable, "-m", "kgraft", "--quiet", "demo", "-o", f"{place}/demo"]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603
        return time.perf_counter() - begin


@contextmanager
def all_cores_busy() -> Iterator[None]:
    """Keep every core busy."""
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(CORES)]  # noqa: S603
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def update(asked: Namespace) -> dict[str, Any]:
    """Re-train the first target with a hundredth of its facts new, and update a student by them."""
    target, clock = targets_of(asked)[0], getattr(time, asked.clock)
    with_teacher(asked, target)
    teacher = kgraft.load_model(Path(asked.teachers) / target)
    whole = kgraft.read_collection(asked.collection).with_target(target)
    own = whole.graphs[target]
    new = np.random.default_rng(0).permutation(len(own.train)) < max(1, len(own.train) // 100)
    before = replace(whole, graphs={**whole.graphs, target: own.select(train=~new)})
    start = kgraft.retrain(before, teacher)
    seconds, mrr = {}, {}
    for name, more in (("retrain", {}), ("update", {"start": start})):
        begin = clock()
        model = kgraft.retrain(whole, teacher, **more)
        seconds[name] = round(clock() - begin, 2)
        part = model.graph.part(target)
        known = KnownFacts(part.joint(own.train), part.joint(own.valid))
        ranks = [
            rank(
                model.scorer("both"),
                part.joint(own.train[new]),
                side=side,
                known=known,
                n_entities=model.kge.n_entities,
                candidates=part.entity_rows,
            ).realistic
            for side in SIDES
        ]
        mrr[name] = round(float((1 / np.concatenate(ranks)).mean()), 4)
    share = round(seconds["update"] / seconds["retrain"], 3)
    return {"update_share": share, "update_seconds": seconds, "update_mrr_of_new_facts": mrr}


PARTS: Mapping[str, Any] = {"students": students, "update": update, "busy": busy}


def measure(asked: Namespace) -> dict[str, Any]:
    """Measure the parts that were asked for."""
    found: dict[str, Any] = {}
    for part in asked.parts:
        given = f"--parts {part} --threads {asked.threads} --clock {asked.clock}"
        found |= PARTS[part](asked)
        found[f"command_{part}"] = f"python benchmarks/students.py COLLECTION {given}"
    return {**found, "machine": machine()}


def main(arguments: Sequence[str] | None = None) -> None:
    clock = ("perf_counter", "process_time counts CPU time, on a machine with other work")
    parser = options_of(
        __doc__,
        "collection",
        parts=(["students"], f"what to measure: {', '.join(PARTS)}"),
        other=(str, "checkout to compare with"),
        teachers=("teachers", "directory of the targets' teachers"),
        targets=("", "comma between them; by default all"),
        rounds=(3, "of the demonstration"),
        clock=clock,
    )
    report = run(parser, measure, arguments, write=add_to_report)
    kept = {name: x for name, x in report.items() if name not in ("students", "machine")}
    print(json.dumps(kept, indent=1))


if __name__ == "__main__":
    main()
