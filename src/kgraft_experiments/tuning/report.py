"""The report of a tuning: what was gained, what mattered, and every trial."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import polars as pl
from markupsafe import Markup

from kgraft.reporting.figures import Figure, Panel, curve, dots, linear
from kgraft.reporting.page import macros, page, percent, write_page
from kgraft.system.outputs import write_atomically
from kgraft_experiments.tuning.tune import BEST_MODEL, DEFAULT_MODEL, Tuned, shown

REPORT_FILE: Final = "report.html"
TRIALS_FILE: Final = "trials.tsv"

_PARTS = macros("parts.html")


def write_report(tuned: Tuned, directory: Path, name: str, test: Mapping[str, float]) -> None:
    """Write the report, and a table of the trials.

    Args:
        tuned: The result of tuning.
        directory: Where they are written.
        name: Name of the collection.
        test: Test MRR of the default and the best model; may be empty.
    """
    with write_atomically(directory / TRIALS_FILE) as temporary:
        pl.DataFrame(tuned.trials, infer_schema_length=None).write_csv(temporary, separator="\t")
    lead = (
        "Settings were chosen by validation facts. The best of many trials is measured too well on "
        "them: what it is worth is the difference on test facts, which no choice was made by."
    )
    sections = {"Result": _result(tuned, test), "Trials": _trials(tuned)}
    if tuned.importances:
        sections["What mattered"] = _importances(tuned)
    tiles = {
        "validation MRR by the defaults": percent(tuned.default_mrr),
        "by the best trial": percent(tuned.mrr),
    }
    text = page(f"Settings tuned on {name}", lead, sections, tiles)
    write_page(directory / REPORT_FILE, text)


def _result(tuned: Tuned, test: Mapping[str, float]) -> Markup:
    rows = [
        [split, percent(default), percent(best), f"{100 * (best - default):+.1f}"]
        for split, default, best in (
            ("validation", tuned.default_mrr, tuned.mrr),
            *([("test", test[DEFAULT_MODEL], test[BEST_MODEL])] if len(test) > 1 else []),
        )
    ]
    figures = _PARTS.table(["MRR, percent", "defaults", "best", "difference"], rows, (0,))
    if not tuned.changes:
        return figures + Markup("<p>The defaults were the best.</p>")
    changed = [[key, shown(value)] for key, value in tuned.changes.items()]
    return figures + _PARTS.table(["setting", "best"], changed, (0,))


def _trials(tuned: Tuned) -> Markup:
    values = [(x["trial"], x["validation_mrr"]) for x in tuned.trials]
    points = [(float(number), 100 * mrr) for number, mrr in values if mrr is not None]
    best, so_far = [], float("-inf")
    for number, mrr in points:
        so_far = max(so_far, mrr)
        best.append((number, so_far))
    panel = Panel(
        "Validation MRR, percent",
        linear([x for x, _ in points], whole=True),
        linear([y for _, y in points]),
        "trial",
    )
    drawn = panel.draw(
        [curve(panel, best, 1), dots(panel, points, 0)],
        f"From {points[0][1]:.1f} by the first trial to {so_far:.1f}.",
    )
    caption = "A dot is a trial that was trained to its end, the line the best one so far."
    head = list(dict.fromkeys(key for row in tuned.trials for key in row))
    rows = [
        [percent(row[key]) if key == "validation_mrr" else shown(row.get(key)) for key in head]
        for row in tuned.trials
    ]
    names = [key.rpartition(".")[2].replace("_", " ") for key in head]
    figure = Figure([drawn], {"trial": 0, "best so far": 1}, caption).html()
    return figure + _PARTS.table(names, rows, (1,))


def _importances(tuned: Tuned) -> Markup:
    rows = [[key, percent(x)] for key, x in tuned.importances.items()]
    note = Markup("<p>{}</p>").format(
        "Share of the differences between good trials and others that a setting explains, in "
        "percent (PED-ANOVA; Watanabe et al., IJCAI 2023). With few trials it is rough."
    )
    return note + _PARTS.table(["setting", "percent"], rows, (0,))
