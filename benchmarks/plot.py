"""Draw a report: of ``kgraft benchmark``, or of background, never_costs, scaling or soak in here.

Usage: python benchmarks/plot.py benchmarks/results/dbp5l/ablation.json ablation.svg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from kgraft.reporting.figures import (
    Figure,
    Panel,
    Scale,
    categories,
    curve,
    dots,
    guide,
    linear,
    logarithmic,
)
from kgraft.system.outputs import write_atomically
from kgraft_experiments.benchmark.figures import (
    OTHER,
    STYLES,
    ablation_figure,
    comparison_figure,
    draw_mean_and_std,
    links_figure,
)

SYSTEMS = {"joint": STYLES["joint"], "teacher": OTHER, "student": STYLES["all"]}
SIDES = {"tail": "tails", "both": "both sides"}


def draw(report: dict[str, Any]) -> Figure:
    """Return the figure of a report."""
    if "joint_growth" in report:
        return draw_background(report)
    if "scaling" in report:
        return draw_scaling(report)
    if "soak" in report:
        return draw_soak(report)
    if "scenarios" in report:
        return draw_scenarios(report)
    if "quality" in report:
        return comparison_figure(report)
    return links_figure(report) if "shares" in report["settings"] else ablation_figure(report)


def draw_background(report: dict[str, Any]) -> Figure:
    """Draw each system's seconds and memory over the facts of the background."""
    sizes = sorted(report["settings"]["backgrounds"])
    ticks = tuple((float(size), f"{size / 1000:g}") for size in sizes)
    x_axis = Scale(sizes[0], max(sizes[-1], sizes[0] + 1), ticks)
    drawings = []
    for key, name in (("train_seconds", "Training, seconds"), ("peak_rss_mib", "Peak memory, MiB")):
        rows = [row for row in report["medians"] if row[key] is not None]
        y_axis = linear([0.0, *(row[key] for row in rows)])
        panel = Panel(name, x_axis, y_axis, "facts of the background, thousands")
        marks = []
        for system, style in SYSTEMS.items():
            own = sorted((row["background"], row[key]) for row in rows if row["system"] == system)
            marks += [curve(panel, own, style), dots(panel, own, style)]
        drawings.append(panel.draw(marks))
    return Figure(drawings, SYSTEMS)


def draw_scaling(report: dict[str, Any]) -> Figure:
    """Draw the time of an epoch and the memory over multiples of each size."""
    rows, settings = report["scaling"], report["settings"]
    sizes = {name: style for style, name in enumerate(dict.fromkeys(x["size"] for x in rows))}
    times = sorted(settings["times"])
    ticks = tuple((x, f"×{x:g}") for x in times)
    x_axis = Scale(times[0], max(times[-1], 2 * times[0]), ticks, logarithmic=True)
    drawings = []
    for key, name in (("seconds_per_epoch", "An epoch, seconds"), ("peak_rss_gib", "Memory, GiB")):
        panel = Panel(name, x_axis, logarithmic(row[key] for row in rows), "times as much")
        marks = []
        for size, style in sizes.items():
            own = [(row["times"], row[key]) for row in rows if row["size"] == size]
            marks += [curve(panel, own, style), dots(panel, own, style)]
        drawings.append(panel.draw(marks))
    return Figure(drawings, {f"{name}, {settings[name]:,}": x for name, x in sizes.items()})


def draw_soak(report: dict[str, Any]) -> Figure:
    """Draw each server's memory and the time of answers over the minutes; replacements dashed."""
    rows = report["soak"]
    minutes = linear([0.0, *(row["minutes"] for row in rows)])
    servers = dict(zip(report["servers"], STYLES.values(), strict=False))
    times = {"p50_ms": OTHER, "p99_ms": STYLES["none"]}
    memory = Panel("Resident memory, MiB", minutes, linear(_soaked(rows, servers)), "minutes")
    points = [row[name] for row in rows for name in times if row[name]]
    answers = Panel("Time of an answer, ms", minutes, logarithmic(points), "minutes")
    drawings = []
    for panel in (memory, answers):
        ends = panel.y.low, panel.y.high
        marks = [guide(panel, *((x / 60, y) for y in ends)) for x in report["replaced_at"]]
        for name, style in (servers if panel is memory else times).items():
            own = [
                (row["minutes"], row[name]["resident_mib"] if name in servers else row[name])
                for row in rows
                if row.get(name)
            ]
            marks.append(curve(panel, own, style))
        drawings.append(panel.draw(marks))
    shown = {"p50_ms": "p50 of answers", "p99_ms": "p99 of answers"}
    legend = {f"kgraft {name}": style for name, style in servers.items()}
    return Figure(drawings, legend | {shown[name]: style for name, style in times.items()})


def _soaked(rows: list[dict[str, Any]], servers: dict[str, int]) -> list[float]:
    """Return the memory of servers, from zero."""
    return [0.0, *(row[name]["resident_mib"] for row in rows for name in servers if name in row)]


def draw_scenarios(report: dict[str, Any]) -> Figure:
    """Draw the default student's MRR minus that without distillation, by scenario."""
    scenarios = report["scenarios"]
    names = categories([x["scenario"] for x in scenarios], downwards=True)
    parts = {"all": (-0.15, STYLES["all"]), "uncovered": (0.15, STYLES["none"])}
    drawings = []
    for side, side_name in SIDES.items():
        cells = [
            (part, place + parts[part][0], cell)
            for place, scenario in enumerate(scenarios)
            for part in parts
            for cell in scenario["summary"]
            if (cell["variant"], cell["side"], cell["facts"]) == ("all", side, part)
            and cell["minus_none"] is not None
        ]
        ends = [
            100 * (cell["minus_none"] + sign * (cell["minus_none_sd"] or 0))
            for _, _, cell in cells
            for sign in (-1, 1)
        ]
        title = f"MRR minus that without distillation, {side_name}"
        panel = Panel(title, linear([0.0, *ends]), names, "points", 90 + 30 * len(scenarios))
        marks = [guide(panel, (0, names.low), (0, names.high))]
        for part, place, cell in cells:
            style = parts[part][1]
            marks += draw_mean_and_std(panel, cell, "minus_none", "minus_none_sd", place, style)
        drawings.append(panel.draw(marks))
    return Figure(drawings, {f"{part} facts": style for part, (_, style) in parts.items()})


def main() -> None:
    source, place = sys.argv[1:]
    report = json.loads(Path(source).read_text(encoding="utf-8"))
    with write_atomically(Path(place)) as temporary:
        temporary.write_text(draw(report).file(), encoding="utf-8")


if __name__ == "__main__":
    main()
