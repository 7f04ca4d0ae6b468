"""The command ``prepare``: a collection that is larger than memory, in numbers on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kgraft.cli.console import ANEW, say, writing
from kgraft.cli.options import AllowOutsideOption, CollectionArgument, ThreadsOption
from kgraft.errors import DataError, counted
from kgraft.system.messages import lost_output_allowed, report_errors


def prepare(
    collection: CollectionArgument,
    directory: Annotated[
        Path,
        typer.Option("--out", "-o", help="Directory for the prepared one.", show_default=False),
    ],
    spill: Annotated[
        Path | None,
        typer.Option(help="Directory for what does not fit into memory; by default beside --out."),
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(min=0.1, help="GiB of memory for DuckDB; by default 40 % of what is free."),
    ] = None,
    threads: ThreadsOption = None,
    allow_outside: AllowOutsideOption = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a prepared collection that is there.")
    ] = False,
) -> None:
    """Read and join a collection on the disk, for one that is larger than memory."""
    with report_errors(ANEW):
        from kgraft.io.prepared_directory import is_prepared
        from kgraft.pipeline.prepare import prepare as prepare_collection
        from kgraft.pipeline.prepare import spill_of
        from kgraft.system.cores import usable_cores
        from kgraft.system.outputs import check_empty

        with writing(directory, spill_of(directory, spill)):
            if not is_prepared(directory):
                check_empty(directory)
            elif not overwrite:
                raise DataError(
                    "there is a prepared collection already",
                    remedy="Name another directory, or replace it with --overwrite",
                    path=directory,
                )
            found = prepare_collection(
                collection,
                directory,
                spill=spill,
                memory=None if memory is None else int(memory * 2**30),
                threads=threads or usable_cores(),
                allow_outside=allow_outside,
            )
        with lost_output_allowed():
            for source in found["sources"]:
                facts = counted(sum(source["facts"].values()), "fact")
                left = source["duplicates_left_out"]
                out = f"; {counted(left, 'repeated fact')} left out" if left else ""
                entities = counted(source["entities"], "entity")
                say(f"{source['name']}: {entities}, {facts}{out}")
            if (joint := found["joint"]) is not None:
                left = joint["links_left_out"]
                out = f"; {counted(left, 'contradictory link')} left out" if left else ""
                entities = counted(joint["entities"], "entity")
                say(f"joined: {entities}, {counted(joint['facts'], 'training fact')}{out}")
            say(f"Give {directory} in the place of the collection")
