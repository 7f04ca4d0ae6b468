"""The command ``evaluate-links``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.box import SIMPLE

from kgraft.cli.alignment import align_settings
from kgraft.cli.console import out, print_json, say, table
from kgraft.cli.options import (
    AllowOutsideOption,
    CollectionArgument,
    JsonOption,
    MaskOption,
    SetOption,
    SettingsOption,
)
from kgraft.system.messages import report_errors

SHARES = {
    "precision": "prec.",
    "recall": "recall",
    "f1": "F1",
    "mrr": "MRR",
    "hits@1": "H@1",
    "hits@10": "H@10",
}
"""The measures of a table, and their headings."""


def evaluate_links(
    collection: CollectionArgument,
    given: Annotated[
        float,
        typer.Option("--given", min=0.0, max=1.0, help="Share of the links that align gets."),
    ] = 0.3,
    mask_labels: MaskOption = False,
    allow_outside: AllowOutsideOption = False,
    settings: SettingsOption = None,
    changes: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold out links, find links by the others, and measure precision, recall, MRR and Hits@k."""
    with report_errors():
        from kgraft.io.read_collection import read_collection
        from kgraft_experiments.alignment_score import evaluate_alignment

        measured = evaluate_alignment(
            read_collection(collection, allow_outside=allow_outside),
            align_settings(settings, changes, mask_labels=mask_labels),
            share=given,
        )
        _show_score(measured.rows(), given, as_json=as_json)


def _show_score(rows: Sequence[dict[str, Any]], given: float, *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    figures = ("found", "judged", *SHARES.values(), "dangling")
    shown = table("between", *figures, figures=figures)
    shown.box, shown.padding = SIMPLE, (0, 1, 0, 0)
    for row in rows:
        counts = [f"{row[x]:,}" if x in row else "" for x in ("accepted", "judged", "dangling")]
        shares = [f"{100 * row[name]:.1f}" for name in SHARES]
        shown.add_row(f"{row['left']} {row['right']}", *counts[:2], *shares, counts[2])
    out.print(shown)
    unlinked = 100 * rows[-1]["dangling_unlinked"]
    say(
        f"{given:.0%} of the links were given, the others held out; shares in percent. Precision "
        "is among links with an end whose partner is known; of the ends without a known partner, "
        f"which dangle, {unlinked:.1f} % were left unlinked."
    )
