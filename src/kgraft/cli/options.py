"""Arguments and options that several verbs have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kgraft.model.evidence import By

CollectionArgument = Annotated[
    str,
    typer.Argument(
        metavar="COLLECTION",
        help="A collection.toml, a directory in the DBP-5L layout, or 'world'.",
        show_default=False,
    ),
]
ModelArgument = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model directory.", show_default=False)
]
EvaluatedArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A model directory; left out with --task alignment.",
        show_default=False,
    ),
]
EvaluatedOnArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="COLLECTION",
        help="Holds the facts, or the links, to measure by.",
        show_default=False,
    ),
]
TaskOption = Annotated[
    Literal["facts", "alignment"],
    typer.Option("--task", help="Held-out facts of a model, or held-out links of a collection."),
]
TargetOption = Annotated[
    str | None,
    typer.Option("--target", help="The graph it is for; by default the collection's target."),
]
OutOption = Annotated[
    Path, typer.Option("--out", "-o", help="Directory for the model.", show_default=False)
]
SettingsOption = Annotated[Path | None, typer.Option("--settings", help="A TOML file of settings.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PART.NAME=VALUE", help="Change one setting; may be repeated."),
]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="Threads; by default one a core.")
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device", metavar="cpu|cuda|cuda:N|auto", help="Where vectors are trained or ranked."
    ),
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace a model that is already there.")
]
ByOption = Annotated[
    By | None,
    typer.Option(
        "--by", help="Answer by vectors, rules or both; by default as validation facts favour."
    ),
]
NamesOption = Annotated[
    str | None, typer.Option("--source", help="Whose names; by default the target's.")
]
DryRunOption = Annotated[
    bool,
    typer.Option("--dry-run", help="Say what it needs and how long it takes, and write nothing."),
]
MaskOption = Annotated[
    bool,
    typer.Option("--mask-labels", help="Look at no name, label or literal: structure alone."),
]
SeedsOption = Annotated[
    float,
    typer.Option(
        "--seeds",
        min=0.0,
        max=1.0,
        help="With --task alignment, the share of links that are given; the others are held out.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def names(text: str) -> list[str]:
    """Return the names in ``a,b,c``."""
    return [name.strip() for name in text.split(",") if name.strip()]
