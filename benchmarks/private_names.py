"""Measure what a student loses where each source has relation names of its own.

Usage: python benchmarks/private_names.py DBP5L_DIR --work DIR --out FILE

Every graph of a directory in the DBP-5L layout gets private names for its relations; facts,
entities and links stay. Teachers and students then have to find by themselves which relations
correspond. ``--shared`` is the report of ``kgraft benchmark`` on the same directory as it is: the
rows of its systems ``alone`` and ``student`` of the same seed and width are compared with.

``private_names_share`` is the mean over the targets of the private student's gain over alone, as a
share of the gain with shared names. Rows have the test MRR of tails, by both, and the share of test
facts that count as covered. Jobs are kept in ``--work``: the same command goes on where it stopped.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import tomli_w
from common import options_of, run

from kgraft.io.dataset_layout import layout_links
from kgraft.io.name_lists import read_names
from kgraft.io.read_collection import COLLECTION_FILE
from kgraft.settings import RetrainSettings
from kgraft_experiments.benchmark.cases import Case
from kgraft_experiments.benchmark.plan import BenchmarkOptions, prepare

BY = {"by": "both", "side": "tail", "filter": "all"}
"""The rows that are compared."""


def private_collection(
    directory: Path, names: Sequence[str], place: Path, *, target: str | None = None
) -> Path:
    """Write a collection of graphs of a DBP-5L layout, with relation names of their own.

    Facts, entities and links stay in their files.

    Raises:
        ValueError: If nothing links the graphs.
    """
    directory = directory.resolve()
    links = [x for x in layout_links(directory) if set(x[:2]) <= set(names)]
    if not links:
        raise ValueError(f"{directory} has no links between {' and '.join(names)}")
    relations = read_names(directory / "relations.txt").vocabulary.names
    place.mkdir(parents=True, exist_ok=True)
    for name in names:
        own = "".join(f"{name}:{relation}\n" for relation in relations)
        (place / f"{name}-relations.txt").write_text(own, encoding="utf-8")
    described: dict[str, Any] = {
        "name": f"{directory.name}-private",
        "source": [
            {
                "name": name,
                "train": str(directory / "kg" / f"{name}-train.tsv"),
                "valid": [str(x) for x in sorted((directory / "kg").glob(f"{name}-val*.tsv"))],
                "test": str(directory / "kg" / f"{name}-test.tsv"),
                "entities": str(directory / "entity" / f"{name}.tsv"),
                "relations": f"{name}-relations.txt",
                "header": False,
            }
            for name in names
        ],
        "links": [
            {"left": left, "right": right, "path": str(path), "ids": True}
            for left, right, path in links
        ],
    }
    if target is not None:
        described["target"] = target
    (place / COLLECTION_FILE).write_text(tomli_w.dumps(described), encoding="utf-8")
    return place


def measure(asked: Namespace) -> dict[str, Any]:
    """Train teachers and students with private names, and compare with shared ones."""
    shared = json.loads(asked.shared.read_text(encoding="utf-8"))["quality"]
    place = private_collection(asked.directory, asked.graphs, asked.work / "collection")
    options: BenchmarkOptions = {"seed": asked.seed, "threads": asked.threads}
    setup = prepare(
        place, {**options, "targets": asked.targets, "allow_outside": True}, default_seeds=1
    )
    cases = [
        Case(
            targets=(target,),
            system="student",
            settings=setup.settings.retrain,
            teacher=setup.teacher_of(target),
        )
        for target in setup.targets
    ]
    rows, shares = [], []
    for outcome in setup.run(cases, asked.work):
        target = outcome.case.target
        private = {x["facts"]: x for x in outcome.quality if _is_asked(x)}
        found = {
            name: _row(shared, target, name, asked.seed)["mrr"] for name in ("alone", "student")
        }
        own = private["all"]
        share = (own["mrr"] - found["alone"]) / (found["student"] - found["alone"])
        covered = _row(shared, target, "student", asked.seed, facts="covered")
        shares.append(share)
        rows.append(
            {
                "target": target,
                **BY,
                "alone": found["alone"],
                "shared_names": found["student"],
                "private_names": own["mrr"],
                "share": share,
                "covered": covered["queries"] / own["queries"],
                "covered_found": private["covered"]["queries"] / own["queries"],
            }
        )
    return {"private_names_share": mean(shares), "rows": rows}


def _is_asked(row: dict[str, Any]) -> bool:
    return all(row[name] == value for name, value in BY.items())


def _row(
    rows: Sequence[dict[str, Any]], target: str, system: str, seed: int, *, facts: str = "all"
) -> dict[str, Any]:
    """Return the row of a system of the default width."""
    asked = {"target": target, "system": system, "seed": seed, "facts": facts}
    asked["width"] = RetrainSettings().model.width
    found = [x for x in rows if _is_asked(x) and all(x[key] == asked[key] for key in asked)]
    if len(found) != 1:
        raise ValueError(f"--shared has {len(found)} rows, not one, of {asked}")
    return found[0]


def options() -> ArgumentParser:
    parser = options_of(
        __doc__,
        seed=0,
        shared=(Path("benchmarks/results/dbp5l/results.json"), "report with shared names"),
        graphs=(["el", "en", "es", "fr", "ja"], "graphs of the directory"),
        targets=(["el", "en", "es", "fr", "ja"], "those to re-train for"),
    )
    parser.add_argument("directory", type=Path, help="in the layout of DBP-5L")
    parser.add_argument("--work", type=Path, required=True, help="directory for what is kept")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    again = "The same command goes on from here."
    found = run(options(), measure, arguments, again=again)
    for row in found["rows"]:
        print(
            f"{row['target']}: {row['alone']:.3f} alone, {row['private_names']:.3f} with private "
            f"names, {row['shared_names']:.3f} with shared ones; covered {row['covered_found']:.1%}"
            f" of {row['covered']:.1%}"
        )
    print(f"share of the gain: {found['private_names_share']:.1%}")


if __name__ == "__main__":
    main()
