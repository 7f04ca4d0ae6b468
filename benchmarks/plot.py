"""Draw a report: ablation.json, links.json, background.json or never_costs.json.

Usage: python benchmarks/plot.py benchmarks/results/dbp5l/ablation.json ablation.svg

Needs matplotlib.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PARTS = ("covered", "uncovered")

# Okabe and Ito's colours, which people with any colour vision can tell apart; markers differ too.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#555555"
MARKS = {"joint": (ORANGE, "s"), "all": (BLUE, "o"), "none": (GREEN, "^")}
NAMES = {"joint": "joint training", "all": "student", "none": "student without distillation"}
SYSTEMS = {"joint": MARKS["joint"], "teacher": (GREY, "D"), "student": MARKS["all"]}
SIDES = {"tail": "tails", "both": "both sides"}

STYLE = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "svg.hashsalt": "kgraft",  # the same figures give the same file
}


def draw(report: dict[str, Any]) -> Figure:
    """Return the drawing of a report, whichever it is."""
    with rc_context(STYLE):
        if "joint_growth" in report:
            return draw_background(report)
        if "scenarios" in report:
            return draw_scenarios(report)
        return draw_links(report) if "shares" in report["settings"] else draw_ablation(report)


def draw_ablation(report: dict[str, Any]) -> Figure:
    """Draw each variant as a dot, its deviation over seeds as a bar, and lines at all and none."""
    variants = report["settings"]["variants"]
    figure = Figure(figsize=(10, 1.9 + 0.36 * len(variants)), layout="constrained")
    for axes, part in zip(figure.subplots(1, 2, sharey=True), PARTS, strict=True):
        cells = {row["variant"]: row for row in tails(report, part)}
        for name, dashes in (("all", "--"), ("none", ":")):
            if cells[name]["mean"] is not None:
                axes.axvline(
                    100 * cells[name]["mean"], color=MARKS[name][0], linestyle=dashes, label=name
                )
        for place, variant in enumerate(variants):
            if cells[variant]["mean"] is not None:
                color, marker = MARKS.get(variant, (GREY, "D"))
                axes.errorbar(
                    100 * cells[variant]["mean"],
                    place,
                    xerr=100 * (cells[variant]["sd"] or 0),
                    color=color,
                    marker=marker,
                    markersize=7,
                    capsize=4,
                )
        label(axes, part, "x")
    first = figure.axes[0]
    first.set_yticks(range(len(variants)), variants)
    first.set_ylim(len(variants) - 0.5, -0.5)
    handles, names = first.get_legend_handles_labels()
    if handles:
        figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
    title(figure, report, "What each part of a student is worth")
    return figure


def draw_links(report: dict[str, Any]) -> Figure:
    """Draw each system as a line over the shares of links, its deviation over seeds as a band."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    for axes, part in zip(figure.subplots(1, 2), PARTS, strict=True):
        for variant, (color, marker) in MARKS.items():
            rows = sorted(
                (x for x in tails(report, part) if x["variant"] == variant and x["mean"]),
                key=lambda row: row["share"],
            )
            shares = [100 * row["share"] for row in rows]
            means = [100 * row["mean"] for row in rows]
            spreads = [100 * (row["sd"] or 0) for row in rows]
            low, high = (
                [m + sign * s for m, s in zip(means, spreads, strict=True)] for sign in (-1, 1)
            )
            axes.fill_between(shares, low, high, color=color, alpha=0.2, linewidth=0)
            axes.plot(shares, means, color=color, marker=marker, label=NAMES[variant])
        axes.set_xticks([100 * share for share in sorted(report["settings"]["shares"])])
        axes.set_xlabel("links of the target that are kept, in percent")
        label(axes, part, "y")
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    title(figure, report, "What links are worth")
    return figure


def draw_background(report: dict[str, Any]) -> Figure:
    """Draw each system's seconds and memory over the facts of the background."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    drawn = {"train_seconds": "training, seconds", "peak_rss_mib": "peak memory, MiB"}
    for axes, (key, name) in zip(figure.subplots(1, 2), drawn.items(), strict=True):
        for system, (color, marker) in SYSTEMS.items():
            rows = sorted(
                (x for x in report["medians"] if x["system"] == system and x[key] is not None),
                key=lambda row: row["background"],
            )
            facts = [row["background"] for row in rows]
            axes.plot(facts, [x[key] for x in rows], color=color, marker=marker, label=system)
        axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
        axes.set_xticks(
            report["settings"]["backgrounds"],
            [f"{facts / 1000:g}" for facts in report["settings"]["backgrounds"]],
        )
        axes.set(xlabel="facts of the background, in thousands", ylabel=name)
        axes.grid(axis="y", color="#dddddd")
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    settings = report["settings"]
    figure.suptitle(
        f"One target beside a growing background: medians of {settings['repeats']} rounds, "
        f"epochs: {settings['epochs']}, width: {settings['width']}",
        fontsize=12,
    )
    return figure


def draw_scenarios(report: dict[str, Any]) -> Figure:
    """Draw how far the default student is from the one without distillation, by scenario."""
    scenarios = report["scenarios"]
    figure = Figure(figsize=(10, 1.9 + 0.5 * len(scenarios)), layout="constrained")
    for axes, (side, name) in zip(figure.subplots(1, 2, sharey=True), SIDES.items(), strict=True):
        axes.axvline(0, color=GREY, linestyle=":")
        for shift, part, style in ((-0.15, "all", MARKS["all"]), (0.15, "uncovered", (GREEN, "^"))):
            cells = [
                (place + shift, cell)
                for place, scenario in enumerate(scenarios)
                for cell in scenario["summary"]
                if (cell["variant"], cell["side"], cell["facts"]) == ("all", side, part)
                and cell["minus_none"] is not None
            ]
            axes.errorbar(
                [100 * cell["minus_none"] for _, cell in cells],
                [place for place, _ in cells],
                xerr=[100 * (cell["minus_none_sd"] or 0) for _, cell in cells],
                color=style[0],
                marker=style[1],
                linestyle="none",
                capsize=4,
                label=f"{part} facts",
            )
        axes.set_title(name, fontsize=11)
        axes.set_xlabel("MRR minus that without distillation, in points")
        axes.grid(axis="x", color="#dddddd")
    first = figure.axes[0]
    first.set_yticks(range(len(scenarios)), [x["scenario"] for x in scenarios])
    first.set_ylim(len(scenarios) - 0.5, -0.5)
    handles, names = first.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(
        "What distillation is worth where it is hard: mean and standard deviation over "
        f"{len(report['settings']['seeds'])} seeds",
        fontsize=12,
    )
    return figure


def tails(report: dict[str, Any], part: str) -> list[dict[str, Any]]:
    return [row for row in report["summary"] if (row["side"], row["facts"]) == ("tail", part)]


def label(axes: Axes, part: str, direction: str) -> None:
    axes.set_title(f"{part} facts", fontsize=11)
    axes.set(**{f"{direction}label": "MRR of tails, in percent"})
    axes.grid(axis=direction, color="#dddddd")


def title(figure: Figure, report: dict[str, Any], text: str) -> None:
    settings, seeds = report["settings"], len(report["settings"]["seeds"])
    spread = f"standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    figure.suptitle(
        f"{text}: {settings['collection']}, mean over {', '.join(settings['targets'])}, {spread}",
        fontsize=12,
    )


def main() -> None:
    source, place = sys.argv[1:]
    report = json.loads(Path(source).read_text(encoding="utf-8"))
    with rc_context(STYLE):
        draw(report).savefig(place, metadata={"Date": None} if place.endswith(".svg") else None)


if __name__ == "__main__":
    main()
