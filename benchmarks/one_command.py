"""Compare ``kgraft graft`` with re-training on given links, on ``world`` with its links withheld.

Usage: python benchmarks/one_command.py --out benchmarks/results/one_command.json

The target's facts are written to one file, as a newcomer has them; a teacher is pre-trained on the
backgrounds. ``grafted`` knows that file and the teacher alone. ``given`` is the student of the same
facts and teacher with the links of ``world``; ``alone`` is the same machinery without links. Each
is measured on the test facts that reading the file holds out. The share is that of the gain over
alone by given links that grafting reaches, by means over seeds.
"""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from common import options_of, run

from kgraft.alignment.graft import GRAFT_METRIC, graft
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import Collection
from kgraft.linking.joint_graph import join
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.pretrain import pretrain
from kgraft.pipeline.retrain import retrain
from kgraft.pipeline.train import train
from kgraft.settings import RetrainSettings, TrainingSettings, TrainSettings

TEACHER_EPOCHS = 10
"""As in ``kgraft demo``: the backgrounds hold no validation facts that could stop the teacher."""

PARTS = ("all", "covered", "uncovered")


def written(world: Collection, directory: Path) -> Path:
    """Write the facts of the target to a file, and return it."""
    own, file = world.target_graph, directory / f"{world.target}.tsv"
    facts = own.to_frame().select("head", "relation", "tail")
    facts.write_csv(file, separator="\t", include_header=False)
    return file


def with_given_links(world: Collection, file: Path) -> Collection:
    """Return the collection with the target as it is read from the file, its links by name."""
    own = read_collection(file).target_graph
    graphs = {**world.graphs, own.name: own}
    links = join([own]).translate_links(world.links, world.graphs)
    return replace(world, graphs=graphs, links=tuple(links))


def rows_of(
    model: TrainedModel, system: str, seed: int, collection: Collection
) -> list[dict[str, Any]]:
    """Return a row for each part of the test facts."""
    measured = model.evaluate(collection, by="both")
    return [
        {
            "target": collection.target,
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
    world, rows, linked = read_collection("world"), [], {}
    with tempfile.TemporaryDirectory() as place:
        file = written(world, Path(place))
        given = with_given_links(world, file)
        for seed in range(asked.seeds):
            seeded = {"training": {"seed": seed}}
            few = TrainingSettings(epochs=TEACHER_EPOCHS, seed=seed)
            teacher = pretrain(given, TrainSettings(training=few))
            settings = RetrainSettings.model_validate(seeded)
            found = graft(file, teacher, settings, compare_alone=False)
            linked = found.student.metrics[GRAFT_METRIC]
            rows += rows_of(found.student, "grafted", seed, given)
            rows += rows_of(retrain(given, teacher, settings), "given", seed, given)
            alone = train(given, settings.for_alone(), alone=True)
            rows += rows_of(alone, "alone", seed, given)
            print(*(row for row in rows if row["seed"] == seed), sep="\n", flush=True)
    share = {x: share_of_gain(rows, x) for x in PARTS}
    return {"one_command_share": share["all"], "shares": share, "linked": linked, "rows": rows}


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
