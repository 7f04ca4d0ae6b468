"""What every request passes before the app sees it, and every answer on its way out."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from fastapi.responses import JSONResponse

from kgraft.serving.limits import Limits
from kgraft.serving.metrics import Metrics

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "object-src 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""Sent with every answer: a page of ours loads from this server and from nowhere else."""

GUARDED = ("/v1/", "/metrics")
"""Paths that begin so ask for the token, where there is one; the page itself holds no data."""


class Guard:
    """Keeps out what should not reach the app.

    Args:
        app: The app.
        metrics: Where requests are counted.
        limits: What is taken.
        token: What clients have to show, if anything.
        hosts: The names that the server goes by; None takes any. A page elsewhere that has its own
            name resolved to this machine sends that name, and so is told from our own page.
    """

    def __init__(
        self,
        app: App,
        metrics: Metrics,
        limits: Limits,
        token: str | None = None,
        hosts: Collection[str] | None = None,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._limits = limits
        self._token = None if token is None else f"Bearer {token}".encode()
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or say why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        try:
            headers = dict(scope["headers"])
            problem = self._refusal(scope["path"], headers)
            if problem is None:
                body, problem = await self._body(headers, receive)
            if problem is not None:
                await problem(scope, receive, sending)
            else:
                await self._app(scope, _once(body, receive), sending)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.observe(route, status, time.perf_counter() - begin)

    def _refusal(self, path: str, headers: dict[bytes, bytes]) -> JSONResponse | None:
        """Return what is answered to a request that is not let in."""
        host = _host(headers.get(b"host", b"").decode("latin-1"))
        if self._hosts is not None and host not in self._hosts:
            return refused(421, f"this server does not go by the name {host!r}")
        shown = headers.get(b"authorization", b"")
        if (
            self._token is not None
            and path.startswith(GUARDED)
            and not hmac.compare_digest(shown, self._token)
        ):
            return refused(
                401,
                "this server asks for a token; send the header 'Authorization: Bearer TOKEN'",
                {"WWW-Authenticate": "Bearer"},
            )
        return None

    async def _body(
        self, headers: dict[bytes, bytes], receive: Receive
    ) -> tuple[bytes, JSONResponse | None]:
        """Return the whole body, or what is answered if it is too large or too slow."""
        most = self._limits.body
        # What is left of a refused body is not read, so the connection cannot be used again.
        close = {"Connection": "close"}
        large = refused(413, f"a request's body has at most {most:,} bytes; send fewer", close)
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > most:
            return b"", large
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.seconds):
                while True:
                    message = await receive()
                    body += message.get("body", b"")
                    if len(body) > most:
                        return b"", large
                    if not message.get("more_body", False):
                        return bytes(body), None
        except TimeoutError:
            seconds = f"{self._limits.seconds:g} seconds"
            return b"", refused(408, f"the body did not arrive within {seconds}; send it", close)


def refused(status: int, problem: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an answer that says in a sentence why there is no other."""
    sentence = problem if problem.endswith((".", "?")) else f"{problem}."
    return JSONResponse({"detail": sentence}, status, headers)


def _host(header: str) -> str:
    """Return the name in a Host header, without its port."""
    name, colon, port = header.rpartition(":")
    return (name if colon and port.isdigit() else header).strip("[]").lower()


def _once(body: bytes, receive: Receive) -> Receive:
    """Return a channel that gives the body, which has been received, and then what comes."""
    given = False

    async def receiving() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving
