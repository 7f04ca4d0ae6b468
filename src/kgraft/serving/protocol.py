"""HTTP as uvicorn speaks it, with clients that dawdle or crowd sent away."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from kgraft.serving.guard import Receive, Scope, Send, refused
from kgraft.serving.limits import Limits

CROWD = 2
"""Times as many connections as are served, beyond which new ones are not even told why not."""


def protocol(limits: Limits) -> type[H11Protocol]:
    """Return uvicorn's protocol with limits on the connections and on the time they take.

    uvicorn itself waits for ever for a request's headers, and for a client to take its answer.
    """

    class LimitedProtocol(H11Protocol):
        """A connection that has to get on with it."""

        _dawdling: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > CROWD * limits.connections:
                transport.abort()
            elif len(self.connections) > limits.connections:
                self.app = _crowded(limits)
            self._hurry()

        def data_received(self, data: bytes) -> None:
            if self._dawdling is None and self._idle():
                self._hurry()
            super().data_received(data)
            if not self._idle():
                self._relax()

        def connection_lost(self, exc: Exception | None) -> None:
            self._relax()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._hurry()

        def resume_writing(self) -> None:
            super().resume_writing()
            self._relax()

        def _idle(self) -> bool:
            """Say whether no request is being answered; headers may be on their way."""
            return self.cycle is None or self.cycle.response_complete

        def _hurry(self) -> None:
            self._relax()
            self._dawdling = self.loop.call_later(limits.seconds, self.transport.abort)

        def _relax(self) -> None:
            if self._dawdling is not None:
                self._dawdling.cancel()
                self._dawdling = None

    return LimitedProtocol


def _crowded(limits: Limits) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = {"Retry-After": str(limits.retry), "Connection": "close"}
        sentence = f"this server has {limits.connections} connections already; try again"
        await refused(503, sentence, headers)(scope, receive, send)

    return app
