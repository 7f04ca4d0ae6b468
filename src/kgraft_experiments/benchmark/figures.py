"""Figures of a benchmark's report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from markupsafe import Markup

from kgraft.reporting.figures import (
    SHAPES,
    Figure,
    Panel,
    Scale,
    categories,
    curve,
    dots,
    guide,
    linear,
    logarithmic,
    span,
)
from kgraft_experiments.benchmark.summary import PARTS
from kgraft_experiments.benchmark.tables import by_system, mean_of, quality_by_system

MRR = "MRR of tails, percent"

STYLES = {"all": 0, "joint": 1, "none": 2}
"""Styles of the variants that others are compared with."""

OTHER = 3
NAMES = {"all": "student", "joint": "joint training", "none": "student without distillation"}


def comparison_figure(report: Mapping[str, Any]) -> Figure:
    """Draw each system's MRR on each part of the facts: targets, and their mean."""
    drawings = []
    for part in PARTS:
        found = quality_by_system(report, part)
        ways = Counter(system for system, _ in found)
        systems = {
            f"{system}, by {by}" if ways[system] > 1 else system: of
            for (system, by), of in found.items()
        }
        means = {name: mean_of(list(of.values())) for name, of in systems.items()}
        figures = [100 * x for of in systems.values() for x in of.values() if x is not None]
        panel = _of_categories(f"{part.capitalize()} facts", list(systems), figures)
        targets = [
            (100 * x, float(place))
            for place, of in enumerate(systems.values())
            for x in of.values()
            if x is not None and len(of) > 1
        ]
        middles = [(100 * x, float(y)) for y, x in enumerate(means.values()) if x is not None]
        description = "; ".join(
            f"{name} {100 * x:.1f}" for name, x in means.items() if x is not None
        )
        marks = [dots(panel, targets, OTHER, size=2.5), dots(panel, middles, 0, size=5)]
        drawings.append(panel.draw(marks, description))
    several = len(report["settings"]["targets"]) > 1
    legend = {"mean over targets": 0, "a target": OTHER} if several else {}
    return Figure(drawings, legend)


def cost_figure(report: Mapping[str, Any]) -> Figure:
    """Draw each system's MRR over its seconds of training; systems without MRR are left out.

    Systems with rules answer by both.
    """
    # The last way of a system is by both, where it has rules.
    quality = {system: of for (system, _), of in quality_by_system(report, "all").items()}
    places = []
    for system, costs in by_system(report["cost"]).items():
        mrr = mean_of(list(quality.get(system, {}).values()))
        if mrr is not None:
            places.append((system, (median(x["train_seconds"] for x in costs), 100 * mrr)))
    panel = Panel(
        MRR,
        logarithmic(x for _, (x, _) in places),
        linear(y for _, (_, y) in places),
        "training, seconds",
    )
    legend = {system: place % len(SHAPES) for place, (system, _) in enumerate(places)}
    marks = [dots(panel, [point], legend[system]) for system, point in places]
    description = "; ".join(
        f"{system}: {y:.1f} after {x:,.0f} seconds" for system, (x, y) in places
    )
    return Figure([panel.draw(marks, description)], legend)


def ablation_figure(report: Mapping[str, Any]) -> Figure:
    """Draw each variant's mean and standard deviation, with lines at ``all`` and ``none``."""
    variants = report["settings"]["variants"]
    drawings = []
    for part in ("covered", "uncovered"):
        rows = {x["variant"]: x for x in _tails(report, part) if x["mean"] is not None}
        ends = [x["mean"] + sign * (x["sd"] or 0) for x in rows.values() for sign in (-1, 1)]
        panel = _of_categories(f"{part.capitalize()} facts", variants, [100 * x for x in ends])
        marks: list[Markup] = []
        for name in ("all", "none"):
            if name in rows:
                x = 100 * rows[name]["mean"]
                marks.append(guide(panel, (x, panel.y.low), (x, panel.y.high), STYLES[name]))
        for place, variant in enumerate(variants):
            if variant in rows:
                style = STYLES.get(variant, OTHER)
                marks += draw_mean_and_std(panel, rows[variant], "mean", "sd", place, style)
        description = "; ".join(f"{name} {100 * row['mean']:.1f}" for name, row in rows.items())
        drawings.append(panel.draw(marks, description))
    legend = {name: STYLES[name] for name in ("all", "none") if name in variants}
    return Figure(drawings, legend, std_caption(report))


def links_figure(report: Mapping[str, Any]) -> Figure:
    """Draw each system over the shares of links, with standard deviations over seeds."""
    drawings = []
    shares = sorted(report["settings"]["shares"])
    ticks = tuple((100 * x, f"{100 * x:.0f}") for x in shares)
    x_axis = Scale(*_apart(100 * shares[0], 100 * shares[-1]), ticks)
    for part in ("covered", "uncovered"):
        rows = [x for x in _tails(report, part) if x["mean"] is not None]
        ends = [100 * (x["mean"] + sign * (x["sd"] or 0)) for x in rows for sign in (-1, 1)]
        title = f"{part.capitalize()} facts, {MRR}"
        panel = Panel(title, x_axis, linear(ends), "links of the target that are kept, percent")
        marks = []
        for variant, style in STYLES.items():
            own = sorted((x for x in rows if x["variant"] == variant), key=lambda x: x["share"])
            points = [(100 * x["share"], 100 * x["mean"]) for x in own]
            for (x, y), row in zip(points, own, strict=True):
                std = 100 * (row["sd"] or 0)
                marks.append(span(panel, (x, y - std), (x, y + std), style))
            marks += [curve(panel, points, style), dots(panel, points, style)]
        drawings.append(panel.draw(marks))
    measured = {row["variant"] for row in report["summary"]}
    legend = {NAMES[name]: style for name, style in STYLES.items() if name in measured}
    return Figure(drawings, legend, std_caption(report))


def draw_mean_and_std(
    panel: Panel, row: Mapping[str, Any], mean: str, sd: str, place: float, style: int
) -> list[Markup]:
    """Draw a mean in percent as a dot at a category, and its standard deviation as a bar."""
    middle, std = 100 * row[mean], 100 * (row[sd] or 0)
    ends = (middle - std, place), (middle + std, place)
    return [span(panel, *ends, style), dots(panel, [(middle, place)], style)]


def std_caption(report: Mapping[str, Any]) -> str:
    """Return the caption that explains dots and bars."""
    settings, seeds = report["settings"], len(report["settings"]["seeds"])
    bars = f"bars: standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    return f"{settings['collection']}: means over {', '.join(settings['targets'])}; {bars}."


def _of_categories(title: str, names: Sequence[str], figures: Sequence[float]) -> Panel:
    height = 90 + 24 * len(names)
    return Panel(title, linear(figures), categories(names, downwards=True), MRR, height)


def _apart(low: float, high: float) -> tuple[float, float]:
    return (low, high) if low < high else (low - 1, high + 1)


def _tails(report: Mapping[str, Any], part: str) -> list[dict[str, Any]]:
    return [row for row in report["summary"] if (row["side"], row["facts"]) == ("tail", part)]
