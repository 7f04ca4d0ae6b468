"""uvicorn's HTTP protocol with deadlines for slow clients and limits on connections."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, ClassVar

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from kgraft.serving.guard import CLOSE, Limits, error_response


class Turns:
    """Connections whose next request has arrived before the last response was sent (pipelining).

    One of these requests begins in each turn of the event loop, so that many such connections do
    not hold up those that send one request after another.
    """

    def __init__(self) -> None:
        self._waiting = deque[LimitedProtocol]()

    def add(self, connection: LimitedProtocol) -> None:
        """Let a connection wait for its turn."""
        self._waiting.append(connection)
        if len(self._waiting) == 1:
            connection.loop.call_soon(self._next)

    def _next(self) -> None:
        connection = self._waiting.popleft()
        if self._waiting:
            connection.loop.call_soon(self._next)
        connection.take_turn()


class JoiningTransport:
    """A transport that sends a response's head together with the beginning of its body.

    Args:
        transport: The transport.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send data, or keep them until the next call if they are the head of a response."""
        if not self._head and data.startswith(b"HTTP/1.1 ") and data[9:10] != b"1":
            self._head = data
        else:
            data, self._head = self._head + data, b""
            self._transport.write(data)

    def close(self) -> None:
        """Send what was kept, and close the transport."""
        self.write(b"")
        self._transport.close()


class LimitedProtocol(H11Protocol):
    """A connection that is closed if its client is too slow.

    uvicorn limits the size of a request's head, and the idle time after a response. It sets no
    deadline for a first request, for a head that arrives byte by byte, and for reading a response;
    at its ``limit_concurrency`` idle connections keep new ones out. It begins pipelined requests at
    once, also while their client reads no response, and works on for clients that have left.
    """

    limits: ClassVar[Limits]
    turns: ClassVar[Turns]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._last_data = self.loop.time()
        self._task: asyncio.Task[Any] | None = None
        self._is_waiting = False  # for its turn
        self._inner: ASGIApp = self.app
        self.app = self._answer

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the deadline of the first request; refuse it if there are too many connections."""
        super().connection_made(JoiningTransport(transport))  # type: ignore[arg-type]
        # The next request begins when the operating system has taken the last response.
        transport.set_write_buffer_limits(high=0)
        self._start("request")
        most = self.limits.connections
        if len(self.connections) > most and not self._close_idle():
            headers = {"Retry-After": str(self.limits.retry_seconds), **CLOSE}
            problem = f"this server has {most} connections already; try again"
            self._inner = error_response(503, problem, headers)

    def data_received(self, data: bytes) -> None:
        """Start the deadline with the first byte of a request, stop it with its head's end."""
        self._last_data = self.loop.time()
        if "request" not in self._timers and self._is_idle():
            self._start("request")
        super().data_received(data)
        if not self._is_idle():
            self._stop("request")

    def handle_events(self) -> None:
        """Read what has arrived, but for a pipelined request, which waits for its turn."""
        if not self._is_waiting:
            super().handle_events()

    def on_response_complete(self) -> None:
        """Let the next request wait for its turn if it has arrived already."""
        self._is_waiting = bool(self.conn.trailing_data[0])
        super().on_response_complete()
        if self._is_waiting and not self.transport.is_closing():
            self.flow.pause_reading()
            if not self.flow.write_paused:
                self.turns.add(self)

    def take_turn(self) -> None:
        """Begin the request that has waited."""
        self._is_waiting = False
        if not self.transport.is_closing():
            self.flow.resume_reading()
            self.handle_events()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all deadlines, and the work on a request."""
        self._stop("request")
        self._stop("response")
        super().connection_lost(exc)
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """Start the deadline for the client to read its response."""
        super().pause_writing()
        self._start("response")

    def resume_writing(self) -> None:
        """Stop the deadline: the client has read its response, and may have its turn."""
        super().resume_writing()
        self._stop("response")
        if self._is_waiting:
            self.turns.add(self)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, until its client leaves or the server stops."""
        self._task = task = asyncio.current_task()
        try:
            await self._inner(scope, receive, send)
        except asyncio.CancelledError:
            self.cycle.disconnected = True  # so that uvicorn logs nothing
            self.transport.abort()
        finally:
            if self._task is task:
                self._task = None

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
    return type("Protocol", (LimitedProtocol,), {"limits": limits, "turns": Turns()})
