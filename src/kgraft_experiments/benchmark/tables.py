"""A benchmark's report as tables of text, for Markdown, pages and the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

from kgraft.model.evidence import WAYS, By
from kgraft.reporting.page import percent
from kgraft_experiments.benchmark.summary import PARTS

KINDS = ("encoder", "teacher", "width")
"""Columns in which models of one system differ; ``teacher`` is the encoder of the teacher."""


@dataclass(frozen=True)
class Table:
    """A table of text.

    Args:
        head: Names of the columns.
        rows: Cells.
        words: Columns of words, which are aligned to the left.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Sequence[int] = (0,)


def quality_table(report: Mapping[str, Any]) -> Table:
    """Return MRR of tails in percent, means over seeds, by part, system and way, and by target."""
    targets = report["settings"]["targets"]
    rows = []
    for facts in PARTS:
        for (system, by), figures in quality_by_system(report, facts).items():
            of_targets = [figures[target] for target in targets]
            rows.append([facts, system, by, *map(percent, (*of_targets, mean_of(of_targets)))])
    return Table(["facts", "system", "by", *targets, "mean"], rows, words=(0, 1, 2))


def quality_by_system(
    report: Mapping[str, Any], facts: str
) -> dict[tuple[str, By], dict[str, float | None]]:
    """Return MRR of tails on each target, over one part of the facts, by system and its ``by``."""
    rows = [x for x in report["quality"] if x["side"] == "tail" and x["filter"] == "all"]
    return {
        (system, by): {
            target: mean_of([x["mrr"] for x in own if (x["facts"], x["target"]) == (facts, target)])
            for target in report["settings"]["targets"]
        }
        for system, of_system in by_system(rows).items()
        for by in WAYS
        if (own := [x for x in of_system if x["by"] == by])
    }


def cost_table(report: Mapping[str, Any]) -> Table:
    """Return each system's figures of cost, medians over targets and seeds."""
    head = ["system", "models", "training, seconds", "queries a second", "peak memory, MiB"]
    keys = ("train_seconds", "examples_per_second", "peak_rss_mib", "parameters", "triples")
    rows = []
    for system, costs in by_system(report["cost"]).items():
        known = ([x[key] for x in costs if x[key] is not None] for key in keys)
        figures = (f"{median(values):,.0f}" if values else "-" for values in known)
        rows.append([system, str(len(costs)), *figures])
    return Table([*head, "parameters", "facts"], rows)


def by_system(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each system, and of each kind of model where it has several."""
    kinds: dict[str, dict[str, set[Any]]] = {}
    for row in rows:
        of_system = kinds.setdefault(row["system"], {key: set() for key in KINDS})
        for key in KINDS:
            of_system[key].add(row.get(key))
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        several = [key for key in KINDS if len(kinds[row["system"]][key]) > 1]
        name = ", ".join((row["system"], *(f"{key} {row[key]}" for key in several)))
        found.setdefault(name, []).append(row)
    return found


def summary_table(report: Mapping[str, Any]) -> Table:
    """Return an ablation or a sweep of links: means and standard deviations."""
    shares = "shares" in report["settings"]
    head = ["variant", *(["links"] if shares else []), *PARTS]
    head += ["uncovered, minus none", "uncovered, minus all", "training, seconds"]
    cells = {
        (row["variant"], row["share"], row["facts"]): row
        for row in report["summary"]
        if row["side"] == "tail"
    }
    rows = []
    for variant, share in dict.fromkeys(key[:2] for key in cells):
        last = cells[variant, share, "uncovered"]
        figures = [variant, *([f"{share:.0%}"] if shares else [])]
        figures += [mean_and_std(cells[variant, share, part], "mean", "sd") for part in PARTS]
        figures += [
            "-"
            if other == variant
            else mean_and_std(last, f"minus_{other}", f"minus_{other}_sd", sign="+")
            for other in ("none", "all")
        ]
        rows.append([*figures, f"{last['train_seconds']:,.1f}"])
    return Table(head, rows)


def mean_of(figures: Sequence[float | None]) -> float | None:
    """Return the mean of the figures that are not ``None``."""
    measured = [figure for figure in figures if figure is not None]
    return mean(measured) if measured else None


def mean_and_std(row: Mapping[str, Any], mean_key: str, sd_key: str, sign: str = "") -> str:
    """Return a mean in percent, with its standard deviation where there is one."""
    if row[mean_key] is None:
        return "-"
    std = "" if row[sd_key] is None else f" ± {100 * row[sd_key]:.1f}"
    return f"{100 * row[mean_key]:{sign}z.1f}{std}"


def measured_on(report: Mapping[str, Any]) -> str:
    """Return the machine of a report's figures in words."""
    threads, machine = report["settings"]["threads"], report["machine"]
    of = "thread" if threads == 1 else "threads"
    cpu = f"{threads} {of} of an {machine['processor']} with {machine['cores']} cores"
    return f"an {machine['gpu']} beside {cpu}" if "gpu" in machine else cpu


def summary_note(report: Mapping[str, Any]) -> str:
    """Return the note that explains ``summary_table``."""
    settings = report["settings"]
    targets, seeds = (", ".join(map(str, settings[key])) for key in ("targets", "seeds"))
    return (
        f"MRR of tails, in percent: mean over the targets {targets} and the seeds {seeds}, "
        "± standard deviation over seeds; teachers have one seed; differences are of the same "
        "target and seed"
    )
