"""Compare the default student with one without distillation where a teacher is of little use.

Usage: python benchmarks/never_costs.py --out benchmarks/results/never_costs.json --work DIR
       python benchmarks/never_costs.py ... --dbp5l DIR --target el --background ja

Scenarios are synthetic collections with relations that the teacher does not know, few links, wrong
links, or none. A seed makes the collection, one teacher, and all students. Validation facts choose
epochs. Facts of private vocabularies are covered as far as corresponding relations are found.
``--dbp5l`` adds real data: two graphs of a directory in the DBP-5L layout,
with relation names of their own.

Jobs are kept in ``--work``: the same command goes on where it stopped.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common import options_of, run
from private_names import private_collection

from kgraft.cli.console import chosen_settings
from kgraft.settings import RetrainSettings
from kgraft.toml_settings import read_settings
from kgraft.training.checkpoint import Fingerprint
from kgraft_experiments.benchmark.cases import Case
from kgraft_experiments.benchmark.plan import BenchmarkOptions, prepare
from kgraft_experiments.benchmark.run import outcome_row
from kgraft_experiments.benchmark.settings import BenchmarkSettings, changed, student_variants
from kgraft_experiments.benchmark.summary import summarise
from kgraft_experiments.synthesis.settings import SynthSettings
from kgraft_experiments.synthesis.synthesize import synthesize
from kgraft_experiments.synthesis.write_synthetic import write_synthetic

ALL_LINKS: Mapping[str, Any] = {"links.linked": 1.0}
PRIVATE: Mapping[str, Any] = {"background.vocabulary": "private"}
FEW: Mapping[str, Any] = {"links.linked": 0.2}

SCENARIOS: Mapping[str, Mapping[str, Any]] = {
    "shared": ALL_LINKS,
    "private": {**ALL_LINKS, **PRIVATE},
    "few links": FEW,
    "doubtful links": {**ALL_LINKS, "links.wrong": 0.2},
    "private, few links": {**FEW, **PRIVATE},
    "no links": {"links.linked": 0.0},
}
"""Changes of each scenario to the collection's settings; ``shared`` is the control."""

SIZES = ("target.entities=2000", "target.facts=10000", "background.facts=15000")


def variants(settings: RetrainSettings) -> dict[str, RetrainSettings]:
    """Return the settings of the compared students; ``all`` are the given ones."""
    none = student_variants(settings, budget=0)["none"]
    return {
        "all": settings,
        "none": none,
        "none, no rules": changed(none, rules={"pseudo_fact_rate": 0.0}),
    }


def students(
    scenario: str,
    collection: Path,
    out: Path,
    settings: BenchmarkSettings,
    *,
    seed: int,
    threads: int,
) -> list[dict[str, Any]]:
    """Train the students of one scenario and seed, and return a row for each."""
    options: BenchmarkOptions = {"seed": seed, "settings": settings, "threads": threads}
    setup = prepare(collection, {**options, "allow_outside": True}, default_seeds=1)
    [target] = setup.targets
    cases = [
        Case(
            targets=(target,),
            system="student",
            settings=chosen,
            variant=variant,
            teacher=setup.teacher_of(target),
        )
        for variant, chosen in variants(setup.settings.retrain).items()
    ]
    costs = ("best_epoch", "validation_mrr")
    return [
        {"scenario": scenario, **outcome_row(x), **{key: x.cost[key] for key in costs}}
        for x in setup.run(cases, out)
    ]


def judged(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each scenario's summary over seeds, and where distillation costs quality.

    It does where the mean difference from the student without distillation, paired by seed, lies
    below minus its standard deviation, on any side and part of the facts. Without a true difference
    one cell in nine does so by chance with three seeds.
    """
    scenarios = []
    for scenario in dict.fromkeys(row["scenario"] for row in rows):
        summary = summarise([row for row in rows if row["scenario"] == scenario])
        where = [
            f"{cell['side']} {cell['facts']}"
            for cell in summary
            if cell["variant"] == "all" and is_below(cell["minus_none"], cell["minus_none_sd"])
        ]
        verdict = {"scenario": scenario, "costs": bool(where), "where": where}
        scenarios.append({**verdict, "summary": summary})
    return scenarios


def is_below(difference: float | None, deviation: float | None) -> bool:
    """Return whether a difference lies below minus its deviation; an unknown one does not."""
    return difference is not None and deviation is not None and difference < -deviation


def collections(asked: Namespace) -> Iterator[tuple[str, int, Path]]:
    """Yield each scenario, seed and directory of the collection, which is made where missing."""
    for scenario in asked.scenarios:
        for seed in range(asked.seeds):
            settings = synth_settings(asked, scenario, seed)
            place = (
                asked.work / "collections" / str(Fingerprint().add(settings.model_dump_json()))[:12]
            )
            if not place.exists():
                write_synthetic(synthesize(settings), place)
            yield scenario, seed, place
    if asked.dbp5l is not None:
        pair = f"{asked.target}-{asked.background}"
        place = private_collection(
            asked.dbp5l,
            [asked.target, asked.background],
            asked.work / "collections" / pair,
            target=asked.target,
        )
        for seed in range(asked.seeds):
            yield f"private, {asked.target} beside {asked.background}", seed, place


def synth_settings(asked: Namespace, scenario: str, seed: int) -> SynthSettings:
    """Return the settings of a scenario's collection."""
    base = chosen_settings(SynthSettings, None, [*SIZES, *asked.synth]).model_dump()
    changes = {
        f"{part}.{name}": value for part, values in base.items() for name, value in values.items()
    }
    return read_settings(
        SynthSettings, changes={**changes, **SCENARIOS[scenario], "world.seed": seed}
    )


def measure(asked: Namespace) -> dict[str, Any]:
    """Train all students and return the report."""
    if asked.seeds < 2:
        raise ValueError("a standard deviation takes at least two seeds; raise --seeds")
    settings = read_settings(BenchmarkSettings, asked.settings)
    rows = [
        row
        for scenario, seed, place in collections(asked)
        for row in students(scenario, place, asked.work, settings, seed=seed, threads=asked.threads)
    ]
    base = synth_settings(asked, "shared", 0)
    return {
        "settings": {
            "seeds": list(range(asked.seeds)),
            "changes": {name: dict(SCENARIOS[name]) for name in asked.scenarios},
            "synth": base.model_dump(mode="json"),
            **settings.model_dump(mode="json", include={"pretrain", "retrain"}),
        },
        "scenarios": judged(rows),
        "rows": rows,
    }


def options() -> ArgumentParser:
    parser = options_of(
        __doc__,
        seeds=(3, "how many, from 0 on"),
        settings=(Path, "TOML with tables pretrain and retrain"),
        dbp5l=(Path, "directory in the DBP-5L layout"),
        target=("el", "its graph to be the target"),
        background=("ja", "its graph to be the background"),
    )
    parser.add_argument("--work", type=Path, required=True, help="directory for what is kept")
    parser.add_argument("--scenarios", nargs="*", choices=SCENARIOS, default=list(SCENARIOS))
    text = f"PART.NAME=VALUE, for all collections; by default {', '.join(SIZES)}"
    parser.add_argument("--synth", action="append", default=[], help=text)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    again = "The same command goes on from here."
    for scenario in run(options(), measure, arguments, again=again)["scenarios"]:
        verdict = f"costs: {', '.join(scenario['where'])}" if scenario["costs"] else "no cost"
        print(f"{scenario['scenario']}: {verdict}")


if __name__ == "__main__":
    main()
