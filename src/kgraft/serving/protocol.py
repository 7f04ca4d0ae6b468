"""HTTP as uvicorn speaks it, with clients that dawdle or crowd sent away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from kgraft.serving.guard import Receive, Scope, Send, refused
from kgraft.serving.limits import Limits


class LimitedProtocol(H11Protocol):
    """A connection that has to get on with it.

    uvicorn itself waits for ever for a request's head, and for a client to take its answer.
    """

    limits: ClassVar[Limits]

    _heard = 0.0
    _reading: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, or to turn it away."""
        super().connection_made(transport)
        self._heard = self.loop.time()
        self._reading = self._deadline()
        if len(self.connections) > self.limits.connections and not self._make_room():
            self.app = _crowded(self.limits)

    def data_received(self, data: bytes) -> None:
        """Wait no longer once a request's head is there."""
        self._heard = self.loop.time()
        if self._reading is None and self._idle():
            self._reading = self._deadline()
        super().data_received(data)
        if not self._idle():
            self._reading = _stopped(self._reading)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._reading = _stopped(self._reading)
        self._writing = _stopped(self._writing)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait for the client to take its answer."""
        super().pause_writing()
        self._writing = self._deadline()

    def resume_writing(self) -> None:
        """Wait no longer: it has taken some of it."""
        super().resume_writing()
        self._writing = _stopped(self._writing)

    def _make_room(self) -> bool:
        """Close the connection that has been idle for the longest time, if any is."""
        others: Iterable[Any] = self.connections - {self}
        idle = [other for other in others if other._idle()]
        if not idle:
            return False
        longest: LimitedProtocol = min(idle, key=lambda other: other._heard)
        self.connections.discard(longest)
        longest.transport.abort()
        return True

    def _idle(self) -> bool:
        """Say whether no request is being answered; a head may be on its way."""
        # Before the first request there is no cycle, whatever uvicorn's annotation says.
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _deadline(self) -> asyncio.TimerHandle:
        return self.loop.call_later(self.limits.seconds, self.transport.abort)


def protocol(limits: Limits) -> type[LimitedProtocol]:
    """Return the protocol with its limits, in the form that uvicorn takes."""
    return type("Protocol", (LimitedProtocol,), {"limits": limits})


def _stopped(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """Stop a timer, where there is one, and return that there is none."""
    if timer is not None:
        timer.cancel()
    return None


def _crowded(limits: Limits) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = {"Retry-After": str(limits.retry), "Connection": "close"}
        sentence = f"this server has {limits.connections} connections already; try again"
        await refused(503, sentence, headers)(scope, receive, send)

    return app
