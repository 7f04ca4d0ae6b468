"""Measure whether making batches ever keeps the trainer waiting.

Usage: python benchmarks/walks.py COLLECTION --out benchmarks/results/walks.json

``walks`` tells how fast paths are sampled on a collection's joint graph, for several lengths and
numbers of walkers at once. ``training`` tells what the trainer does on the same machine with the
same threads: how long a batch takes to make and to learn from, the one after the other in one
thread, as in training. From both come ``ahead``, how many times as fast the walker makes queries
as the trainer learns from them, and ``making``, the share of an epoch in which the model waits for
a batch. A thread that makes batches beforehand would, with a core to spare, make an epoch shorter
by no more than this share.
"""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from itertools import chain, count
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np
import torch

from kgraft.io.read_collection import read_collection
from kgraft.linking.joint_graph import JointGraph, join
from kgraft.model.kge import KgeModel
from kgraft.pipeline.run import batches_of, learner_of
from kgraft.settings import ModelSettings, TrainingSettings, TrainSettings
from kgraft.system.messages import speaking
from kgraft.training.batch import Batch
from kgraft.training.random_walks import Walker
from kgraft.training.sampler import TripleSampler
from kgraft.training.step import Trainer
from kgraft_experiments.benchmark.plan import write_report
from kgraft_experiments.benchmark.runner import machine

WARM_UP = 3
"""TripleSampler that are not measured."""


def walking(graph: JointGraph, *, steps: int, walkers: int, seconds: float) -> dict[str, Any]:
    """Sample paths for some time and return how many a second.

    Args:
        graph: What is walked on.
        steps: Facts in a path; the first one is given, the walker chooses the others.
        walkers: Paths at once.
        seconds: For how long, about.
    """
    walker = Walker(graph.triples, graph.triple_sources, graph.n_entities, graph.n_relations)
    draw = np.random.default_rng(0)
    calls, begin, spent = 0, time.perf_counter(), 0.0
    while spent < seconds:
        chosen = draw.integers(len(graph.triples), size=walkers)
        walker.go_on(graph.triples[chosen], graph.triple_sources[chosen], steps, draw)
        calls, spent = calls + 1, time.perf_counter() - begin
    paths = calls * walkers / spent
    return {
        "steps": steps,
        "walkers": walkers,
        "paths_per_second": round(paths),
        "steps_per_second": round(paths * (steps - 1)),
    }


def training(graph: JointGraph, settings: TrainSettings, *, batches: int) -> dict[str, Any]:
    """Make batches and learn from them, as a joint run does, and return what each of both took.

    Args:
        graph: What is learned from.
        settings: Model and training.
        batches: How many are measured.
    """
    wanted = settings.training
    made = batches_of(graph, wanted, n_entities=graph.n_entities)
    model = KgeModel.create(settings.model, graph.n_entities, graph.n_relations, seed=wanted.seed)
    learner = learner_of(model, settings)
    queries, making, learning = turns(endless(made), learner, batches)
    total = making + learning
    return {
        "encoder": settings.model.encoder,
        "width": settings.model.width,
        "steps": wanted.path_length,
        "queries_per_second": round(queries / total),
        "learned_per_second": round(queries / learning),
        "milliseconds_to_make": round(1000 * making / batches, 3),
        "milliseconds_to_learn": round(1000 * learning / batches, 3),
        "epoch_seconds": round(total * made.n_queries / queries, 1),
        "making": round(making / total, 4),
    }


def endless(batches: TripleSampler) -> Iterator[Batch]:
    """Yield the batches of one epoch after the other."""
    return chain.from_iterable(batches.epoch(number) for number in count(1))


def turns(batches: Iterator[Batch], learner: Trainer, n: int) -> tuple[int, float, float]:
    """Return the queries of ``n`` batches, the seconds to make them and those to learn them."""
    queries, making, learning = 0, 0.0, 0.0
    for place in range(WARM_UP + n):
        begin = time.perf_counter()
        batch = next(batches)
        between = time.perf_counter()
        learner.step(batch)
        end = time.perf_counter()
        if place >= WARM_UP:
            queries += len(batch)
            making += between - begin
            learning += end - between
    return queries, making, learning


def with_ahead(rows: Sequence[dict[str, Any]], walks: Sequence[dict[str, Any]]) -> Iterator[Any]:
    """Add to each row of training how many times as fast walks give queries, where there are any.

    A path of ``steps`` facts gives so many queries. The slowest of the walks of its length counts.
    """
    for row in rows:
        paths = [x["paths_per_second"] for x in walks if x["steps"] == row["steps"]]
        ahead = min(paths) * row["steps"] / row["learned_per_second"] if paths else None
        yield {**row, "ahead": None if ahead is None else round(ahead, 1)}


def measure(asked: Namespace) -> dict[str, Any]:
    """Read the collection, measure, and return the report."""
    torch.set_num_threads(asked.threads)
    collection = read_collection(asked.collection)
    graph = join(list(collection.graphs.values()), collection.links)
    walks = [
        walking(graph, steps=steps, walkers=walkers, seconds=asked.seconds)
        for steps in asked.steps
        if steps > 1
        for walkers in asked.walkers
    ]
    # The configurations take turns, so that what else the machine does falls on all alike.
    rounds = [
        [
            training(graph, settings_of(asked, encoder, steps), batches=asked.batches)
            for encoder in asked.encoders
            for steps in asked.steps
        ]
        for _ in range(asked.repeats)
    ]
    told = ("steps", "walkers", "encoders", "width", "batch_size", "batches", "repeats", "threads")
    return {
        "settings": {
            "collection": collection.name,
            "facts": len(graph.triples),
            "entities": graph.n_entities,
            **{key: getattr(asked, key) for key in told},
        },
        "machine": machine(),
        "walks": walks,
        "training": list(with_ahead([middle(rows) for rows in zip(*rounds, strict=True)], walks)),
    }


def middle(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians of rows of one configuration."""
    return {key: median_low(row[key] for row in rows) for key in rows[0]}


def settings_of(asked: Namespace, encoder: Any, steps: int) -> TrainSettings:
    return TrainSettings(
        model=ModelSettings(encoder=encoder, width=asked.width),
        training=TrainingSettings(batch_size=asked.batch_size, path_length=steps),
    )


def options() -> ArgumentParser:
    default = TrainSettings()
    parser = ArgumentParser(description="Measure whether batches keep the trainer waiting.")
    parser.add_argument("collection", nargs="?", default="world")
    parser.add_argument("--out", type=Path, required=True, help="the report, a JSON file")
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--walkers", type=int, nargs="+", default=[128, 512, 4096])
    parser.add_argument("--encoders", nargs="+", default=["complex", "gru"])
    parser.add_argument("--width", type=int, default=default.model.width)
    parser.add_argument("--batch-size", type=int, default=default.training.batch_size)
    parser.add_argument("--batches", type=int, default=60, help="to measure in a round")
    parser.add_argument("--repeats", type=int, default=3, help="rounds of training")
    parser.add_argument("--seconds", type=float, default=1.0, help="to walk for each figure")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    asked = options().parse_args(arguments)
    with speaking():
        report = measure(asked)
        write_report(asked.out, report)
    for row in report["training"]:
        ahead = "" if row["ahead"] is None else f", walks {row['ahead']:g} times ahead"
        print(
            f"{row['encoder']}, steps {row['steps']}: {row['queries_per_second']:,} queries/s, "
            f"{row['making']:.0%} of it making batches{ahead}"
        )


if __name__ == "__main__":
    main()
