"""Measure the time of sampling batches beside that of training on them.

Usage: python benchmarks/walks.py COLLECTION --out benchmarks/results/walks.json

``walks``: paths a second on a collection's joint graph, by path length (``steps``) and number of
walkers. ``training``: the time to make a batch and to train on it, one after the other in one
thread. From both follow ``ahead``, the speed of walks as a multiple of the trainer's, and
``making``, the share of an epoch that passes with making batches: a thread that made them ahead
would shorten an epoch by no more than this share.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from statistics import median_low
from typing import Any

import numpy as np
from common import endless, one_step, options_of, run

import kgraft
from kgraft.linking.join import join
from kgraft.linking.joint_graph import JointGraph
from kgraft.model.kge import KgeModel
from kgraft.pipeline.embeddings import make_sampler, make_trainer
from kgraft.training.batch import Batch
from kgraft.training.random_walks import Walker
from kgraft.training.step import Trainer

WARM_UP = 3
"""Batches before the measurement."""


def walking(graph: JointGraph, *, steps: int, walkers: int, seconds: float) -> dict[str, Any]:
    """Sample paths of ``steps`` facts for some seconds, and return their number a second."""
    walker = Walker(graph.triples, graph.triple_sources, graph.n_entities, graph.n_relations)
    draw = np.random.default_rng(0)
    calls, begin, spent = 0, time.perf_counter(), 0.0
    while spent < seconds:
        chosen = draw.integers(len(graph.triples), size=walkers)
        walker.extend(graph.triples[chosen], graph.triple_sources[chosen], steps, draw)
        calls, spent = calls + 1, time.perf_counter() - begin
    paths = calls * walkers / spent
    return {
        "steps": steps,
        "walkers": walkers,
        "paths_per_second": round(paths),
        "steps_per_second": round(paths * (steps - 1)),
    }


def training(graph: JointGraph, settings: kgraft.TrainSettings, *, batches: int) -> dict[str, Any]:
    """Make batches and train on them as a joint run does, and return the time of both."""
    own = settings.training
    sampler = make_sampler(graph, own, n_entities=graph.n_entities)
    model = KgeModel.create(settings.model, graph.n_entities, graph.n_relations, seed=own.seed)
    queries, making, learning = turns(endless(sampler), make_trainer(model, settings), batches)
    total = making + learning
    return {
        "encoder": settings.model.encoder,
        "width": settings.model.width,
        "steps": own.path_length,
        "queries_per_second": round(queries / total),
        "learned_per_second": round(queries / learning),
        "milliseconds_to_make": round(1000 * making / batches, 3),
        "milliseconds_to_learn": round(1000 * learning / batches, 3),
        "epoch_seconds": round(total * sampler.n_queries / queries, 1),
        "making": round(making / total, 4),
    }


def turns(batches: Iterator[Batch], trainer: Trainer, n: int) -> tuple[int, float, float]:
    """Return the queries of ``n`` batches, and the seconds to make and to learn them."""
    queries, making, learning = 0, 0.0, 0.0
    for place in range(WARM_UP + n):
        begin = time.perf_counter()
        batch = next(batches)
        between = time.perf_counter()
        one_step(trainer, batch)
        end = time.perf_counter()
        if place >= WARM_UP:
            queries += len(batch)
            making += between - begin
            learning += end - between
    return queries, making, learning


def with_ahead(rows: Sequence[dict[str, Any]], walks: Sequence[dict[str, Any]]) -> Iterator[Any]:
    """Add to each row of training the speed of the slowest walks of its length as a multiple.

    A path of ``steps`` facts gives as many queries.
    """
    for row in rows:
        paths = [x["paths_per_second"] for x in walks if x["steps"] == row["steps"]]
        ahead = min(paths) * row["steps"] / row["learned_per_second"] if paths else None
        yield {**row, "ahead": None if ahead is None else round(ahead, 1)}


def measure(asked: Namespace) -> dict[str, Any]:
    """Read the collection, measure, and return the report."""
    collection = kgraft.read_collection(asked.collection)
    graph = join(list(collection.graphs.values()), collection.links)
    walks = [
        walking(graph, steps=steps, walkers=walkers, seconds=asked.seconds)
        for steps in asked.steps
        if steps > 1
        for walkers in asked.walkers
    ]
    # In turns, so that other load of the machine affects all configurations alike.
    rounds = [
        [
            training(graph, settings_of(asked, encoder, steps), batches=asked.batches)
            for encoder in asked.encoders
            for steps in asked.steps
        ]
        for _ in range(asked.repeats)
    ]
    return {
        "settings": {
            "collection": collection.name,
            "facts": len(graph.triples),
            "entities": graph.n_entities,
        },
        "walks": walks,
        "training": list(with_ahead([middle(rows) for rows in zip(*rounds, strict=True)], walks)),
    }


def middle(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians of rows of one configuration."""
    return {key: median_low(row[key] for row in rows) for key in rows[0]}


def settings_of(asked: Namespace, encoder: Any, steps: int) -> kgraft.TrainSettings:
    training = {"batch_size": asked.batch_size, "path_length": steps}
    return kgraft.TrainSettings.model_validate(
        {"model": {"encoder": encoder, "width": asked.width}, "training": training}
    )


def options() -> ArgumentParser:
    default = kgraft.TrainSettings()
    parser = options_of(
        __doc__,
        steps=[1, 2, 3, 4, 5],
        walkers=[128, 512, 4096],
        encoders=["complex", "gru"],
        width=default.model.width,
        batch_size=default.training.batch_size,
        batches=(60, "to measure in a round"),
        repeats=(3, "rounds of training"),
        seconds=(1.0, "to walk for each figure"),
    )
    parser.add_argument("collection", nargs="?", default="world")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    for row in run(options(), measure, arguments)["training"]:
        ahead = "" if row["ahead"] is None else f", walks {row['ahead']:g} times ahead"
        print(
            f"{row['encoder']}, steps {row['steps']}: {row['queries_per_second']:,} queries/s, "
            f"{row['making']:.0%} of it making batches{ahead}"
        )


if __name__ == "__main__":
    main()
