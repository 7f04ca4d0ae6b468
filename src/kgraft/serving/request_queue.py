"""Queues between requests and the model, answered in blocks by a thread of their own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from kgraft.serving.guard import Limits
from kgraft.serving.metrics import Metrics
from kgraft.serving.model_reloader import ModelReloader
from kgraft.serving.schema import Predictions, PredictJob, QueryAnswers, encoded
from kgraft.serving.served_model import Answers, ServedModel

J = TypeVar("J")
A = TypeVar("A")


class BusyError(Exception):
    """The queue is full, or closed."""


class _Waiting(NamedTuple, Generic[J, A]):
    job: J
    size: int
    answer: asyncio.Future[A]


@dataclass(eq=False)
class Batcher(Generic[J, A]):
    """A queue of jobs, answered in blocks by a thread.

    While one block is being answered the next one gathers, so that blocks grow with the load and
    a lone job is answered at once. All calls come from one event loop.

    Args:
        work: Answers jobs, each with its answer or its own exception.
        max_size: Largest sum of sizes in one block; a larger job is a block of its own.
        max_waiting: Jobs that may wait.
        name: Name of the thread.
    """

    work: Callable[[Sequence[J]], Sequence[A | Exception]]
    max_size: int
    max_waiting: int
    name: str

    def __post_init__(self) -> None:
        self._jobs = deque[_Waiting[J, A]]()
        self._thread = ThreadPoolExecutor(1, self.name)
        self._running: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Return the number of waiting jobs."""
        return len(self._jobs)

    async def submit(self, job: J, size: int = 1) -> A:
        """Return the answer to a job.

        Raises:
            BusyError: If too many jobs wait, or the batcher is closed.
            Exception: The job's own error.
        """
        if len(self._jobs) >= self.max_waiting:
            raise BusyError
        loop = asyncio.get_running_loop()
        waiting = _Waiting[J, A](job, size, loop.create_future())
        self._jobs.append(waiting)
        if self._running is None:
            self._running = loop.create_task(self._run())
        try:
            return await waiting.answer
        except asyncio.CancelledError:
            # The job of a client that has left takes no place, and is not worked on.
            with suppress(ValueError):
                self._jobs.remove(waiting)
            raise

    def close(self) -> None:
        """Accept no more jobs, and end the thread after its block."""
        self.max_waiting = 0
        self._thread.shutdown()

    async def _run(self) -> None:
        """Answer blocks until no job waits."""
        loop = asyncio.get_running_loop()
        try:
            while self._jobs:
                block = self._next_block()
                jobs = [x.job for x in block]
                try:
                    answers = await loop.run_in_executor(self._thread, self.work, jobs)
                except Exception as error:
                    answers = [error] * len(block)
                for waiting, answer in zip(block, answers, strict=True):
                    if waiting.answer.done():
                        continue
                    if isinstance(answer, Exception):
                        waiting.answer.set_exception(answer)
                    else:
                        waiting.answer.set_result(answer)
        finally:
            self._running = None

    def _next_block(self) -> list[_Waiting[J, A]]:
        """Take as many jobs as fit into a block."""
        taken: list[_Waiting[J, A]] = []
        size = 0
        while self._jobs and (not taken or size + self._jobs[0].size <= self.max_size):
            size += self._jobs[0].size
            taken.append(self._jobs.popleft())
        return taken


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
        self._predictions = Batcher[PredictJob, bytes](
            self._predict, max_size=limits.block_queries, max_waiting=room, name="predict"
        )
        self._others = Batcher[Callable[[ServedModel], Any], bytes](
            lambda functions: [encoded(function(reloader.model)) for function in functions],
            max_size=1,
            max_waiting=room,
            name="call",
        )

    async def predict(self, job: PredictJob) -> bytes:
        """Return the predictions of each query as JSON.

        Raises:
            BusyError: If too many requests wait.
            UnknownNameError: If the model does not know a name.
            KgraftError: If facts cannot be folded in.
        """
        if job.facts or job.links or job.texts:
            # Folding in takes as long as many queries, so it waits with other slow requests.
            return await self.call(lambda model: _response(model.predict_with_facts(job)))
        return await self._predictions.submit(job, len(job.queries))

    async def call(self, function: Callable[[ServedModel], Any]) -> bytes:
        """Return the result of a function of the model as JSON; raise as ``predict`` does."""
        return await self._others.submit(function)

    def close(self) -> None:
        """Finish the blocks under way, and accept no more requests."""
        self._predictions.close()
        self._others.close()

    def _predict(self, jobs: Sequence[PredictJob]) -> Sequence[bytes | Exception]:
        self.metrics.block_queries.observe(sum(len(job.queries) for job in jobs))
        found = self.reloader.model.predict(jobs)
        return [x if isinstance(x, Exception) else _encoded(x) for x in found]


def _response(answers: Answers) -> Predictions:
    return Predictions([QueryAnswers(list(found)) for found in answers])


def _encoded(answers: Answers) -> bytes:
    return encoded(_response(answers))
