"""Measure what the numbers of a target are worth: ``world`` with those of its countries.

Usage: python benchmarks/attributes.py --work DIR --out benchmarks/results/attributes.json

The target of ``world`` gets attributes: ``numbers`` are area, population and coordinates of its
countries, from the package countryinfo; ``noise`` are as many numbers and two letters at random,
which should cost nothing; ``none`` is ``world`` as it is. Each is learned alone and grafted.
Figures are the MRR of the test facts, filtered, both ends asked for, by each way to answer. Rows
are kept in ``--work``, so that the same command goes on where it stopped.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import countryinfo
import numpy as np
import polars as pl
from common import options_of, run

import kgraft
from kgraft.graph.knowledge_graph import ATTRIBUTE_SCHEMA, KnowledgeGraph
from kgraft.linking.collection import Collection
from kgraft.model.evidence import By
from kgraft.model.trained_model import TrainedModel
from kgraft_experiments.benchmark.plan import write_report
from kgraft_experiments.benchmark.settings import BenchmarkSettings

GIVEN = ("none", "numbers", "noise")
SYSTEMS = ("alone", "grafted")
WAYS: tuple[By, ...] = ("both", "vectors", "rules")


def numbers() -> Iterator[tuple[str, str, str]]:
    """Yield country, attribute and value."""
    for country in countryinfo.all_countries():
        record = country.info()
        for name, value in zip(("latitude", "longitude"), record.get("latlng") or (), strict=False):
            yield record["name"], name, f"{value}"
        for name in ("area", "population"):
            if record.get(name):
                yield record["name"], name, f"{record[name]}"


def noise(names: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yield numbers and letters at random for each of some names."""
    draw = np.random.default_rng(0)
    for name in names:
        yield from ((name, f"number {x}", f"{draw.random():.6f}") for x in range(4))
        yield from ((name, f"letter {x}", "abcdefghijkl"[draw.integers(12)]) for x in range(2))


def with_attributes(graph: KnowledgeGraph, given: str) -> KnowledgeGraph:
    """Return the graph of ``world`` with attributes of its countries."""
    values = list(numbers())
    if given == "noise":
        values = list(noise(sorted({name for name, *_ in values})))
    frame = pl.DataFrame(values, schema=["entity", "attribute", "value"], orient="row")
    frame = frame.unique(["entity", "attribute"], keep="first", maintain_order=True)
    rows = graph.entities.rows(frame["entity"])
    empty = pl.lit(None, dtype=pl.String)
    frame = frame.with_columns(pl.Series("entity", rows), datatype=empty, language=empty)
    known = frame.filter(pl.col("entity") >= 0).select(list(ATTRIBUTE_SCHEMA))
    return replace(graph, attributes=known)


def world(given: str) -> Collection:
    """Return ``world`` with one of the kinds of attributes."""
    found = kgraft.read_collection("world")
    own = found.target_graph
    if given == "none":
        return found
    return replace(found, graphs={**found.graphs, own.name: with_attributes(own, given)})


def trained(collection: Collection, system: str, settings: BenchmarkSettings) -> TrainedModel:
    """Train a system."""
    if system == "alone":
        return kgraft.train(collection, settings.alone, alone=True)
    teacher = kgraft.pretrain(collection, settings.pretrain)
    return kgraft.retrain(collection, teacher, settings.retrain)


def rows_of_case(case: dict[str, Any], work: Path) -> list[dict[str, Any]]:
    """Return the rows of a case, which are measured where they are not kept."""
    kept = work / f"{case['attributes']}-{case['system']}-{case['seed']}.json"
    if not kept.exists():
        settings = BenchmarkSettings().seeded(case["seed"])
        model = trained(world(case["attributes"]), case["system"], settings)
        rows = []
        for by in WAYS:
            measured = model.evaluate(world(case["attributes"]), by=by)
            ranks = [measured.ranks[side, "all"].realistic for side in ("head", "tail")]
            mrr = float((1 / np.concatenate(ranks)).mean())
            rows.append({**case, "by": by, "queries": 2 * len(measured.facts), "mrr": mrr})
        write_report(kept, rows)
    found: list[dict[str, Any]] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def measure(asked: Namespace) -> dict[str, Any]:
    """Measure all cases."""
    asked.work.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for seed in range(1, asked.seeds + 1):
        for given in GIVEN:
            for system in SYSTEMS:
                case = {"attributes": given, "system": system, "seed": seed}
                print(", ".join(f"{name} {value}" for name, value in case.items()), flush=True)
                rows += rows_of_case(case, asked.work)
    return {
        "command": "python benchmarks/attributes.py --work DIR",
        "means": [_mean(rows, given, system) for given in GIVEN for system in SYSTEMS],
        "rows": rows,
    }


def _mean(rows: list[dict[str, Any]], given: str, system: str) -> dict[str, Any]:
    """Return mean and standard deviation over seeds of MRR by both."""
    found = [
        x["mrr"] for x in rows if (x["attributes"], x["system"], x["by"]) == (given, system, "both")
    ]
    spread = stdev(found) if len(found) > 1 else 0.0
    return {"attributes": given, "system": system, "mrr": mean(found), "std": spread}


def main(arguments: list[str] | None = None) -> None:
    parser = options_of(__doc__, seeds=(3, "how many"), work=Path)
    run(parser, measure, arguments)


if __name__ == "__main__":
    main()
