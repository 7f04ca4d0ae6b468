"""Signals deferred to a point from which a training can be resumed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from kgraft.system.messages import ending_signals


class Interrupts:
    """Deferred signals."""

    def __init__(self) -> None:
        self._pending: list[int] = []

    @property
    def pending(self) -> bool:
        """True if a signal is deferred."""
        return bool(self._pending)

    def defer(self, number: int) -> None:
        """Defer a signal."""
        self._pending.append(number)

    def release(self) -> None:
        """Raise the deferred signals."""
        while self._pending:
            signal.raise_signal(self._pending.pop())


@contextmanager
def defer_signals(wanted: bool = True) -> Iterator[Interrupts]:
    """Defer the first signal that would end the process, until ``release``; not a second one."""
    interrupts = Interrupts()
    handlers = ending_signals() if wanted else {}

    def restore() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def defer(number: int, _: FrameType | None) -> None:
        restore()
        interrupts.defer(number)

    for number in handlers:
        signal.signal(number, defer)
    try:
        yield interrupts
        interrupts.release()
    finally:
        restore()
