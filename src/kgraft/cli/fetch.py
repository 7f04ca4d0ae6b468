"""The command ``fetch``: facts from SPARQL endpoints into files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from kgraft.cli.console import AGAIN, say, writing
from kgraft.cli.options import AllowOutsideOption
from kgraft.errors import DataError, counted
from kgraft.system.messages import lost_output_allowed, report_errors


def fetch(
    place: Annotated[
        str,
        typer.Argument(
            metavar="ENDPOINT|COLLECTION",
            help="Address of an endpoint, or a collection.toml whose sources name theirs.",
            show_default=False,
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A new .nt file, of an address.", show_default=False),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            "--pattern",
            help="Inside of a WHERE that binds ?head, ?relation and ?tail, or a file of it; by "
            "default all facts, or what a source says.",
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
    allow_outside: AllowOutsideOption = False,
) -> None:
    """Fetch facts from SPARQL endpoints, page by page; the same command goes on."""
    options = {"page": page, "limit": limit, "interval": interval, "timeout": timeout}
    with report_errors(AGAIN):
        if "://" in place:
            if file is None:
                raise DataError("there is no file to write", remedy="Name one: --out FILE.nt")
            _fetch(place, file, _pattern(pattern), options)
            return
        if file is not None or pattern is not None:
            raise DataError(
                "a collection's sources say where their facts go and which these are",
                remedy="Leave out --out and --pattern, or give an endpoint's address",
            )
        from kgraft.io.read_collection import sources_to_fetch

        for source in sources_to_fetch(Path(place), allow_outside=allow_outside):
            (path,) = source.train
            if path.exists():
                say(f"{path} is there; to fetch it again, delete it")
            else:
                say(f"{path} from {source.endpoint}")
                _fetch(str(source.endpoint), path, source.pattern, options)


def _pattern(given: str | None) -> str | None:
    """Return a pattern, from its file if it is the name of one."""
    from kgraft.system.files import read_text

    is_file = given is not None and "?" not in given and "$" not in given
    return read_text(Path(str(given))) if is_file else given


def _fetch(endpoint: str, file: Path, pattern: str | None, options: Mapping[str, Any]) -> None:
    """Fetch from one endpoint, and say how many facts there are."""
    from kgraft.io.sparql_endpoint import EVERYTHING, progress_of
    from kgraft.io.sparql_endpoint import fetch as fetch_facts

    with writing(file, *progress_of(file)):
        found = fetch_facts(endpoint, file, pattern=pattern or EVERYTHING, tell=say, **options)
        with lost_output_allowed():
            out = f"; {counted(found.left_out, 'row')} left out" if found.left_out else ""
            say(f"{counted(found.facts, 'fact')} in {file}{out}")
