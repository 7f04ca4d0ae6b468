"""The command ``fetch``: facts from a SPARQL endpoint into a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kgraft.cli.console import AGAIN, say, writing
from kgraft.errors import counted
from kgraft.system.messages import lost_output_allowed, report_errors


def fetch(
    endpoint: Annotated[
        str,
        typer.Argument(metavar="ENDPOINT", help="Address of the endpoint.", show_default=False),
    ],
    file: Annotated[Path, typer.Option("--out", "-o", help="A new .nt file.", show_default=False)],
    pattern: Annotated[
        str | None,
        typer.Option(
            "--pattern",
            help="Inside of a WHERE that binds ?head, ?relation and ?tail, or a file of it; by "
            "default all facts.",
        ),
    ] = None,
    page: Annotated[int, typer.Option("--page", min=1, help="Rows to ask for at a time.")] = 10_000,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Maximum number of rows.")
    ] = None,
    interval: Annotated[
        float, typer.Option("--interval", min=0, help="Least seconds between two requests.")
    ] = 1.0,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, help="Seconds to wait for an answer.")
    ] = 120.0,
) -> None:
    """Fetch facts from a SPARQL endpoint, page by page; the same command goes on."""
    with report_errors(AGAIN), writing(file):
        from kgraft.io.sparql_endpoint import EVERYTHING
        from kgraft.io.sparql_endpoint import fetch as fetch_facts
        from kgraft.system.files import read_text

        text = pattern or EVERYTHING
        if "?" not in text and "$" not in text:
            text = read_text(Path(text))
        found = fetch_facts(
            endpoint,
            file,
            pattern=text,
            page=page,
            limit=limit,
            interval=interval,
            timeout=timeout,
            tell=say,
        )
        with lost_output_allowed():
            out = f"; {counted(found.left_out, 'row')} left out" if found.left_out else ""
            say(f"{counted(found.facts, 'fact')} in {file}{out}")
