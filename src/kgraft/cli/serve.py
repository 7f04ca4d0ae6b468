"""The command ``serve``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from kgraft.cli.console import say, use_threads
from kgraft.cli.options import ModelArgument, ThreadsOption
from kgraft.errors import KgraftError
from kgraft.system.messages import report_errors

TOKEN = "KGRAFT_TOKEN"  # noqa: S105 - the name of a variable


def serve(
    model: ModelArgument,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file", help=f"File with the token that clients have to send; or set {TOKEN}."
        ),
    ] = None,
    decisions: Annotated[
        Path | None,
        typer.Option(
            "--decisions",
            help="Review file (CSV) for what is accepted and refused on the page; it is begun "
            "if it is not there. retrain --decisions learns from it.",
        ),
    ] = None,
    threads: ThreadsOption = None,
) -> None:
    """Serve a model: an API at /v1 and a page at /, by default to this machine only."""
    with report_errors():
        use_threads(threads)
        try:
            from kgraft.serving.server import serve as run
        except ModuleNotFoundError as error:
            raise KgraftError(
                f"serving needs {error.name}. Install it: pip install 'kgraft[serve]'"
            ) from error
        token = client_token(token_file)
        run(model, host=host, port=port, token=token, decisions=decisions, ready=_show_address)


def client_token(file: Path | None) -> str | None:
    """Return the token that clients have to send, if one is set.

    Raises:
        DataError: If the file cannot be read.
        KgraftError: If there is no token in it, or none that a header can carry.
    """
    from kgraft.system.files import read_text

    if file is None and TOKEN not in os.environ:
        return None
    token = (os.environ[TOKEN] if file is None else read_text(file)).strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise KgraftError(
            f"{file or TOKEN}: a token is one word of printable ASCII characters. "
            "Make one: python -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    return token


def _show_address(url: str) -> None:
    say(f"The page is at {url}, the API is described at {url}/docs. Stop with Ctrl-C.")
