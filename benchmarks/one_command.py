"""Compare ``kgraft graft`` with re-training on given links, on ``world`` with its links withheld.

Usage: python benchmarks/one_command.py --out benchmarks/results/one_command.json

The target is written without links, as a newcomer has it: with the splits of ``world`` (``own``),
and as one file of all facts, of which reading holds some out (``drawn``). A teacher is pre-trained
on the backgrounds. ``grafted`` knows that target and the teacher alone. ``given`` is the student of
the same facts and teacher with the links of ``world``; ``alone`` is the same machinery without
links. The share is that of the gain over alone by given links that grafting reaches, by means over
seeds; ``one_command_share`` is that with the splits of ``world``, which has more test facts than a
drawn split, and fewer that follow from their own inverses.
"""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import polars as pl
import tomli_w
from common import options_of, run

from kgraft.alignment.graft import GRAFT_METRIC, graft
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.pretrain import pretrain
from kgraft.pipeline.retrain import retrain
from kgraft.pipeline.train import train
from kgraft.settings import RetrainSettings, TrainingSettings, TrainSettings

TEACHER_EPOCHS = 10
"""As in ``kgraft demo``: the backgrounds hold no validation facts that could stop the teacher."""

PARTS = ("all", "covered", "uncovered")


SPLITS = ("own", "drawn")


def written(world: Collection, directory: Path, split: str) -> Path:
    """Write the target without links, and return the file to graft."""
    name, facts = world.target, world.target_graph.to_frame()
    if split == "drawn":
        file = directory / f"{name}.tsv"
        _write(facts, file)
        return file
    for part in ("train", "valid", "test"):
        _write(facts.filter(pl.col("split") == part), directory / f"{part}.tsv")
    source = {"name": name, **{part: f"{part}.tsv" for part in ("train", "valid", "test")}}
    file = directory / "collection.toml"
    file.write_text(tomli_w.dumps({"source": [source]}), encoding="utf-8")
    return file


def _write(facts: pl.DataFrame, file: Path) -> None:
    columns = facts.select("head", "relation", "tail")
    columns.write_csv(file, separator="\t", include_header=False)


def with_given_links(world: Collection, file: Path) -> Collection:
    """Return the collection with the target as it is read from the file, its links by name."""
    own = read_collection(file).target_graph
    graphs = {**world.graphs, own.name: own}
    links = join([own]).translate_links(world.links, world.graphs)
    return replace(world, graphs=graphs, links=tuple(links))


def rows_of(
    model: TrainedModel, system: str, seed: int, collection: Collection, split: str
) -> list[dict[str, Any]]:
    """Return a row for each part of the test facts."""
    measured = model.evaluate(collection, by="both")
    return [
        {
            "target": collection.target,
            "split": split,
            "system": system,
            "by": "both",
            "facts": x["facts"],
            "seed": seed,
            "queries": x["queries"],
            "mrr": round(x["mrr"], 4),
        }
        for x in measured.rows()
        if x["side"] == "both" and x["facts"] in PARTS and x["queries"]
    ]


def measure(asked: Namespace) -> dict[str, Any]:
    """Train all and return the report."""
    rows, linked = [], {}
    for split in SPLITS:
        for seed in range(asked.seeds):
            of_seed, linked[split] = measured(split, seed)
            rows += of_seed
            print(*of_seed, sep="\n", flush=True)
    shares = {
        split: {x: share_of_gain([row for row in rows if row["split"] == split], x) for x in PARTS}
        for split in SPLITS
    }
    found = {"one_command_share": shares["own"]["all"], "shares": shares}
    return {**found, "linked": linked, "rows": rows}


def measured(split: str, seed: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the rows of one seed, and how much of the target grafting links."""
    world = read_collection("world")
    with tempfile.TemporaryDirectory() as place:
        file = written(world, Path(place), split)
        given = with_given_links(world, file)
        few = TrainingSettings(epochs=TEACHER_EPOCHS, seed=seed)
        teacher = pretrain(given, TrainSettings(training=few))
        settings = RetrainSettings.model_validate({"training": {"seed": seed}})
        found = graft(file, teacher, settings, compare_alone=False)
        systems = {
            "grafted": found.student,
            "given": retrain(given, teacher, settings),
            "alone": train(given, settings.for_alone(), alone=True),
        }
        rows = [row for name, x in systems.items() for row in rows_of(x, name, seed, given, split)]
        return rows, found.student.metrics[GRAFT_METRIC]


def share_of_gain(rows: Sequence[dict[str, Any]], facts: str) -> float:
    """Return the gain of grafting over alone, as a share of the gain with given links."""
    mrr = {
        system: mean(x["mrr"] for x in rows if x["system"] == system and x["facts"] == facts)
        for system in ("grafted", "given", "alone")
    }
    return round((mrr["grafted"] - mrr["alone"]) / (mrr["given"] - mrr["alone"]), 4)


def options() -> ArgumentParser:
    return options_of(__doc__, seeds=(3, "how many, from 0 on"))


def main(arguments: Sequence[str] | None = None) -> None:
    report = run(options(), measure, arguments)
    print(f"share of the gain with given links: {report['one_command_share']:.1%}")


if __name__ == "__main__":
    main()
