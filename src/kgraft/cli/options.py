"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

CollectionArgument = Annotated[
    str,
    typer.Argument(
        metavar="COLLECTION",
        help="A collection.toml, a file of one graph, a directory in the DBP-5L layout or of "
        "'kgraft prepare', or 'world'.",
        show_default=False,
    ),
]
AllowOutsideOption = Annotated[
    bool,
    typer.Option(
        "--allow-outside",
        help="Read files that the collection names outside of its directory, too.",
    ),
]
ModelArgument = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="A model directory, or hf://USER/NAME.", show_default=False
    ),
]
TargetOption = Annotated[
    str | None,
    typer.Option("--target", help="Target graph; by default the collection's."),
]
OutOption = Annotated[
    Path, typer.Option("--out", "-o", help="Directory for the model.", show_default=False)
]
SettingsOption = Annotated[
    Path | None,
    typer.Option("--settings", help="TOML file of settings; 'kgraft settings' prints one."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PART.NAME=VALUE", help="Change one setting; may be repeated."),
]
TrainingSetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PART.NAME=VALUE",
        help="Change one setting; may be repeated. Basic settings: model.width, training.epochs, "
        "training.batch_size, training.learning_rate, training.regularization, training.seed; "
        "'kgraft settings' prints all.",
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Number of threads; by default one per usable core."),
]
DeviceOption = Annotated[
    str,
    typer.Option("--device", metavar="cpu|cuda|cuda:N|auto", help="Device to train or to rank on."),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Number of processes that train together, each with its part of the vectors; on "
        "several machines, start the command with torchrun.",
    ),
]
AllowUnlinkedOption = Annotated[
    bool,
    typer.Option("--allow-unlinked", help="Train on the target's own facts if no link is usable."),
]
TeacherOption = Annotated[
    Path,
    typer.Option(
        "--teacher",
        help="Teacher to imitate: its directory, or hf://USER/NAME.",
        show_default=False,
    ),
]
CompareAloneOption = Annotated[
    bool,
    typer.Option(
        "--compare-alone",
        help="Train the same without links beside it, and say what the student gains.",
    ),
]
TrackOption = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        metavar="KIND:PLACE",
        help="Log settings and metrics: csv:FILE, tensorboard:DIRECTORY, mlflow:URI or "
        "wandb:PROJECT; may be repeated.",
    ),
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace a model that is already there.")
]
ByOption = Annotated[
    Literal["vectors", "rules", "both"] | None,
    typer.Option(
        "--by",
        help="Evidence to answer from; by default what was best on the validation facts.",
    ),
]
IncludeTrainedOption = Annotated[
    bool,
    typer.Option(
        "--include-trained",
        help="Rank held-out facts that the model was trained on too; else they are left out.",
    ),
]
NamesOption = Annotated[
    str | None, typer.Option("--source", help="Source of the names; by default the target.")
]
FactFileOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="Write the facts to a .parquet, .tsv, .nt or .ttl file, or .csv for review.",
    ),
]
NewFactsOption = Annotated[
    Path | None,
    typer.Option(
        "--facts",
        help="File of facts about new entities, in any format: they are folded into the model, "
        "for this call.",
    ),
]
NewLinksOption = Annotated[
    Path | None,
    typer.Option(
        "--links",
        help="Table of links of the new entities: entity, source, and the source's name of it.",
    ),
]
NewTextsOption = Annotated[
    Path | None,
    typer.Option(
        "--texts",
        help="Table of entities and texts about them, new and known ones: new ones get a vector "
        "by their text.",
    ),
]
BaseOption = Annotated[
    str | None,
    typer.Option(
        "--base",
        metavar="IRI",
        help="For .nt and .ttl: beginning of the IRIs of names that are none; they follow "
        "percent-encoded.",
    ),
]
AnnotationOption = Annotated[
    Literal["rdf12", "reification"],
    typer.Option(
        "--annotation",
        help="For .ttl: probability and sources as annotation of RDF 1.2, or as rdf:Statement.",
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Estimate memory and time, and write nothing.")
]
MaskOption = Annotated[
    bool, typer.Option("--mask-labels", help="Use no name, label or literal: structure alone.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def names(text: str) -> list[str]:
    """Return the names in ``a,b,c``."""
    return [name.strip() for name in text.split(",") if name.strip()]
