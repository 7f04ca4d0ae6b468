"""Interrupts that wait until work is at a point from which it can go on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from kgraft.system.messages import ending_signals


class Interrupts:
    """The signals that have come and wait."""

    def __init__(self) -> None:
        self._waiting: list[int] = []

    @property
    def waiting(self) -> bool:
        """Whether one waits."""
        return bool(self._waiting)

    def hold(self, number: int) -> None:
        """Let a signal wait."""
        self._waiting.append(number)

    def let_through(self) -> None:
        """Let what waits do what it would have done at once."""
        while self._waiting:
            signal.raise_signal(self._waiting.pop())


@contextmanager
def held_back(wanted: bool = True) -> Iterator[Interrupts]:
    """Hold back the first signal that would interrupt or end the process, until it is let through.

    A second one finds the handlers that were there before.
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
