"""The commands ``align`` and ``audit``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kgraft.cli.console import ANEW, chosen_settings, out, print_json, say, table, writing
from kgraft.cli.options import (
    AllowOutsideOption,
    CollectionArgument,
    JsonOption,
    MaskOption,
    SetOption,
    SettingsOption,
)
from kgraft.errors import counted
from kgraft.system.messages import lost_output_allowed, report_errors

if TYPE_CHECKING:
    from kgraft.alignment.align import Alignment
    from kgraft.alignment.settings import AlignSettings
    from kgraft.linking.links import Links

RELATIONS_SHOWN = 20

LinksOutOption = Annotated[
    Path, typer.Option("--out", "-o", help="A new directory for the links.", show_default=False)
]


def align(
    collection: CollectionArgument,
    directory: LinksOutOption,
    without_links: Annotated[
        bool, typer.Option("--without-links", help="Ignore the links that the collection has.")
    ] = False,
    mask_labels: MaskOption = False,
    allow_outside: AllowOutsideOption = False,
    settings: SettingsOption = None,
    changes: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find links between the graphs of a collection, of entities and of relations."""
    with report_errors(ANEW), writing(directory):
        from dataclasses import asdict, replace

        from kgraft.alignment.align import align as find_links
        from kgraft.alignment.write import write_alignment
        from kgraft.io.read_collection import read_collection
        from kgraft.system.outputs import check_empty

        check_empty(directory)
        known = read_collection(collection, allow_outside=allow_outside)
        if without_links:
            known = replace(known, links=())
        found = find_links(known, align_settings(settings, changes, mask_labels=mask_labels))
        write_alignment(found, directory, collection, base_links=not without_links)
        if as_json:
            print_json(
                {
                    "links": [_counts(x.links) for x in found.proposed],
                    "relations": [asdict(x) for x in found.relations],
                }
            )
            return
        with lost_output_allowed():
            _show(found)
            more = " --allow-outside" if allow_outside else ""
            say(f"{directory} is the collection with these links: kgraft inspect {directory}{more}")


def audit(
    collection: CollectionArgument,
    directory: LinksOutOption,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold", min=0.0, max=1.0, help="Error probability from which a link is left out."
        ),
    ] = 0.5,
    mask_labels: MaskOption = False,
    allow_outside: AllowOutsideOption = False,
    k: Annotated[
        int, typer.Option("--top", "-k", min=0, help="Maximum number of links shown.")
    ] = 10,
    settings: SettingsOption = None,
    changes: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find doubtful links, say why, and write the others beside the old ones."""
    with report_errors(ANEW), writing(directory):
        from kgraft.alignment.audit import audit as check_links
        from kgraft.alignment.write import DOUBTFUL_FILE, write_audit
        from kgraft.io.read_collection import read_collection
        from kgraft.system.outputs import check_empty

        check_empty(directory)
        known = read_collection(collection, allow_outside=allow_outside)
        chosen = align_settings(settings, changes, mask_labels=mask_labels)
        found = check_links(known, chosen, threshold=threshold)
        write_audit(found, known, directory, collection)
        doubtful = found.doubtful()
        if as_json:
            print_json(
                [
                    {
                        "error_probability": round(probability, 4),
                        "left": links.left,
                        "left_name": known.graphs[links.left].entities.name(links.pairs[row, 0]),
                        "right": links.right,
                        "right_name": known.graphs[links.right].entities.name(links.pairs[row, 1]),
                        "why": why,
                    }
                    for probability, links, row, why in doubtful
                ]
            )
            return
        with lost_output_allowed():
            for probability, _, _, why in doubtful[:k]:
                say(f"{probability:.2f}  {why}")
            n_links = sum(len(x.links) for x in found.audited)
            say(
                f"{len(doubtful):,} of {n_links:,} links are doubtful: "
                f"{directory / DOUBTFUL_FILE}. {directory} is a collection with the others: "
                f"kgraft inspect {directory}{' --allow-outside' if allow_outside else ''}"
            )


def align_settings(
    file: Path | None, changes: Sequence[str] | None, *, mask_labels: bool
) -> AlignSettings:
    """Return the settings of an alignment from a file and changes."""
    from kgraft.alignment.settings import AlignSettings

    masked = ["labels.use=false"] if mask_labels else []
    return chosen_settings(AlignSettings, file, [*(changes or ()), *masked])


def _show(found: Alignment) -> None:
    from kgraft.alignment.write import RELATIONS_FILE

    figures = ("found", "median confidence")
    shown = table("links between", "and", *figures, figures=figures)
    for x in found.proposed:
        counts = _counts(x.links)
        shown.add_row(
            x.links.left, x.links.right, f"{counts['found']:,}", f"{counts['confidence']:.2f}"
        )
    out.print(shown)
    named = [r for r in found.relations if r.relation != r.other]
    for r in named[:RELATIONS_SHOWN]:
        kind = {"same": "the same as", "narrower": "part of", "broader": "more than"}[r.kind]
        turned = " the inverse of" if r.inverse else ""
        say(
            f"{r.confidence:.2f}  {r.left}:{r.relation} is {kind}{turned} {r.right}:{r.other} "
            f"({counted(r.support, 'pair')})"
        )
    if rest := len(found.relations) - min(len(named), RELATIONS_SHOWN):
        out.print(f"and {rest:,} more, those of one name among them, in {RELATIONS_FILE}")


def _counts(links: Links) -> dict[str, Any]:
    ordered = sorted(links.confidence.tolist())
    return {
        "left": links.left,
        "right": links.right,
        "found": len(links),
        "confidence": round(ordered[len(ordered) // 2], 4),
    }
