"""Measure the cost of training over facts, entities, width, negatives and threads.

Usage: python benchmarks/scaling.py --out benchmarks/results/scaling.json

Facts are drawn at random, entities by a power law. One size at a time is multiplied by ``--times``,
the others stay at ``--facts``, ``--entities``, ``--width`` and ``--negatives``. Each point has a
process of its own, which trains ``--steps`` steps; the seconds of an epoch follow from the median
step, sampling included. Threads are measured at the base sizes.
"""

from __future__ import annotations

import os
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from common import apart, one_step, options_of, peak_gib, run

import kgraft
from kgraft.io.interchange import from_arrays
from kgraft.pipeline.train import training_context
from kgraft_experiments.synthesis.world import by_popularity

SIZES = ("facts", "entities", "width", "negatives")
RELATIONS = 200
EXPONENT = 2.1
"""Exponent of the power law of degrees."""


def drawn(facts: int, entities: int) -> kgraft.KnowledgeGraph:
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
    """Train some steps at these sizes, and return time and memory."""
    torch.set_num_threads(threads)
    graph = drawn(sizes["facts"], sizes["entities"])
    sized = {"model": {"width": sizes["width"]}, "training": {"negatives": sizes["negatives"]}}
    settings = kgraft.TrainSettings.model_validate(sized)
    training = training_context(kgraft.collect([graph], target="drawn"), settings, alone=True).task
    trainer, batches = training.trainer(), training.sampler()
    begin = time.perf_counter()
    epoch = batches.epoch(1)
    one_step(trainer, trainer.prepare(next(epoch)))
    begun = time.perf_counter()
    ends = [begun]
    for batch in islice(epoch, steps):
        one_step(trainer, trainer.prepare(batch))
        ends.append(time.perf_counter())
    # The median, since another process may delay a step.
    seconds = float(np.median(np.diff(ends)))
    return {
        **sizes,
        "threads": threads,
        "milliseconds_per_step": round(1000 * seconds, 3),
        "seconds_per_epoch": round(begun - begin + seconds * (batches.n_steps - 1), 4),
        "peak_rss_gib": peak_gib(),
    }


def measure(asked: Namespace) -> dict[str, Any]:
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
    return {"scaling": rows, "threads": threads}


def main(arguments: Sequence[str] | None = None) -> None:
    sizes = {"facts": 400_000, "entities": 100_000, "width": 128, "negatives": 512}
    times = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0]
    run(options_of(__doc__, **sizes, times=times, steps=100), measure, arguments)


if __name__ == "__main__":
    main()
