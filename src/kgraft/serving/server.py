"""Serving a model directory until told to stop."""

from __future__ import annotations

import ipaddress
import logging
import socket
import warnings
from collections.abc import Callable
from pathlib import Path

import uvicorn

from kgraft.errors import KgraftError, KgraftWarning
from kgraft.serving.app import create_app
from kgraft.serving.limits import LIMITS, Limits
from kgraft.serving.model_reloader import ModelReloader
from kgraft.serving.protocol import protocol

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
"""What a server that only this machine can reach goes by."""


def serve(
    directory: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    limits: Limits = LIMITS,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve a model until SIGINT or SIGTERM, after which requests under way are still answered.

    Args:
        directory: A model directory; another model in its place is served as soon as it is loaded.
        host: The address to listen on.
        port: The port; 0 takes a free one.
        token: What clients have to show, if anything.
        limits: What is taken from clients.
        ready: Told the server's URL once it listens.

    Raises:
        ModelDirectoryError: If there is no model that can be loaded.
        KgraftError: If the address cannot be listened on.
    """
    live = ModelReloader(directory)
    listener = _listen(host, port)
    local = _is_local(listener)
    if not local and token is None:
        warnings.warn(
            f"whoever can reach {host} may ask this server. Give it a token with --token-file.",
            KgraftWarning,
            stacklevel=2,
        )
    hosts = {*LOCAL_NAMES, host.lower()} if local else None
    config = uvicorn.Config(
        create_app(live, limits=limits, token=token, hosts=hosts),
        http=protocol(limits),
        ws="none",
        access_log=False,
        log_level=logging.WARNING,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=round(limits.seconds),
        timeout_graceful_shutdown=round(limits.seconds),
    )
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("kgraft").setLevel(logging.INFO)
    name = f"[{host}]" if ":" in host else host
    ready(f"http://{name}:{listener.getsockname()[1]}")
    uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        # Python adds the address, which is named already.
        reason = str(error.strerror or error).partition(" (while")[0]
        raise KgraftError(
            f"{host}, port {port}: this cannot be listened on ({reason}). "
            "Name another --host or --port."
        ) from error


def _is_local(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback
