"""The command ``export``."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from kgraft.cli.console import say, writing
from kgraft.cli.options import ModelArgument, names
from kgraft.errors import counted
from kgraft.system.messages import lost_output_allowed, report_errors

FORMATS = "numpy, parquet, safetensors, word2vec, usearch, lancedb, qdrant, pgvector, pykeen, hub"
"""The names of all formats."""


def export(
    model: ModelArgument,
    place: Annotated[
        str,
        typer.Option("--out", "-o", help="A file, a directory, or an address.", show_default=False),
    ],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help=f"{FORMATS}; by default by the place's ending.",
            show_default=False,
        ),
    ] = None,
    sources: Annotated[
        str | None,
        typer.Option(
            "--sources",
            help="Sources of the entities, as a,b,c; by default the target, of a teacher all.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="Prefix of tables and collections; by default the target's name."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier export.")
    ] = False,
) -> None:
    """Export vectors with their names for other tools: files, indexes, databases, PyKEEN, the Hub.

    Files end in .npz, .parquet, .safetensors, .txt or .vec, directories in .usearch, .lancedb or
    .qdrant, and addresses begin with http:// (Qdrant), postgresql:// or hf:// (the Hub).
    """
    with report_errors(), nullcontext() if "://" in place else writing(Path(place)):
        from kgraft.exporting.export import export as export_model
        from kgraft.exporting.formats import shown
        from kgraft.model.directory import load_model

        done = export_model(
            load_model(model),
            place,
            format=form,
            sources=None if sources is None else names(sources),
            name=name,
            overwrite=overwrite,
        )
        with lost_output_allowed():
            say(
                f"{done.format}: {counted(done.entities, 'entity')} and "
                f"{counted(done.relations, 'relation')} of "
                f"{', '.join(done.sources)}, {done.width} numbers each, are in {shown(place)}"
            )
