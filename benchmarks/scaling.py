"""Measure what training costs as it grows: facts, entities, width, negatives, threads.

Usage: python benchmarks/scaling.py --out benchmarks/results/scaling.json

Facts are drawn at random, entities by a power law. One size at a time is multiplied by ``--times``,
the others stay as ``--facts``, ``--entities``, ``--width`` and ``--negatives`` say. Every point has
a process of its own, which trains ``--steps`` steps; what an epoch takes is worked out from their
median, making batches included. Threads are measured at the sizes that all have in common.
"""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scale import apart, peak_gib

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.io.interchange import from_arrays
from kgraft.linking.collection import collect
from kgraft.pipeline.train import training_run
from kgraft.settings import ModelSettings, TrainingSettings, TrainSettings
from kgraft.system.messages import speaking
from kgraft_experiments.benchmark.plan import write_report
from kgraft_experiments.benchmark.runner import machine
from kgraft_experiments.synthesis.world import by_popularity

SIZES = ("facts", "entities", "width", "negatives")
RELATIONS = 200
EXPONENT = 2.1
"""Of the power law of degrees."""


def drawn(facts: int, entities: int) -> KnowledgeGraph:
    """Return a graph of random facts."""
    draw = np.random.default_rng(0)
    ranks = [by_popularity(np.full(facts, entities), EXPONENT, draw) for _ in range(2)]
    heads, tails = (draw.permutation(entities)[rank] for rank in ranks)
    triples = np.stack([heads, draw.integers(RELATIONS, size=facts), tails], axis=1)
    entity_names, relation_names = (
        [f"{kind}{row}" for row in range(n)] for kind, n in (("e", entities), ("r", RELATIONS))
    )
    return from_arrays("drawn", triples, entities=entity_names, relations=relation_names)


def point(sizes: Mapping[str, int], steps: int, threads: int) -> dict[str, Any]:
    """Train some steps at these sizes, and return what they took."""
    torch.set_num_threads(threads)
    graph = drawn(sizes["facts"], sizes["entities"])
    settings = TrainSettings(
        model=ModelSettings(width=sizes["width"]),
        training=TrainingSettings(negatives=sizes["negatives"]),
    )
    run = training_run(collect([graph], target="drawn"), settings, alone=True)
    learner, batches = run.learner(), run.batches()
    begin = time.perf_counter()
    epoch = batches.epoch(1)
    learner.step(next(epoch))
    begun = time.perf_counter()
    ends = [begun]
    for batch in islice(epoch, steps):
        learner.step(batch)
        ends.append(time.perf_counter())
    # A median, since one step that another process holds up would count as many.
    seconds = float(np.median(np.diff(ends)))
    return {
        **sizes,
        "threads": threads,
        "milliseconds_per_step": round(1000 * seconds, 3),
        "seconds_per_epoch": round(begun - begin + seconds * (batches.n_steps - 1), 4),
        "peak_rss_gib": peak_gib(),
    }


def measured(asked: Namespace) -> dict[str, Any]:
    """Measure all points and return the report."""
    base = {name: getattr(asked, name) for name in SIZES}
    rows = []
    for name in SIZES:
        for times in asked.times:
            sizes = {**base, name: round(base[name] * times)}
            found = apart(point, sizes, asked.steps, asked.threads)
            rows.append({"size": name, "times": times, **found})
    threads = [
        apart(point, base, asked.steps, n) for n in sorted({1, asked.threads, os.cpu_count() or 1})
    ]
    told = {key: value for key, value in vars(asked).items() if key != "out"}
    return {"settings": told, "machine": machine(), "scaling": rows, "threads": threads}


def options() -> ArgumentParser:
    parser = ArgumentParser(description="Measure what training costs as it grows.")
    parser.add_argument("--out", type=Path, required=True, help="the report, a JSON file")
    parser.add_argument("--facts", type=int, default=400_000)
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--negatives", type=int, default=512)
    parser.add_argument("--times", type=float, nargs="+", default=[0.25, 0.5, 1, 2, 4, 8])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    asked = options().parse_args(arguments)
    with speaking():
        write_report(asked.out, measured(asked))


if __name__ == "__main__":
    main()
