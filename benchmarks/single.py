"""Measure a single graph, without links or teacher, on data with published figures.

Usage: python benchmarks/single.py COLLECTION --settings benchmarks/settings/wn18rr.toml \
           --out benchmarks/results/single.json

Trains on the collection's target, and ranks its test facts, both sides, filtered, by vectors, by
rules and by both. Validation facts choose epochs and ensemble. Each file of settings has a row of
its own in ``--out``; other rows stay there.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import add_to_report, options_of, run, timed

import kgraft
from kgraft.model.evidence import WAYS
from kgraft_experiments.benchmark.runner import machine


def ranked(
    model: kgraft.TrainedModel, collection: kgraft.Collection
) -> dict[str, dict[str, float]]:
    """Return the figures by vectors, and by rules and both where the model has rules."""
    rows = {}
    for by in WAYS if model.evidence is not None else WAYS[:1]:
        figures = model.evaluate(collection, by=by).rows()
        (both,) = (row for row in figures if (row["side"], row["facts"]) == ("both", "all"))
        names = (name for name in both if name == "mrr" or name.startswith("hits@"))
        rows[by] = {name: round(both[name], 4) for name in names}
    return rows


def measure(asked: Namespace) -> dict[str, Any]:
    """Train and rank, and return the row by its name."""
    collection = kgraft.read_collection(asked.collection)
    settings = kgraft.read_settings(kgraft.TrainSettings, asked.settings)
    training, model = timed(lambda: kgraft.train(collection, settings, alone=True))
    ranking, figures = timed(ranked, model, collection)
    row = {
        "facts": {x: len(getattr(collection.target_graph, x)) for x in ("train", "valid", "test")},
        "figures": figures,
        "validation": dict(model.evidence.mrr) if model.evidence is not None else {},
        "best_epoch": model.metrics["best_epoch"],
        "training_seconds": round(training, 1),
        "ranking_seconds": round(ranking, 1),
        "threads": asked.threads,
        "settings": settings.model_dump(mode="json"),
        "machine": machine(),
        "command": "python benchmarks/single.py COLLECTION"
        f" --settings benchmarks/settings/{asked.settings.name}",
    }
    return {asked.settings.stem: row}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options_of(__doc__, "collection")
    parser.add_argument("--settings", type=Path, required=True, help="as kgraft train takes them")
    [row] = run(parser, measure, arguments, write=add_to_report).values()
    print(json.dumps(row["figures"], indent=1))


if __name__ == "__main__":
    main()
