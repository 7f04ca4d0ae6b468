"""The verbs about links: ``align``, and how ``evaluate`` measures it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from kgraft.alignment.align import Alignment
from kgraft.alignment.align import align as run_alignment
from kgraft.alignment.score import evaluate_alignment
from kgraft.alignment.settings import AlignSettings
from kgraft.alignment.write import LINKS_FILE, write_alignment
from kgraft.cli.console import chosen_settings, out, print_json
from kgraft.cli.options import (
    CollectionArgument,
    JsonOption,
    MaskOption,
    SetOption,
    SettingsOption,
)
from kgraft.files import check_empty
from kgraft.linking.links import Links
from kgraft.linking.read_collection import read_collection
from kgraft.progress import Bar
from kgraft.sentences import speaking

SHARES = ("precision", "recall", "f1", "mrr", "hits@1", "hits@10")

LinksOutOption = Annotated[
    Path, typer.Option("--out", "-o", help="A new directory for the links.", show_default=False)
]


def align(
    collection: CollectionArgument,
    directory: LinksOutOption,
    without_links: Annotated[
        bool, typer.Option("--without-links", help="Forget the links that the collection has.")
    ] = False,
    mask_labels: MaskOption = False,
    settings: SettingsOption = None,
    changes: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find links between the graphs of a collection, of entities and of relations."""
    with speaking():
        check_empty(directory)
        known = read_collection(collection)
        if without_links:
            known = replace(known, links=())
        found = run_alignment(
            known, aligning(settings, changes or (), mask_labels=mask_labels), progress=Bar()
        )
        write_alignment(found, directory)
        if as_json:
            print_json(
                {
                    "links": [_counts(x.links) for x in found.proposed],
                    "relations": [asdict(x) for x in found.relations],
                }
            )
            return
        _show(found)
        where = directory / LINKS_FILE
        out.print(
            f"The links are in {directory}; a collection.toml beside it reads them with the tables "
            f"of {where}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def aligning(file: Path | None, changes: Sequence[str], *, mask_labels: bool) -> AlignSettings:
    """Return settings of alignment from a file, changes, and whether labels are masked."""
    masked = ["labels.use=false"] if mask_labels else []
    return chosen_settings(AlignSettings, file, [*changes, *masked])


def evaluate_links(
    collection: str, seeds: float, mask_labels: bool, changes: Sequence[str], *, as_json: bool
) -> None:
    """Measure ``align`` on links that are held out."""
    measured = evaluate_alignment(
        read_collection(collection),
        aligning(None, changes, mask_labels=mask_labels),
        share=seeds,
        progress=Bar(),
    )
    rows = measured.rows()
    if as_json:
        print_json(rows)
        return
    table = Table(title=f"{seeds:.0%} of the links given, the others held out; shares in percent")
    table.add_column("between", no_wrap=True)
    for name in ("found", "judged", *SHARES, "dangling", "unlinked"):
        table.add_column(name.replace("hits", "H"), justify="right", no_wrap=True)
    for row in rows:
        counts = [f"{row[x]:,}" if x in row else "" for x in ("accepted", "judged", "dangling")]
        figures = [f"{100 * row[name]:.1f}" for name in (*SHARES, "dangling_unlinked")]
        pair = f"{row['left']} {row['right']}"
        table.add_row(pair, *counts[:2], *figures[:-1], counts[2], figures[-1])
    out.print(table)


def _show(found: Alignment) -> None:
    table = Table("links between", "and")
    for name in ("found", "median confidence"):
        table.add_column(name, justify="right")
    for x in found.proposed:
        counts = _counts(x.links)
        table.add_row(
            x.links.left, x.links.right, f"{counts['found']:,}", f"{counts['confidence']:.2f}"
        )
    out.print(table)
    for r in found.relations:
        kind = {"same": "the same as", "narrower": "part of", "broader": "more than"}[r.kind]
        turned = " the inverse of" if r.inverse else ""
        out.print(
            f"{r.confidence:.2f}  {r.left}:{r.relation} is {kind}{turned} {r.right}:{r.other} "
            f"({r.support:,} pairs)",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _counts(links: Links) -> dict[str, Any]:
    ordered = sorted(links.confidence.tolist())
    return {
        "left": links.left,
        "right": links.right,
        "found": len(links),
        "confidence": round(ordered[len(ordered) // 2], 4),
    }
