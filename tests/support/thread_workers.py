"""Workers that are threads of one process, and meet where processes would send."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor

from kgraft.system.workers import WorkerLostError, Workers

T = TypeVar("T")

SECONDS = 60.0
"""The longest time that one waits for another."""


class Meeting:
    """A place where threads hand things to each other, all at the same time."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.barrier = threading.Barrier(count)
        self._slots: list[Any] = [None] * count

    def swap(self, number: int, item: Any) -> list[Any]:
        """Return the items of all."""
        try:
            self._slots[number] = item
            self.barrier.wait(SECONDS)
            found = list(self._slots)
            self.barrier.wait(SECONDS)
        except threading.BrokenBarrierError as error:
            raise WorkerLostError("another thread has ended") from error
        return found


class ThreadWorkers(Workers):
    def __init__(self, number: int, meeting: Meeting) -> None:
        super().__init__(number, meeting.count)
        self._meeting = meeting
        self.messages = 0
        """How often it has exchanged or reduced something."""

    def _all_to_all(
        self, found: Tensor, rows: Tensor, received: list[int], sent: list[int]
    ) -> Callable[[], None]:
        self.messages += 1
        parts = [x[self.number] for x in self._meeting.swap(self.number, rows.split(sent))]
        assert [len(x) for x in parts] == received
        found.copy_(torch.cat(parts))
        self._meeting.swap(self.number, None)  # Others may change what they have handed over.
        return lambda: None

    def _all_reduce(self, values: Tensor, how: Any) -> None:
        self.messages += 1
        found = torch.stack(self._meeting.swap(self.number, values.clone()))
        is_sum = how == torch.distributed.ReduceOp.SUM
        values.copy_(found.sum(0) if is_sum else found.max(0).values)

    def _broadcast(self, values: Tensor) -> None:
        values.copy_(self._meeting.swap(self.number, values.clone())[0])


def together(count: int, work: Callable[[Workers], T]) -> list[T]:
    """Return the results of a work that several workers do together.

    Raises:
        Exception: The first error of one that is not about others.
    """
    meeting = Meeting(count)

    def one(number: int) -> T:
        try:
            return work(ThreadWorkers(number, meeting))
        except BaseException:
            meeting.barrier.abort()
            raise

    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(one, number) for number in range(count)]
    errors = [x.exception() for x in futures]
    own = [x for x in errors if x is not None and not isinstance(x, WorkerLostError)]
    for error in (*own, *errors):
        if error is not None:
            raise error
    return [x.result() for x in futures]
