"""Queues between requests and the model, answered in blocks by a thread of their own."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from kgraft.serving.guard import Limits
from kgraft.serving.metrics import Metrics
from kgraft.serving.model_reloader import ModelReloader
from kgraft.serving.served_model import Answers, PredictJob, ServedModel

J = TypeVar("J")
A = TypeVar("A")


class BusyError(Exception):
    """The queue is full, or closed."""


class _Waiting(NamedTuple, Generic[J, A]):
    job: J
    size: int
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[A]


class Batcher(Generic[J, A]):
    """A queue of jobs and a thread that answers them in blocks.

    While one block is being answered the next one gathers, so that blocks grow with the load and
    a lone job is answered at once.

    Args:
        work: Answers jobs, each with its answer or its own exception.
        max_size: Largest sum of sizes in one block; a larger job is a block of its own.
        max_waiting: Jobs that may wait.
        name: Name of the thread.
    """

    def __init__(
        self,
        work: Callable[[Sequence[J]], Sequence[A | Exception]],
        *,
        max_size: int,
        max_waiting: int,
        name: str,
    ) -> None:
        self._work = work
        self._max_size = max_size
        self._max_waiting = max_waiting
        self._jobs: deque[_Waiting[J, A]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Return the number of waiting jobs."""
        return len(self._jobs)

    async def submit(self, job: J, size: int = 1) -> A:
        """Return the answer to a job.

        Raises:
            BusyError: If too many jobs wait, or the batcher is closed.
            Exception: The job's own error.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting[J, A](job, size, loop, loop.create_future())
        with self._changed:
            if self._closed or len(self._jobs) >= self._max_waiting:
                raise BusyError
            self._jobs.append(waiting)
            self._changed.notify()
        return await waiting.answer

    def close(self) -> None:
        """Answer the waiting jobs, accept no more, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while block := self._next_block():
            block = [x for x in block if not x.answer.cancelled()]
            try:
                answers = self._work([x.job for x in block]) if block else []
            except Exception as error:
                answers = [error] * len(block)
            for loop in {x.loop for x in block}:
                own = [(x, y) for x, y in zip(block, answers, strict=True) if x.loop is loop]
                if not loop.is_closed():
                    loop.call_soon_threadsafe(_deliver, own)

    def _next_block(self) -> list[_Waiting[J, A]]:
        """Wait for jobs and take as many as fit; return none when the batcher is closed."""
        with self._changed:
            while not self._jobs and not self._closed:
                self._changed.wait()
            taken: list[_Waiting[J, A]] = []
            size = 0
            while self._jobs and (not taken or size + self._jobs[0].size <= self._max_size):
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


class RequestQueue:
    """Two queues of requests: predictions, answered in blocks, and all others, one by one.

    A slow explanation so delays no prediction.

    Args:
        reloader: The model.
        limits: Limits on blocks and queues.
    """

    def __init__(self, reloader: ModelReloader, limits: Limits) -> None:
        self.reloader = reloader
        self.limits = limits
        self.metrics = Metrics(lambda: len(self._predictions) + len(self._others))
        room = limits.queue_length
        self._predictions = Batcher[PredictJob, Answers](
            self._predict, max_size=limits.block_queries, max_waiting=room, name="predict"
        )
        self._others = Batcher[Callable[[ServedModel], Any], Any](
            lambda functions: [function(reloader.model) for function in functions],
            max_size=1,
            max_waiting=room,
            name="call",
        )

    async def predict(self, job: PredictJob) -> Answers:
        """Return the predictions of each query; raise ``BusyError`` if too many requests wait."""
        return await self._predictions.submit(job, len(job.queries))

    async def call(self, function: Callable[[ServedModel], A]) -> A:
        """Return the result of a function of the model; raise as ``predict`` and the function."""
        result: A = await self._others.submit(function)
        return result

    def close(self) -> None:
        """Answer the waiting requests, and accept no more."""
        self._predictions.close()
        self._others.close()

    def _predict(self, jobs: Sequence[PredictJob]) -> Sequence[Answers | Exception]:
        self.metrics.block_queries.observe(sum(len(job.queries) for job in jobs))
        return self.reloader.model.predict(jobs)
