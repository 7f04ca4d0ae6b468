"""A benchmark's HTML report: tables, figures, settings and machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kgraft.errors import DataError
from kgraft.reporting.markup import Markup, element
from kgraft.reporting.page import Section, folded, page, paragraph, table
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
        sections = [_summary(report, "Shares of links", links_figure(report).html())]
    else:
        title = "What each part of a student is worth"
        sections = [_summary(report, "Variants", ablation_figure(report).html())]
    return page(title, [paragraph(lead, "lead")], [*sections, _settings(report)])


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


def _comparison(report: Mapping[str, Any]) -> list[Section]:
    seeds = len(report["settings"]["seeds"])
    means = f" Figures are means over {seeds} seeds." if seeds > 1 else ""
    note = paragraph(f"MRR of tails among the target's own entities, in percent.{means} {_COVERED}")
    return [
        Section("Quality", [note, comparison_figure(report).html(), _html(quality_table(report))]),
        Section(
            "Cost",
            [
                paragraph("Medians over the models of each system."),
                cost_figure(report).html(),
                _html(cost_table(report)),
            ],
        ),
    ]


def _summary(report: Mapping[str, Any], heading: str, drawn: Markup) -> Section:
    note = paragraph(f"{summary_note(report)}. {_COVERED}")
    return Section(heading, [note, drawn, _html(summary_table(report))])


def _settings(report: Mapping[str, Any]) -> Section:
    machine = [[name, str(value)] for name, value in report["machine"].items()]
    written = element("pre", json.dumps(report["settings"], indent=1, ensure_ascii=False))
    return Section(
        "Settings and provenance",
        [
            table(["measured on and with", ""], machine, words=(0, 1)),
            folded("All settings", written),
        ],
    )


def _html(made: Table) -> Markup:
    return table(made.head, made.rows, words=made.words)
