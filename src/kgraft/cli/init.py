"""The command ``init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kgraft.cli.console import say, writing
from kgraft.errors import counted
from kgraft.system.messages import lost_output_allowed, report_errors


def init(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILES...",
            help="Files of facts, one a graph (NAME-train, NAME-valid and NAME-test are one), and "
            "tables of links.",
            show_default=False,
        ),
    ],
    path: Annotated[Path, typer.Option("--out", "-o", help="The file to write; a new one.")] = Path(
        "collection.toml"
    ),
    links: Annotated[
        list[Path] | None,
        typer.Option("--links", help="File of links, also in RDF; may be repeated."),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="Graph to complete; by default the first.")
    ] = None,
) -> None:
    """Write a commented collection.toml from files of graphs and of links."""
    with report_errors():
        from kgraft.io.write_collection import names_outside, write_collection

        with writing(path):
            made = write_collection(path, files, links or (), target=target)
        n_links = sum(len(x) for x in made.links)
        more = " --allow-outside" if names_outside(path, [*files, *(links or ())]) else ""
        with lost_output_allowed():
            say(
                f"{path} names {', '.join(made.graphs)} and {counted(n_links, 'link')}; the target "
                f"is {made.target}. Look at it, then: kgraft inspect {path}{more}"
            )
