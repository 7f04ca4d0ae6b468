"""A benchmark's HTML report: tables, figures, settings and machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from kgraft.errors import DataError
from kgraft.reporting.page import macros, page
from kgraft.system.files import read_text
from kgraft_experiments.benchmark.figures import (
    ablation_figure,
    comparison_figure,
    cost_figure,
    links_figure,
)
from kgraft_experiments.benchmark.tables import (
    Table,
    cost_table,
    measured_on,
    quality_table,
    summary_note,
    summary_table,
)

MALFORMED_REPORT: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""Errors that JSON of another kind causes in tables and figures."""

_PARTS = macros("parts.html")

_COVERED = (
    "Covered facts are stated by another source too, so they can be copied; uncovered ones cannot."
)


def benchmark_report(report: Mapping[str, Any]) -> str:
    """Return a benchmark's report as one self-contained HTML page.

    Args:
        report: Result of ``benchmark``, ``ablate`` or ``sweep_links``.
    """
    settings = report["settings"]
    where = ", ".join(settings["targets"])
    lead = f"{settings['collection']}: {where}. Measured with {measured_on(report)}."
    if "summary" not in report:
        title, sections = "Systems compared", _comparison(report)
    elif "shares" in settings:
        title = "What links are worth"
        sections = {"Shares of links": _summary(report, links_figure(report).html())}
    else:
        title = "What each part of a student is worth"
        sections = {"Variants": _summary(report, ablation_figure(report).html())}
    return page(title, lead, {**sections, "Settings and provenance": _settings(report)})


def report_on_file(path: Path) -> str:
    """Return the report of a benchmark's JSON file as one HTML page.

    Raises:
        DataError: If it cannot be read, or is no complete report.
    """
    try:
        return benchmark_report(json.loads(read_text(path)))
    except MALFORMED_REPORT as error:
        raise DataError(
            f"this is no whole report of kgraft benchmark ({type(error).__name__}: {error})",
            remedy="Name a results.json, ablation.json or links.json that it wrote",
            path=path,
        ) from error


def _comparison(report: Mapping[str, Any]) -> dict[str, Markup]:
    seeds = len(report["settings"]["seeds"])
    means = f" Figures are means over {seeds} seeds." if seeds > 1 else ""
    quality = f"MRR of tails among the target's own entities, in percent.{means} {_COVERED}"
    cost = "Medians over the models of each system."
    return {
        "Quality": _section(quality, comparison_figure(report).html(), quality_table(report)),
        "Cost": _section(cost, cost_figure(report).html(), cost_table(report)),
    }


def _summary(report: Mapping[str, Any], drawn: Markup) -> Markup:
    return _section(f"{summary_note(report)}. {_COVERED}", drawn, summary_table(report))


def _section(text: str, figure: Markup, made: Table) -> Markup:
    paragraph = Markup("<p>{}</p>").format(text)
    return paragraph + figure + _PARTS.table(made.head, made.rows, made.words)


def _settings(report: Mapping[str, Any]) -> Markup:
    machine = [[name, str(value)] for name, value in report["machine"].items()]
    written = json.dumps(report["settings"], indent=1, ensure_ascii=False)
    whole = _PARTS.details("All settings", Markup("<pre>{}</pre>").format(written))
    return _PARTS.table(["measured on and with", ""], machine, (0, 1)) + whole
