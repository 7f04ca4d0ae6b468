"""uvicorn's HTTP protocol with deadlines for slow clients and a limit on connections."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from kgraft.serving.guard import CLOSE, Limits, error_response


class LimitedProtocol(H11Protocol):
    """A connection that is closed if its client is too slow.

    uvicorn limits the size of a request's head, and the idle time after a response. It sets no
    deadline for a first request, for a head that arrives byte by byte, and for reading a response;
    at its ``limit_concurrency`` idle connections keep new ones out.
    """

    limits: ClassVar[Limits]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._last_data = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the deadline of the first request; refuse it if there are too many connections."""
        super().connection_made(transport)
        self._start("request")
        most = self.limits.connections
        if len(self.connections) > most and not self._close_idle():
            headers = {"Retry-After": str(self.limits.retry_seconds), **CLOSE}
            problem = f"this server has {most} connections already; try again"
            self.app = error_response(503, problem, headers)

    def data_received(self, data: bytes) -> None:
        """Start the deadline with the first byte of a request, stop it with its head's end."""
        self._last_data = self.loop.time()
        if "request" not in self._timers and self._is_idle():
            self._start("request")
        super().data_received(data)
        if not self._is_idle():
            self._stop("request")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all deadlines."""
        self._stop("request")
        self._stop("response")
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Start the deadline for the client to read its response."""
        super().pause_writing()
        self._start("response")

    def resume_writing(self) -> None:
        """Stop the deadline: the client has read some of it."""
        super().resume_writing()
        self._stop("response")

    def _close_idle(self) -> bool:
        """Close the connection that has been idle for the longest time, if any is idle."""
        others: Any = self.connections - {self}
        idle = [other for other in others if other._is_idle()]
        if idle:
            oldest: LimitedProtocol = min(idle, key=lambda other: other._last_data)
            self.connections.discard(oldest)
            oldest.transport.abort()
        return bool(idle)

    def _is_idle(self) -> bool:
        """Return whether no request is being answered; a head may be arriving."""
        # Before the first request there is no cycle, although uvicorn's annotation says so.
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _start(self, timer: str) -> None:
        seconds = self.limits.timeout_seconds
        self._timers[timer] = self.loop.call_later(seconds, self.transport.abort)

    def _stop(self, timer: str) -> None:
        if running := self._timers.pop(timer, None):
            running.cancel()


def limited_protocol(limits: Limits) -> type[LimitedProtocol]:
    """Return the protocol with its limits, as the class that uvicorn expects."""
    return type("Protocol", (LimitedProtocol,), {"limits": limits})
