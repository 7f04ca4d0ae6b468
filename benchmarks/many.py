"""Train many small students from a list, with kills on the way, here and on a Ray cluster.

Usage: python benchmarks/many.py --work DIR --out benchmarks/results/distributed.json

A synthetic collection has a teacher's background and a target; each student's target has a random
part of the target's facts and its links. ``kgraft retrain-many`` trains them with two workers, and
is killed (SIGKILL) at random moments, ``--kills`` times, sometimes itself and sometimes one of the
students' processes; the same command goes on each time. With ``--ray 1`` the list is trained again
by a local Ray cluster, without kills, to compare.

lost
    Students that are not there in the end, and those that were trained to the end twice.
different
    Students whose vectors differ between the two places.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from common import add_part, options_of, run

from kgraft.io.read_collection import read_collection
from kgraft_experiments.synthesis.settings import SynthSettings
from kgraft_experiments.synthesis.synthesize import synthesize
from kgraft_experiments.synthesis.write_synthetic import write_synthetic

SETTINGS = ("model.width=16", "training.epochs=6", "training.min_steps=0")
DONE = "the model is in"
"""The line of a log that says that a student was trained to the end."""


def make(place: Path, asked: Namespace) -> None:
    """Write the teacher and the list of targets."""
    chosen = {
        "target": {"entities": 300, "facts": 1500},
        "background": {"sources": 1, "facts": 4000},
    }
    write_synthetic(synthesize(SynthSettings.model_validate(chosen)), place / "made")
    collection = read_collection(place / "made")
    target, (background,) = collection.target_graph, collection.backgrounds()
    draw, tables = np.random.default_rng(asked.seed), [f"set = {json.dumps(SETTINGS)}\n"]
    links = [x if x.left == target.name else x.reversed() for x in collection.links]
    known = collection.graphs[background].entities
    entity_links = next(x for x in links if x.kind == "entity" and x.joins(background))
    lines = [
        f"{target.entities.name(one)}\t{known.name(other)}\n" for one, other in entity_links.pairs
    ]
    (place / "links.tsv").write_text("".join(lines), encoding="utf-8")
    facts = target.select(valid=slice(0), test=slice(0)).to_frame()
    for number in range(asked.students):
        name = f"s{number:03}"
        part = facts.filter(draw.random(len(facts)) < draw.uniform(0.3, 0.9))
        part.select("head", "relation", "tail").write_csv(
            place / f"{name}.tsv", separator="\t", include_header=False
        )
        (place / f"{name}.toml").write_text(
            f'target = "{name}"\n[[source]]\nname = "{name}"\ntrain = "{name}.tsv"\n'
            f'split = {{ seed = 0 }}\n[[links]]\nleft = "{name}"\nright = "{background}"\n'
            'path = "links.tsv"\nunknown = "skip"\n',
            encoding="utf-8",
        )
        tables.append(f'[[target]]\nname = "{name}"\ndata = "{name}.toml"\n')
    (place / "targets.toml").write_text("".join(tables), encoding="utf-8")
    words = [word for x in SETTINGS for word in ("--set", x)]
    kgraft("pretrain", place / "made", "-o", place / "teacher", *words).wait()


def kgraft(*words: Any, log: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a command."""
    output = subprocess.DEVNULL if log is None else log.open("ab")
    command = [sys.executable, "-m", "kgraft", *map(str, words)]
    environment = {**os.environ, "RAY_worker_niceness": "0"}
    return subprocess.Popen(  # noqa: S603 (our own command)
        command, stdout=output, stderr=output, env=environment
    )


def trained(place: Path, out: Path, asked: Namespace, kills: int, *more: str) -> dict[str, Any]:
    """Train the list, with kills, and return counts."""
    words = ["retrain-many", place / "targets.toml", "--teacher", place / "teacher", "-o", out]
    words += ["--workers", asked.workers, "--threads", "1", *more]
    draw, killed, begin = random.Random(asked.seed), 0, time.monotonic()
    while True:
        before = killed
        process = kgraft(*words, log=place / f"{out.name}.log")
        while killed < kills and process.poll() is None:
            try:
                process.wait(draw.uniform(*asked.between))
            except subprocess.TimeoutExpired:
                children = psutil.Process(process.pid).children()
                is_student = children and draw.random() < 0.5
                victim = draw.choice(children).pid if is_student else process.pid
                psutil.Process(victim).send_signal(signal.SIGKILL)
                killed += 1
        if process.wait() == 0:
            break
        if killed == before:
            raise SystemExit(f"not killed, and failed: {out.name}.log of {out.parent} says why")
    return {"kills": killed, "seconds": round(time.monotonic() - begin)}


def counts(out: Path, asked: Namespace) -> dict[str, int]:
    """Return the students that are lost, and those that were trained to the end twice."""
    names = [f"s{number:03}" for number in range(asked.students)]
    ends = {x: (out / f"{x}.log").read_text(encoding="utf-8").count(DONE) for x in names}
    return {
        "lost": sum(not (out / x / "manifest.json").is_file() for x in names),
        "twice": sum(count > 1 for count in ends.values()),
    }


def weights(out: Path, asked: Namespace) -> dict[str, str]:
    """Return the SHA-256 of each student's vectors."""
    found = {}
    for number in range(asked.students):
        manifest = (out / f"s{number:03}" / "manifest.json").read_text(encoding="utf-8")
        found[f"s{number:03}"] = json.loads(manifest)["files"]["weights.safetensors"]["sha256"]
    return found


def measured(asked: Namespace) -> dict[str, Any]:
    """Train the list in each place, and return the figures."""
    place = asked.work / "many"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    make(place, asked)
    here = trained(place, place / "here", asked, asked.kills)
    found = counts(place / "here", asked)
    figures = {
        "students": asked.students,
        "student_kills": here["kills"],
        "students_lost": found["lost"],
        "students_trained_twice": found["twice"],
        "student_seconds": here["seconds"],
    }
    if asked.ray:
        there = trained(place, place / "ray", asked, 0, "--ray", "local")
        one, other = (weights(place / x, asked) for x in ("here", "ray"))
        figures["students_on_ray"] = len(other)
        figures["students_different_on_ray"] = sum(one[x] != other[x] for x in one)
        figures["student_seconds_on_ray"] = there["seconds"]
    chosen = ("students", "kills", "workers", "ray", "seed")
    command = " ".join(f"--{x} {getattr(asked, x)}" for x in chosen)
    return {**figures, "command": f"python benchmarks/many.py --work DIR {command}"}


def options() -> ArgumentParser:
    parser = options_of(
        __doc__,
        students=200,
        kills=20,
        workers=2,
        between=([4.0, 25.0], "least and most seconds between two kills"),
        ray=(0, "1: train the list on a local Ray cluster too"),
        seed=0,
        threads=None,
    )
    parser.add_argument("--work", type=Path, required=True, help="directory for the students")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    report = run(options(), measured, arguments, write=partial(add_part, "many"))
    print(", ".join(f"{name} {value}" for name, value in report.items()))


if __name__ == "__main__":
    main()
