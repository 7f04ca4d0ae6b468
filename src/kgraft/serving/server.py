"""Serving a model directory over HTTP until the process is told to stop."""

from __future__ import annotations

import ipaddress
import logging
import socket
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import uvicorn

from kgraft.errors import KgraftError, KgraftWarning
from kgraft.io.decision_file import DecisionFile
from kgraft.serving.app import create_app
from kgraft.serving.guard import LIMITS, Guard, Limits
from kgraft.serving.model_reloader import ModelReloader
from kgraft.serving.protocol import limited_protocol
from kgraft.system.memory import reuse_freed_memory

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
BURST = 16  # connections accepted at once; each takes a file before an idle one is closed
MAX_HEAD = 1 << 17  # bytes of a request's head, where a name's character may take 12
SEND_BUFFER = 1 << 18  # bytes of responses that the system holds for a client, which else grow
BACKLOG = 1024  # connections that the operating system holds until they are accepted


def serve(
    directory: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    limits: Limits = LIMITS,
    decisions: Path | None = None,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve a model until SIGINT or SIGTERM; requests under way are still answered.

    Args:
        directory: A model directory; a model that replaces it is served once it is loaded.
        host: The address to listen on.
        port: The port; 0 takes a free one.
        token: Token that clients send, if one is needed.
        limits: Limits on clients; the operating system's limit on open files may lower them.
        decisions: A review file that keeps what is accepted and refused on the page.
        ready: Called with the server's URL once it listens.

    Raises:
        ModelDirectoryError: If there is no model that can be loaded.
        KgraftError: If the address cannot be listened on, or the review file cannot be read.
    """
    kept = None if decisions is None else DecisionFile(decisions)
    reuse_freed_memory()
    reloader = ModelReloader(directory)

    def app_for(limits: Limits, hosts: set[str] | None) -> Guard:
        return create_app(reloader, limits=limits, token=token, hosts=hosts, decisions=kept)

    serve_app(app_for, host=host, port=port, token=token, limits=limits, ready=ready)


def serve_app(
    app_for: Callable[[Limits, set[str] | None], Guard],
    *,
    host: str,
    port: int,
    token: str | None,
    limits: Limits = LIMITS,
    ready: Callable[[str], None],
) -> None:
    """Serve an app until a signal, as ``serve`` says.

    ``app_for`` makes it, given limits and the host names that it accepts; None accepts all.
    """
    listener = listen(host, port)
    local = ipaddress.ip_address(listener.getsockname()[0]).is_loopback
    if not local and token is None:
        warnings.warn(
            f"whoever can reach {host} may ask this server. Give it a token with --token-file.",
            KgraftWarning,
            stacklevel=2,
        )
    hosts = {*LOCAL_NAMES, host.lower()} if local else None
    limits = within_file_limit(limits)
    config = server_config(app_for(limits, hosts), limits)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    name = f"[{host}]" if ":" in host else host
    ready(f"http://{name}:{listener.getsockname()[1]}")
    Server(config).run(sockets=[listener])


class Server(uvicorn.Server):
    """A server that accepts few connections at once and lets many wait to be accepted."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen; asyncio has one setting for both numbers, and sets it here."""
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket whose connections send small packets at once.

    asyncio sets TCP_NODELAY on sockets that name their protocol, unlike those of ``create_server``.
    Without it a response's body waits 40 ms for the client's delayed ACK.

    Raises:
        KgraftError: If the address cannot be listened on.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    except OSError as error:
        # Python adds the address, which is named already.
        reason = str(error.strerror or error).partition(" (while")[0]
        raise KgraftError(
            f"{host}, port {port}: this cannot be listened on ({reason}). "
            "Name another --host or --port."
        ) from error
    return listener


def within_file_limit(limits: Limits) -> Limits:
    """Return limits with no more connections than the process may hold open files.

    Half of the files are left to the model, and to connections that have been accepted in a burst.
    """
    try:
        import resource
    except ModuleNotFoundError:  # Windows has no such limit
        return limits
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return limits
    return replace(limits, connections=max(1, min(limits.connections, most // 2 - 4 * BURST)))


def server_config(app: Guard, limits: Limits) -> uvicorn.Config:
    """Return uvicorn's settings."""
    return uvicorn.Config(
        app,
        http=limited_protocol(limits),
        ws="none",
        access_log=False,
        log_level=logging.WARNING,
        proxy_headers=False,
        server_header=False,
        backlog=BURST,
        h11_max_incomplete_event_size=MAX_HEAD,
        timeout_keep_alive=round(limits.timeout_seconds),
        timeout_graceful_shutdown=round(limits.timeout_seconds),
    )
