"""Concurrent requests answered together: one thread takes what waits and answers it at once."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

J = TypeVar("J")
A = TypeVar("A")


class BusyError(Exception):
    """So many jobs wait already that one more would only wait in vain."""


@dataclass(frozen=True, eq=False)
class _Waiting(Generic[J, A]):
    job: J
    size: int
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[A]


class Batcher(Generic[J, A]):
    """A thread that answers jobs, those that wait together in one call.

    While one block is being answered the next one gathers, so that blocks grow with the load and
    a lone request never waits for company.

    Args:
        work: Answers jobs, each with its answer or the exception that is its own.
        most: The greatest sum of sizes in one call; a larger job comes alone.
        room: How many jobs may wait.
        name: Of the thread.
    """

    def __init__(
        self,
        work: Callable[[Sequence[J]], Sequence[A | Exception]],
        *,
        most: int,
        room: int,
        name: str,
    ) -> None:
        self._work = work
        self._most = most
        self._room = room
        self._jobs: deque[_Waiting[J, A]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Return how many jobs wait."""
        return len(self._jobs)

    async def ask(self, job: J, size: int = 1) -> A:
        """Return the answer to a job.

        Raises:
            BusyError: If there is no room, or the batcher is closed.
            Exception: What the job itself came to.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting[J, A](job, size, loop, loop.create_future())
        with self._changed:
            if self._closed or len(self._jobs) >= self._room:
                raise BusyError
            self._jobs.append(waiting)
            self._changed.notify()
        return await waiting.answer

    def close(self) -> None:
        """Answer what waits, take nothing more, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            # Whoever has gone away in the meantime is not worked for.
            batch = [x for x in batch if not x.answer.cancelled()]
            try:
                answers = self._work([x.job for x in batch]) if batch else []
            except Exception as error:
                answers = [error] * len(batch)
            for loop in {x.loop for x in batch}:
                own = [(x, y) for x, y in zip(batch, answers, strict=True) if x.loop is loop]
                if not loop.is_closed():
                    loop.call_soon_threadsafe(_deliver, own)

    def _next(self) -> list[_Waiting[J, A]]:
        """Wait for jobs and take as many as fit; nothing when there will be no more."""
        with self._changed:
            while not self._jobs and not self._closed:
                self._changed.wait()
            taken: list[_Waiting[J, A]] = []
            size = 0
            while self._jobs and (not taken or size + self._jobs[0].size <= self._most):
                size += self._jobs[0].size
                taken.append(self._jobs.popleft())
            return taken


def _deliver(answers: Sequence[tuple[_Waiting[J, A], A | Exception]]) -> None:
    for waiting, answer in answers:
        if waiting.answer.done():
            continue
        if isinstance(answer, Exception):
            waiting.answer.set_exception(answer)
        else:
            waiting.answer.set_result(answer)
