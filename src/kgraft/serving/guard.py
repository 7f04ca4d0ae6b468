"""Limits on clients, and the ASGI middleware that checks requests and completes responses."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Collection
from dataclasses import dataclass

from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kgraft.serving.metrics import Metrics

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Headers of every response: the page loads from this server and from nowhere else."""

_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

PROTECTED = ("/v1/", "/metrics", "/mcp")
"""Prefixes of the paths that need the token; the page itself holds no data."""

READING = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing."""

BEARER = HTTPBearer(auto_error=False, description="The token that the server was started with.")
"""Reads the token of a request, and declares it in the API's description."""

LEFT = 499
"""Status that counts a request whose client has left before its response, as nginx has it."""

CLOSE = {"Connection": "close"}
"""Header of a response to a request whose body is not read, so the connection cannot be reused."""


@dataclass(frozen=True)
class Limits:
    """Limits that keep one client from taking the server away from the others.

    Args:
        block_queries: Queries answered in one block.
        queue_length: Requests that may wait for the model; more get status 503.
        facts_per_entity: Facts of one entity that are listed.
        body_bytes: Size of a request's body.
        connections: Open connections. A new one replaces the one that has been idle for the
            longest time; if none is idle, it gets status 503.
        timeout_seconds: Time for a whole request to arrive, and for a response to be read.
        ask_seconds: Time for the answer to a query of several facts.
        retry_seconds: Value of Retry-After with status 503.
    """

    block_queries: int = 128
    queue_length: int = 512
    facts_per_entity: int = 200
    body_bytes: int = 1 << 20
    connections: int = 400
    timeout_seconds: float = 10.0
    ask_seconds: float = 5.0
    retry_seconds: int = 1


LIMITS = Limits()


@dataclass(frozen=True)
class Guard:
    """ASGI middleware that checks host, token and body, adds security headers, counts requests.

    Starlette's ``TrustedHostMiddleware`` answers a wrong host with a plain 400 that does not name
    it. FastAPI reads and parses a body before its dependencies run, so the token is checked here.

    Args:
        app: The app.
        metrics: Counters of requests.
        limits: Limits on a request's body.
        token: Token that clients send, if one is needed.
        hosts: Accepted host names; None accepts all. A foreign page whose name resolves to this
            machine (DNS rebinding) sends that name, and is refused.

    Browsers say from which site's page a request comes (``Sec-Fetch-Site``); other programs do not.
    """

    app: ASGIApp
    metrics: Metrics
    limits: Limits
    token: str | None
    hosts: Collection[str] | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the app, or refuse it."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        start, status = time.perf_counter(), 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_RAW_HEADERS]
            await send(message)

        try:
            app = await self._refusal(scope) or self.app
            await app(scope, self._limited(receive), send_with_headers)
        except asyncio.CancelledError:
            status = LEFT
            raise
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self.metrics.count_request(route, status, time.perf_counter() - start)

    async def _refusal(self, scope: Scope) -> JSONResponse | None:
        """Return the response to a request that is refused."""
        headers = Headers(scope=scope)
        host = _host_name(headers.get("host", ""))
        if self.hosts is not None and host not in self.hosts:
            names = " or ".join(sorted(self.hosts))
            return error_response(421, f"this server is not {host!r}; ask for {names}")
        protected = scope["path"].startswith(PROTECTED)
        if protected and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return error_response(
                403, "a page of another site may not ask this server; open its own"
            )
        if protected and scope["method"] not in READING and _comes_from_elsewhere(headers):
            return error_response(
                403, "a page of another site may not change anything here; open its own"
            )
        if self.token is not None and protected:
            sent = await BEARER(HTTPConnection(scope))
            token = b"" if sent is None else sent.credentials.encode()
            if not hmac.compare_digest(token, self.token.encode()):
                problem = (
                    "this server asks for a token; send the header 'Authorization: Bearer TOKEN'"
                )
                return error_response(401, problem, {"WWW-Authenticate": "Bearer"})
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length[:20]) > self.limits.body_bytes:
            return error_response(413, self._too_large(), CLOSE)
        return None

    def _limited(self, receive: Receive) -> Receive:
        """Return a channel that fails if the body is too large or arrives too slowly."""
        deadline = asyncio.get_running_loop().time() + self.limits.timeout_seconds
        size, complete = 0, False

        async def limited() -> Message:
            nonlocal size, complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                seconds = f"{self.limits.timeout_seconds:g} seconds"
                problem = f"the body did not arrive within {seconds}; send it"
                raise HTTPException(408, problem, CLOSE) from None
            size += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if size > self.limits.body_bytes:
                raise HTTPException(413, self._too_large(), CLOSE)
            return message

        return limited

    def _too_large(self) -> str:
        return f"a request's body has at most {self.limits.body_bytes:,} bytes; send fewer"


def error_response(
    status: int, problem: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return a response with a sentence about a problem."""
    sentence = problem if problem.endswith((".", "?")) else f"{problem}."
    return JSONResponse({"detail": sentence}, status, headers)


def _comes_from_elsewhere(headers: Headers) -> bool:
    """Return True for a request of a browser that only says which site's page it comes from.

    A browser that sends no ``Sec-Fetch-Site`` still names the page's origin with whatever is no
    mere reading.
    """
    origin = headers.get("origin")
    if origin is None or "sec-fetch-site" in headers:
        return False
    return origin.partition("://")[2].lower() != headers.get("host", "").lower()


def _host_name(header: str) -> str:
    """Return the name in a Host header, without its port."""
    name, colon, port = header.rpartition(":")
    return (name if colon and port.isdigit() else header).strip("[]").lower()
