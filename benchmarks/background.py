"""Measure the cost of a growing background: one target beside 1, 2, 4 and 8 times the facts.

Usage: python benchmarks/background.py --out benchmarks/results/background.json

The collections are synthetic; target, links and the facts among the target's entities are the same
in all of them. Each model trains a fixed number of epochs in a process of its own, and is validated
once, at the end, so that seconds are those of equal work; MRR shows that models learn, not how good
they can become. A student's seconds include loading the teacher, cutting the linked subgraph and
mining rules. The sizes take turns, ``--repeats`` times; figures are medians.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from common import options_of, run

import kgraft
from kgraft_experiments.benchmark.run import benchmark
from kgraft_experiments.benchmark.settings import BenchmarkSettings, System, changed
from kgraft_experiments.synthesis.settings import SynthSettings
from kgraft_experiments.synthesis.synthesize import synthesize
from kgraft_experiments.synthesis.write_synthetic import write_synthetic

SYSTEMS: tuple[System, ...] = ("joint", "teacher", "student")
MEASURED = ("train_seconds", "triples", "peak_rss_mib", "mrr")


def fixed(epochs: int, width: int) -> BenchmarkSettings:
    """Return settings by which every system trains all its epochs."""
    changes = {"model": {"width": width}, "training": {"epochs": epochs, "validate_every": epochs}}
    return BenchmarkSettings(
        **{name: changed(part, **changes) for name, part in BenchmarkSettings()}
    )


def rounds(
    collections: dict[int, Path],
    out: Path,
    settings: BenchmarkSettings,
    *,
    repeats: int,
    threads: int,
) -> list[dict[str, Any]]:
    """Measure all sizes in turns and return a row for each round, size and system.

    Args:
        collections: Directory of each collection, by its background's facts.
        out: Directory for models and jobs, one for each round.
        settings: Settings of each system.
        repeats: Number of rounds.
        threads: Threads of the matrix products.
    """
    rows = []
    for number in range(1, repeats + 1):
        for facts, collection in collections.items():
            report = benchmark(
                collection,
                out / f"{number}-{facts}",
                systems=SYSTEMS,
                settings=settings,
                threads=threads,
            )
            mrr = {
                row["system"]: row["mrr"]
                for row in report["quality"]
                if (row["by"], row["side"], row["filter"], row["facts"])
                == ("vectors", "tail", "all", "all")
            }
            for cost in report["cost"]:
                measured = {**cost, "mrr": mrr[cost["system"]]}
                about = {"round": number, "background": facts, "system": cost["system"]}
                rows.append({**about, **{key: measured[key] for key in MEASURED}})
    return rows


def medians(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each size and system: medians over rounds, or ``None`` without figures."""
    found = []
    for background, system in dict.fromkeys((x["background"], x["system"]) for x in rows):
        own = [x for x in rows if (x["background"], x["system"]) == (background, system)]
        known = {key: [x[key] for x in own if x[key] is not None] for key in MEASURED}
        figures = {key: median(values) if values else None for key, values in known.items()}
        found.append({"background": background, "system": system, **figures})
    return found


def ratios(summary: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return the growth of seconds with the background.

    ``student_flatness`` is the largest of the student's medians by the smallest; ``joint_growth``
    and ``teacher_growth`` are the median at the largest background by that at the smallest.
    """
    seconds = {
        system: [
            row["train_seconds"]
            for row in sorted(summary, key=lambda row: row["background"])
            if row["system"] == system
        ]
        for system in SYSTEMS
    }
    return {
        "student_flatness": round(max(seconds["student"]) / min(seconds["student"]), 3),
        "joint_growth": round(seconds["joint"][-1] / seconds["joint"][0], 3),
        "teacher_growth": round(seconds["teacher"][-1] / seconds["teacher"][0], 3),
    }


def measure(asked: Namespace) -> dict[str, Any]:
    """Draw the collections, measure, and return the report."""
    settings, collections = fixed(asked.epochs, asked.width), {}
    with TemporaryDirectory() as name:
        work = Path(name)
        for times in asked.times:
            synth = synth_settings(asked, times)
            facts = synth.background.sources * synth.background.facts
            collections[facts] = work / f"collection-{facts}"
            write_synthetic(synthesize(synth), collections[facts])
        rows = rounds(
            collections, work / "out", settings, repeats=asked.repeats, threads=asked.threads
        )
    summary = medians(rows)
    return {
        "settings": {
            "backgrounds": list(collections),
            "synth": synth_settings(asked, 1).model_dump(mode="json"),
            **settings.model_dump(mode="json", exclude={"plain", "alone"}),
        },
        **ratios(summary),
        "medians": summary,
        "rows": rows,
    }


def synth_settings(asked: Namespace, times: int) -> SynthSettings:
    """Return the settings of a collection with so many times the background."""
    return kgraft.read_settings(
        SynthSettings,
        changes={
            "target.entities": asked.target_entities,
            "target.facts": asked.target_facts,
            "background.facts": times * asked.background // SynthSettings().background.sources,
        },
    )


def options() -> ArgumentParser:
    return options_of(
        __doc__,
        target_entities=2_000,
        target_facts=10_000,
        background=(30_000, "facts of the smallest background"),
        times=[1, 2, 4, 8],
        repeats=(3, "rounds"),
        epochs=(2, "of every model"),
        width=(64, "of every model"),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    report = run(options(), measure, arguments)
    print(f"student_flatness {report['student_flatness']}, joint_growth {report['joint_growth']}")


if __name__ == "__main__":
    main()
