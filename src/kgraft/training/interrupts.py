"""Interrupts deferred to a point from which the work can be resumed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from kgraft.system.messages import ending_signals


class Interrupts:
    """Deferred signals."""

    def __init__(self) -> None:
        self._waiting: list[int] = []

    @property
    def waiting(self) -> bool:
        """Whether a signal is deferred."""
        return bool(self._waiting)

    def hold(self, number: int) -> None:
        """Defer a signal."""
        self._waiting.append(number)

    def let_through(self) -> None:
        """Raise the deferred signals."""
        while self._waiting:
            signal.raise_signal(self._waiting.pop())


@contextmanager
def held_back(wanted: bool = True) -> Iterator[Interrupts]:
    """Defer the first signal that would end the process, until ``let_through``.

    A second signal finds the earlier handlers.
    """
    interrupts = Interrupts()
    earlier = ending_signals() if wanted else {}

    def put_back() -> None:
        for number, handler in earlier.items():
            signal.signal(number, handler)

    def hold(number: int, _: FrameType | None) -> None:
        put_back()
        interrupts.hold(number)

    for number in earlier:
        signal.signal(number, hold)
    try:
        yield interrupts
        interrupts.let_through()
    finally:
        put_back()
