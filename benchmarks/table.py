"""Print a report as Markdown tables: of a benchmark, or of a script beside this one.

Usage: python benchmarks/table.py benchmarks/results/dbp5l/results.json

Several benchmarks of the same data, each with settings of its own, make one table.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from kgraft.reporting.page import percent
from kgraft_experiments.benchmark.summary import PARTS
from kgraft_experiments.benchmark.tables import (
    Table,
    cost_table,
    mean_and_std,
    measured_on,
    quality_table,
    summary_note,
    summary_table,
)

SYSTEMS = ("joint", "teacher", "student")


def background_table(report: dict[str, Any]) -> Table:
    """Return each system's cost beside each background, medians over rounds."""
    head = ["background, facts", "system", "facts learned from", "training, seconds"]
    head += ["peak memory, MiB", "MRR"]
    rows = []
    for row in sorted(report["medians"], key=lambda row: SYSTEMS.index(row["system"])):
        memory = row["peak_rss_mib"]
        figures = [f"{row['background']:,}", row["system"], f"{row['triples']:,.0f}"]
        figures += [f"{row['train_seconds']:,.1f}", "-" if memory is None else f"{memory:,.0f}"]
        rows.append([*figures, percent(row["mrr"])])
    return Table(head, rows, words=(1,))


def scenarios_table(report: dict[str, Any]) -> Table:
    """Return each scenario's students, and where distillation costs quality."""
    head = ["scenario", "student", *(f"tail, {part}" for part in PARTS), "both sides, all"]
    head += ["both sides, all, minus none", "costs"]
    rows = []
    for scenario in report["scenarios"]:
        cells = {(x["variant"], x["side"], x["facts"]): x for x in scenario["summary"]}
        for variant in dict.fromkeys(key[0] for key in cells):
            both = cells[variant, "both", "all"]
            figures = [scenario["scenario"], variant]
            figures += [mean_and_std(cells[variant, "tail", x], "mean", "sd") for x in PARTS]
            figures.append(mean_and_std(both, "mean", "sd"))
            other = variant != "none"
            figures.append(
                mean_and_std(both, "minus_none", "minus_none_sd", sign="+") if other else "-"
            )
            figures.append((", ".join(scenario["where"]) or "no") if variant == "all" else "")
            rows.append(figures)
    return Table(head, rows, words=(0, 1, len(head) - 1))


def walks_tables(report: dict[str, Any]) -> tuple[Table, Table]:
    """Return the time to make a batch and to learn it, and the speed of walks."""
    head = ["encoder", "steps", "queries a second", "to make a batch, ms", "to learn it, ms"]
    head += ["making, of an epoch", "walks ahead"]
    rows = []
    for row in report["training"]:
        figures = [row["encoder"], str(row["steps"]), f"{row['queries_per_second']:,}"]
        figures += [f"{row[f'milliseconds_to_{what}']:.1f}" for what in ("make", "learn")]
        figures.append(f"{row['making']:.0%}")
        figures.append("-" if row["ahead"] is None else f"{row['ahead']:,.0f} times")
        rows.append(figures)
    keys = ("steps", "walkers", "paths_per_second", "steps_per_second")
    walks = [[f"{row[key]:,}" for key in keys] for row in report["walks"]]
    names = ["steps", "walkers at once", "paths a second", "steps a second"]
    return Table(head, rows), Table(names, walks, words=())


def shown(table: Table) -> str:
    """Return a table as Markdown."""
    ruler = "".join("---|" if place in table.words else "---:|" for place in range(len(table.head)))
    lines = [f"| {' | '.join(row)} |" for row in (table.head, *table.rows)]
    return "\n".join((lines[0], f"|{ruler}", *lines[1:]))


def markdown(report: dict[str, Any]) -> str:
    """Return all tables of a report, with notes that explain them."""
    settings, where = report["settings"], measured_on(report)
    if "summary" in report:
        return f"{summary_note(report)}; {where}:\n\n{shown(summary_table(report))}"
    if "joint_growth" in report:
        return (
            f"Medians over rounds (epochs: {settings['epochs']}, width: {settings['width']}, "
            f"rounds: {settings['repeats']}; MRR of tails, in percent), {where}. The student's "
            f"longest training by its shortest: {report['student_flatness']:.2f}; joint training "
            f"beside the largest background by that beside the smallest: "
            f"{report['joint_growth']:.2f}.\n\n"
            f"{shown(background_table(report))}"
        )
    if "scenarios" in report:
        return (
            f"MRR in percent, mean ± standard deviation over {len(settings['seeds'])} seeds; "
            f"differences are of the same seed; {where}:\n\n{shown(scenarios_table(report))}"
        )
    if "walks" in report:
        return (
            f"On {settings['collection']}, {settings['facts']:,} facts, width {settings['width']}, "
            f"{settings['batch_size']} queries a batch, {where}:\n\n"
            + "\n\n".join(map(shown, walks_tables(report)))
        )
    return (
        f"MRR of tails, in percent:\n\n{shown(quality_table(report))}\n\n"
        f"Medians over the models, {where}:\n\n{shown(cost_table(report))}"
    )


def together(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one report with the rows of all, equal rows once."""
    [first, *others] = reports
    for other in others:
        for rows in ("quality", "cost"):
            first[rows] += [row for row in other[rows] if row not in first[rows]]
    return first


def main() -> None:
    reports = [json.loads(Path(path).read_text(encoding="utf-8")) for path in sys.argv[1:]]
    print(markdown(together(reports)))


if __name__ == "__main__":
    main()
