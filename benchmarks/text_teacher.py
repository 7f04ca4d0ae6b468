"""Measure a target alone, and with a teacher of nothing but texts about its entities.

Usage: python benchmarks/text_teacher.py COLLECTION --work DIR --out benchmarks/results/graft.json

``alone`` is the same machinery on the target's own facts, ``texts`` re-trained from a teacher of
``--texts``, a table of names and texts, or else of the target's labels and names alone. Links of
the collection play no part. Rows are those of ``benchmarks/graft.py``: the MRR of test tails.
``text_teacher_gain`` has for each target, on all its training facts, what texts gain over alone by
both, the mean over seeds. Models are not kept, rows are, in ``--work``. Other rows and keys of
``--out`` are left as they are.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from common import add_to_report, options_of, run
from graft import rows_of, with_share, write

from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import Collection
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.retrain import retrain
from kgraft.pipeline.train import train
from kgraft.pipeline.vector_teacher import text_teacher
from kgraft_experiments.benchmark.plan import write_report
from kgraft_experiments.benchmark.runner import machine
from kgraft_experiments.benchmark.settings import BenchmarkSettings

SYSTEMS = ("alone", "texts")

ASKED = {"by": "both", "facts": "all", "ends": "any"}
"""The rows that gains are of."""


def trained(system: str, collection: Collection, asked: Namespace, seed: int) -> TrainedModel:
    """Train a system for the collection's target."""
    settings = BenchmarkSettings().seeded(seed)
    if system == "alone":
        return train(collection, settings.alone, alone=True)
    own = collection.target_graph
    texts = asked.texts or Collection(own.name, {own.name: own}, target=own.name)
    teacher = text_teacher(texts, encoders=asked.encoders)
    alone = Collection(own.name, {own.name: own}, target=own.name)
    return retrain(alone, teacher, settings.retrain)


def rows_of_case(case: Mapping[str, Any], asked: Namespace) -> list[dict[str, Any]]:
    """Return the rows of a case, trained where they are not kept."""
    whole = read_collection(asked.collection).with_target(asked.target)
    collection = with_share(whole, case["share"], case["seed"])
    target = collection.target_graph.name
    kept = asked.work / "-".join([whole.name, target, *(f"{x}" for x in case.values())])
    kept = kept.with_name(f"{kept.name}.json")
    if not kept.exists():
        model = trained(case["system"], collection, asked, case["seed"])
        labels = {"collection": whole.name, "target": target, **case}
        write_report(kept, [labels | row for row in rows_of(model, collection, case["system"])])
    found: list[dict[str, Any]] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def cases(asked: Namespace) -> Iterator[dict[str, Any]]:
    """Yield the labels of each case."""
    for seed in range(asked.seed, asked.seed + asked.seeds):
        for share in asked.shares:
            for system in asked.systems:
                yield {"share": share, "seed": seed, "system": system}


def gains(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the gain of each target on all its training facts, the mean over seeds."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    for row in rows:
        if row["share"] == 1 and all(row[name] == value for name, value in ASKED.items()):
            by_system = found.setdefault(row["target"], {system: {} for system in SYSTEMS})
            by_system[row["system"]][row["seed"]] = row["mrr"]
    of_seeds = {
        target: [x["texts"][seed] - x["alone"][seed] for seed in x["texts"] if seed in x["alone"]]
        for target, x in found.items()
    }
    return {target: mean(values) for target, values in of_seeds.items() if values}


def measure(asked: Namespace) -> dict[str, Any]:
    """Measure all cases, and return their rows and gains beside those that the report has."""
    asked.work.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for case in cases(asked):
        print(", ".join(f"{name} {value}" for name, value in case.items()), flush=True)
        rows += rows_of_case(case, asked)
    return {"machine": machine(), "threads": asked.threads, "rows": rows}


def write_gains(path: Path, report: dict[str, Any]) -> None:
    """Write the rows in the place of earlier ones of the same cases, and gains beside others."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    write(path, {"rows": report["rows"]})
    found = {**known.get("text_teacher_gain", {}), **gains(report["rows"])}
    add_to_report(path, {"text_teacher_gain": found})


def options() -> ArgumentParser:
    parser = options_of(
        __doc__,
        "collection",
        seed=(1, "the first"),
        seeds=(1, "how many, from the first on"),
        shares=([1.0], "of the target's training facts"),
        encoders=(["tfidf"], "as in kgraft.text_teacher"),
    )
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--target", help="by default the collection's")
    parser.add_argument("--texts", type=Path, help="table of names and texts")
    parser.add_argument("--work", type=Path, required=True, help="directory for what is kept")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    again = "The same command goes on from here."
    report = run(options(), measure, arguments, write=write_gains, again=again)
    for row in report["rows"]:
        if all(row[name] == value for name, value in ASKED.items()):
            print(
                f"{row['target']}, {row['share']:g} of the facts, seed {row['seed']}, "
                f"{row['system']}: {100 * row['mrr']:.1f}"
            )


if __name__ == "__main__":
    main()
