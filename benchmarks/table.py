"""Print a report as Markdown tables: of a benchmark, or of a script beside this one.

Usage: python benchmarks/table.py benchmarks/results/dbp5l/results.json

Several benchmarks of the same data, each with settings of its own, make one table.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import mean, median
from typing import Any

PARTS = ("all", "covered", "uncovered")
SYSTEMS = ("joint", "teacher", "student")
KINDS = ("encoder", "teacher", "width")
"""What models of one system may differ in; ``teacher`` is the encoder of a student's teacher."""


def quality_table(report: dict[str, Any]) -> str:
    """Return MRR in percent: a row for each system and part of the facts, a column a target.

    Where there are several seeds, a figure is their mean.
    """
    targets = report["settings"]["targets"]
    rows = [x for x in report["quality"] if x["side"] == "tail" and x["filter"] == "all"]
    lines = [
        f"| facts | system | {' | '.join(targets)} | mean |",
        "|---|---|" + "---:|" * (len(targets) + 1),
    ]
    for facts in PARTS:
        for system, of_system in by_system(rows).items():
            own = [x for x in of_system if x["facts"] == facts]
            figures = [mean_of([x["mrr"] for x in own if x["target"] == y]) for y in targets]
            row = " | ".join(map(percent, (*figures, mean_of(figures))))
            lines.append(f"| {facts} | {system} | {row} |")
    return "\n".join(lines)


def cost_table(report: dict[str, Any]) -> str:
    """Return the medians over targets and seeds of what each system costs."""
    head = ["system", "models", "training, seconds", "queries a second", "peak memory, MiB"]
    head += ["parameters", "facts"]
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    keys = ("train_seconds", "examples_per_second", "peak_rss_mib", "parameters", "triples")
    for system, costs in by_system(report["cost"]).items():
        known = ([x[key] for x in costs if x[key] is not None] for key in keys)
        figures = (f"{median(values):,.0f}" if values else "-" for values in known)
        lines.append(f"| {system} | {len(costs)} | {' | '.join(figures)} |")
    return "\n".join(lines)


def by_system(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each system, and of each kind of model where a system has several."""
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


def summary_table(report: dict[str, Any]) -> str:
    """Return an ablation or a sweep of links: means over targets, deviations over seeds."""
    shares = "shares" in report["settings"]
    head = ["variant", *(["links"] if shares else []), *PARTS]
    head += ["uncovered, minus none", "uncovered, minus all", "training, seconds"]
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    cells = {
        (row["variant"], row["share"], row["facts"]): row
        for row in report["summary"]
        if row["side"] == "tail"
    }
    for variant, share in dict.fromkeys(key[:2] for key in cells):
        last = cells[variant, share, "uncovered"]
        figures = [variant, *([f"{share:.0%}"] if shares else [])]
        figures += [with_spread(cells[variant, share, part], "mean", "sd") for part in PARTS]
        figures += [
            "-"
            if other == variant
            else with_spread(last, f"minus_{other}", f"minus_{other}_sd", sign="+")
            for other in ("none", "all")
        ]
        lines.append(f"| {' | '.join(figures)} | {last['train_seconds']:,.1f} |")
    return "\n".join(lines)


def background_table(report: dict[str, Any]) -> str:
    """Return what each system takes beside each background, medians over rounds."""
    head = ["background, facts", "system", "facts learned from", "training, seconds"]
    head += ["peak memory, MiB", "MRR"]
    lines = [f"| {' | '.join(head)} |", "|---:|---|" + "---:|" * (len(head) - 2)]
    for row in sorted(report["medians"], key=lambda row: SYSTEMS.index(row["system"])):
        memory = row["peak_rss_mib"]
        figures = [f"{row['background']:,}", row["system"], f"{row['triples']:,.0f}"]
        figures += [f"{row['train_seconds']:,.1f}", "-" if memory is None else f"{memory:,.0f}"]
        lines.append(f"| {' | '.join((*figures, percent(row['mrr'])))} |")
    return "\n".join(lines)


def scenarios_table(report: dict[str, Any]) -> str:
    """Return each scenario's students, and where the default one falls behind ``none``."""
    head = ["scenario", "student", *(f"tail, {part}" for part in PARTS), "both sides, all"]
    head += ["both sides, all, minus none", "costs"]
    lines = [f"| {' | '.join(head)} |", "|---|---|" + "---:|" * (len(head) - 3) + "---|"]
    for scenario in report["scenarios"]:
        cells = {(x["variant"], x["side"], x["facts"]): x for x in scenario["summary"]}
        for variant in dict.fromkeys(key[0] for key in cells):
            both = cells[variant, "both", "all"]
            figures = [scenario["scenario"], variant]
            figures += [with_spread(cells[variant, "tail", x], "mean", "sd") for x in PARTS]
            figures.append(with_spread(both, "mean", "sd"))
            other = variant != "none"
            figures.append(
                with_spread(both, "minus_none", "minus_none_sd", sign="+") if other else "-"
            )
            figures.append((", ".join(scenario["where"]) or "no") if variant == "all" else "")
            lines.append(f"| {' | '.join(figures)} |")
    return "\n".join(lines)


def walks_table(report: dict[str, Any]) -> str:
    """Return what a batch takes to make and to learn, and how far walks are ahead."""
    head = ["encoder", "steps", "queries a second", "to make a batch, ms", "to learn it, ms"]
    head += ["making, of an epoch", "walks ahead"]
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    for row in report["training"]:
        figures = [row["encoder"], str(row["steps"]), f"{row['queries_per_second']:,}"]
        figures += [f"{row[f'milliseconds_to_{what}']:.1f}" for what in ("make", "learn")]
        figures.append(f"{row['making']:.0%}")
        figures.append("-" if row["ahead"] is None else f"{row['ahead']:,.0f} times")
        lines.append(f"| {' | '.join(figures)} |")
    lines += [
        "",
        "| steps | walkers at once | paths a second | steps a second |",
        "|" + "---:|" * 4,
    ]
    for row in report["walks"]:
        keys = ("steps", "walkers", "paths_per_second", "steps_per_second")
        lines.append(f"| {' | '.join(f'{row[key]:,}' for key in keys)} |")
    return "\n".join(lines)


def mean_of(figures: list[float | None]) -> float | None:
    measured = [figure for figure in figures if figure is not None]
    return mean(measured) if measured else None


def percent(figure: float | None) -> str:
    return "-" if figure is None else f"{100 * figure:.1f}"


def with_spread(row: dict[str, Any], mean_key: str, sd_key: str, sign: str = "") -> str:
    if row[mean_key] is None:
        return "-"
    spread = "" if row[sd_key] is None else f" ± {100 * row[sd_key]:.1f}"
    return f"{100 * row[mean_key]:{sign}z.1f}{spread}"


def markdown(report: dict[str, Any]) -> str:
    """Return all tables of a report, whichever it is, with what one must know to read them."""
    settings, machine = report["settings"], report["machine"]
    where = (
        f"{settings['threads']} threads of an {machine['processor']} with {machine['cores']} cores"
    )
    if "summary" in report:
        targets, seeds = (", ".join(map(str, settings[key])) for key in ("targets", "seeds"))
        return (
            f"MRR of tails, in percent: mean over the targets {targets} and the seeds {seeds}, "
            "± standard deviation over seeds; teachers have one seed; differences are of the same "
            f"target and seed; {where}:\n\n{summary_table(report)}"
        )
    if "joint_growth" in report:
        return (
            f"Medians over rounds (epochs: {settings['epochs']}, width: {settings['width']}, "
            f"rounds: {settings['repeats']}; MRR of tails, in percent), {where}. The student's "
            f"longest training by its shortest: {report['student_flatness']:.2f}; joint training "
            f"beside the largest background by that beside the smallest: "
            f"{report['joint_growth']:.2f}.\n\n"
            f"{background_table(report)}"
        )
    if "scenarios" in report:
        return (
            f"MRR in percent, mean ± standard deviation over {len(settings['seeds'])} seeds; "
            f"differences are of the same seed; {where}:\n\n{scenarios_table(report)}"
        )
    if "walks" in report:
        return (
            f"On {settings['collection']}, {settings['facts']:,} facts, width {settings['width']}, "
            f"{settings['batch_size']} queries a batch, {where}:\n\n{walks_table(report)}"
        )
    return (
        f"MRR of tails, in percent:\n\n{quality_table(report)}\n\n"
        f"Medians over the models, {where}:\n\n{cost_table(report)}"
    )


def together(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one report with the rows of all; systems that several have run alike count once."""
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
