"""Measure a target alone, joint with its background, and grafted, by which ends are linked.

Usage: python benchmarks/graft.py COLLECTION ... --work DIR --out benchmarks/results/graft.json

Each collection names a target and one background or more. ``alone`` is the same machinery on the
target's own facts, ``joint`` trained from scratch on all of them, ``grafted`` re-trained from a
teacher of the backgrounds. ``--shares`` draws that share of the target's training facts, the same
for all systems of a seed. Rows have the MRR of test tails, filtered, of facts with both ends
linked, the head or the tail only, one of them, or none; and ``mrr_sources``, the same with facts
that other sources state filtered too, since they are most often right and only missing here.

Models are not kept, rows are, in ``--work``: the same command goes on where it stopped. Rows of
other collections, shares and seeds in ``--out`` are left as they are, and so are its other keys.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import add_to_report, options_of, run
from numpy.typing import NDArray

from kgraft.evaluation.evaluate import Evaluation, Filter
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import Collection
from kgraft.model.directory import load_model
from kgraft.model.evidence import By
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.pretrain import pretrain
from kgraft.pipeline.retrain import retrain
from kgraft.pipeline.train import train
from kgraft.settings import RetrainSettings, TrainSettings
from kgraft_experiments.benchmark.plan import write_report
from kgraft_experiments.benchmark.runner import machine
from kgraft_experiments.benchmark.settings import BenchmarkSettings

SYSTEMS = ("alone", "joint", "grafted")

WAYS: tuple[By, ...] = ("both", "vectors", "rules")

FILTERS: dict[str, Filter] = {"mrr": "all", "mrr_sources": "all+sources"}
"""The filter of each figure."""


def with_share(collection: Collection, share: float, seed: int) -> Collection:
    """Return the collection with a share of the target's training facts, drawn at random."""
    own = collection.target_graph
    if share == 1:
        return collection
    drawn = np.random.default_rng(seed).permutation(len(own.train))[: round(share * len(own.train))]
    graphs = {**collection.graphs, own.name: own.select(train=np.sort(drawn))}
    return replace(collection, graphs=graphs)


def linked_entities(collection: Collection) -> NDArray[np.bool_]:
    """Mask the target's entities that are linked to another source, ``(n,)``."""
    own = collection.target_graph
    found = np.zeros(len(own.entities), dtype=np.bool_)
    for x in collection.links:
        if x.kind == "entity" and x.joins(own.name):
            found[x.pairs[:, int(x.right == own.name)]] = True
    return found


def by_ends(
    measured: Evaluation, linked: NDArray[np.bool_]
) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Yield the part of the facts, which ends are linked, and the mask of these facts."""
    head, tail = (linked[measured.facts[:, place]] for place in (0, 2))
    ends = {
        "any": np.ones_like(head),
        "both": head & tail,
        "head": head & ~tail,
        "tail": tail & ~head,
        "one": head ^ tail,
        "none": ~(head | tail),
    }
    every = np.ones_like(head)
    parts = {"all": every, "covered": measured.covered, "uncovered": ~measured.covered}
    for facts, mask in parts.items():
        for name, of_ends in ends.items():
            if (mask & of_ends).any():
                yield facts, name, mask & of_ends


def rows_of(model: TrainedModel, collection: Collection, system: str) -> list[dict[str, Any]]:
    """Return a row for each way to answer, part of the facts, and linked ends."""
    linked, rows = linked_entities(collection), []
    for by in WAYS if model.evidence is not None else ("vectors",):
        measured = model.evaluate(
            collection, sides=("tail",), filters=list(FILTERS.values()), by=by
        )
        for facts, ends, mask in by_ends(measured, linked):
            asked = {"by": by, "facts": facts, "ends": ends, "queries": int(mask.sum())}
            found = {
                name: float((1 / measured.ranks["tail", own].realistic[mask]).mean())
                for name, own in FILTERS.items()
            }
            rows.append({"system": system, **asked, **found})
    return rows


def trained(
    system: str, collection: Collection, settings: BenchmarkSettings, teacher: TrainedModel | None
) -> TrainedModel:
    """Train a system for the collection's target."""
    if teacher is not None:
        return retrain(collection, teacher, settings.retrain)
    return train(collection, _with_rules(settings, system), alone=system == "alone")


def _with_rules(settings: BenchmarkSettings, system: str) -> TrainSettings:
    """Return the settings of alone or joint, with the rules and the ensemble of a student."""
    if system == "alone":
        return settings.alone
    return settings.joint.model_copy(update={"rules": RetrainSettings().rules.model_dump()})


def cases(asked: Namespace) -> Iterator[dict[str, Any]]:
    """Yield the labels of each case."""
    for path in asked.collections:
        for seed in range(asked.seed, asked.seed + asked.seeds):
            for share in asked.shares:
                for system in asked.systems:
                    yield {"collection": path, "share": share, "seed": seed, "system": system}


def teacher_of(collection: Collection, settings: BenchmarkSettings, place: Path) -> TrainedModel:
    """Return the teacher of a collection's backgrounds, pre-trained where it is not kept."""
    if not place.exists():
        pretrain(collection, settings.pretrain).save(place)
    return load_model(place)


def rows_of_case(case: Mapping[str, Any], work: Path) -> list[dict[str, Any]]:
    """Return the rows of a case, trained where they are not kept."""
    seed, share, system = case["seed"], case["share"], case["system"]
    whole = read_collection(case["collection"])
    collection = with_share(whole, share, seed)
    target = collection.target_graph.name
    name = f"{whole.name}-{target}-{seed}"
    kept = work / f"{name}-{share:g}-{system}.json"
    if not kept.exists():
        settings = BenchmarkSettings().seeded(seed)
        teacher = None
        if system == "grafted":
            teacher = teacher_of(whole, settings, work / f"{name}-teacher")
        model = trained(system, collection, settings, teacher)
        labels = {"collection": whole.name, "target": target, "share": share, "seed": seed}
        write_report(kept, [labels | row for row in rows_of(model, collection, system)])
    found: list[dict[str, Any]] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def measure(asked: Namespace) -> dict[str, Any]:
    """Measure all cases, and return their rows beside those that the report has."""
    asked.work.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for case in cases(asked):
        print(", ".join(f"{name} {value}" for name, value in case.items()), flush=True)
        rows += rows_of_case(case, asked.work)
    command = "python benchmarks/graft.py COLLECTION ... --work DIR"
    return {"machine": machine(), "threads": asked.threads, "command": command, "rows": rows}


def write(path: Path, report: dict[str, Any]) -> None:
    """Write the rows in the place of earlier ones of the same cases."""
    labels = ("collection", "target", "share", "seed", "system")
    new = {tuple(row[name] for name in labels) for row in report["rows"]}
    known = json.loads(path.read_text(encoding="utf-8")).get("rows", []) if path.exists() else []
    kept = [row for row in known if tuple(row[name] for name in labels) not in new]
    add_to_report(path, {**report, "rows": kept + report["rows"]})


def options() -> ArgumentParser:
    parser = options_of(
        __doc__,
        seed=(1, "the first"),
        seeds=(1, "how many, from the first on"),
        shares=([1.0], "of the target's training facts"),
    )
    parser.add_argument("collections", nargs="+", help="each names its target")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--work", type=Path, required=True, help="directory for what is kept")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    again = "The same command goes on from here."
    for row in run(options(), measure, arguments, write=write, again=again)["rows"]:
        if (row["by"], row["facts"]) == ("both", "all"):
            print(
                f"{row['target']}, {row['share']:g} of the facts, seed {row['seed']}, "
                f"{row['system']}, {row['ends']}: {100 * row['mrr']:.1f}, sources filtered "
                f"{100 * row['mrr_sources']:.1f} ({row['queries']:,})"
            )


if __name__ == "__main__":
    main()
