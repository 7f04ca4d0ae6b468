"""Measure a graph alone, without links or teacher, where others have published figures.

Usage: python benchmarks/single.py COLLECTION --settings benchmarks/settings/wn18rr.toml \
           --out benchmarks/results/single.json

Trains for the collection's target, and ranks its test facts, both sides, filtered, by vectors, by
rules and by both. Epochs and mixture are chosen by validation facts. Each collection has a row of
its own in ``--out``, under its name; the others stay there.
"""

from __future__ import annotations

import json
import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from common import add_to_report

from kgraft.evaluation.evaluate import evaluate
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import Collection
from kgraft.model.evidence import WAYS
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.train import train
from kgraft.settings import TrainSettings
from kgraft.system.messages import speaking
from kgraft.toml_settings import read_settings
from kgraft_experiments.benchmark.runner import machine


def ranked(model: TrainedModel, collection: Collection) -> dict[str, dict[str, float]]:
    """Return the figures of each way that the model has to answer."""
    rows = {}
    for by in WAYS if model.evidence is not None else WAYS[:1]:
        figures = evaluate(model, collection, by=by).rows()
        (both,) = (row for row in figures if (row["side"], row["facts"]) == ("both", "all"))
        told = (name for name in both if name == "mrr" or name.startswith("hits@"))
        rows[by] = {name: round(both[name], 4) for name in told}
    return rows


def measure(asked: Namespace) -> dict[str, Any]:
    """Train and rank, and return the row."""
    torch.set_num_threads(asked.threads)
    collection = read_collection(asked.collection)
    settings = read_settings(TrainSettings, asked.settings)
    begin = time.perf_counter()
    model = train(collection, settings, alone=True)
    trained = time.perf_counter()
    figures = ranked(model, collection)
    return {
        "facts": {x: len(getattr(collection.target_graph, x)) for x in ("train", "valid", "test")},
        "figures": figures,
        "validation": dict(model.evidence.mrr) if model.evidence is not None else {},
        "best_epoch": model.metrics["best_epoch"],
        "training_seconds": round(trained - begin, 1),
        "ranking_seconds": round(time.perf_counter() - trained, 1),
        "threads": asked.threads,
        "settings": settings.model_dump(mode="json"),
        "machine": machine(),
        "command": "python benchmarks/single.py COLLECTION"
        f" --settings benchmarks/settings/{asked.settings.name}",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collection", help="a collection with one source")
    parser.add_argument("--settings", type=Path, required=True, help="as kgraft train takes them")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args(arguments)
    with speaking():
        row = measure(asked)
        add_to_report(asked.out, {asked.settings.stem: row})
    print(json.dumps(row["figures"], indent=1))


if __name__ == "__main__":
    main()
