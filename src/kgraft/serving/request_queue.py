"""Queues between requests and the model, each with a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from kgraft.serving.batcher import Batcher
from kgraft.serving.guard import Limits
from kgraft.serving.metrics import Metrics
from kgraft.serving.model_reloader import ModelReloader
from kgraft.serving.served_model import Answers, PredictJob, ServedModel

A = TypeVar("A")


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
            self._call, max_size=1, max_waiting=room, name="call"
        )

    async def predict(self, job: PredictJob) -> Answers:
        """Return the predictions of each query.

        Raises:
            BusyError: If too many requests wait.
            UnknownNameError: If a query has a name that the model does not know.
        """
        return await self._predictions.submit(job, len(job.queries))

    async def call(self, function: Callable[[ServedModel], A]) -> A:
        """Return the result of a function of the model, computed off the event loop.

        Raises:
            BusyError: If too many requests wait.
            Exception: Any error of the function.
        """
        result: A = await self._others.submit(function)
        return result

    def close(self) -> None:
        """Answer the waiting requests, and accept no more."""
        self._predictions.close()
        self._others.close()

    def _predict(self, jobs: Sequence[PredictJob]) -> Sequence[Answers | Exception]:
        self.metrics.block_queries.observe(sum(len(job.queries) for job in jobs))
        return self.reloader.model.predict(jobs)

    def _call(self, functions: Sequence[Callable[[ServedModel], Any]]) -> list[Any]:
        return [function(self.reloader.model) for function in functions]
