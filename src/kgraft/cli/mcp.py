"""The command ``mcp``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kgraft.cli.console import say, use_threads
from kgraft.cli.options import ModelArgument, ThreadsOption
from kgraft.cli.serve import TOKEN, client_token
from kgraft.errors import KgraftError
from kgraft.system.messages import report_errors


def mcp(
    model: ModelArgument,
    http: Annotated[
        bool, typer.Option("--http", help="Serve over HTTP, not over standard input and output.")
    ] = False,
    host: Annotated[
        str | None,
        typer.Option("--host", help="With --http: address to listen on; by default this machine."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="With --http: port, by default 8000."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            help=f"With --http: file with the token that clients have to send; or set {TOKEN}.",
        ),
    ] = None,
    threads: ThreadsOption = None,
) -> None:
    """Let assistants ask a model: a server of tools for the Model Context Protocol (MCP)."""
    with report_errors():
        use_threads(threads)
        if not http and (host, port, token_file) != (None, None, None):
            raise KgraftError("--host, --port and --token-file go with --http; add it")
        try:
            from kgraft.serving.mcp_server import serve_http, serve_stdio
        except ModuleNotFoundError as error:
            raise KgraftError(
                f"the server for assistants needs {error.name}. "
                "Install it: pip install 'kgraft[mcp]'"
            ) from error
        if http:
            token = client_token(token_file)
            address = host or "127.0.0.1", 8000 if port is None else port
            serve_http(model, host=address[0], port=address[1], token=token, ready=_show_address)
        else:
            serve_stdio(model)


def _show_address(url: str) -> None:
    say(f"Assistants ask at {url}. Stop with Ctrl-C.")
