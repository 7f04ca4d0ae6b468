"""Where requests meet the model: two queues, each with a thread that works it off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from kgraft.inference.predict import Prediction
from kgraft.serving.batcher import Batcher
from kgraft.serving.limits import Limits
from kgraft.serving.metrics import Metrics
from kgraft.serving.model_reloader import ModelReloader
from kgraft.serving.served_model import Asked, ServedModel

A = TypeVar("A")

Answers = tuple[tuple[Prediction, ...], ...]


class RequestQueue:
    """Takes requests, in turn.

    Predictions are answered together. Everything else is asked of the model one by one, in a queue
    of its own, so that a slow explanation holds up no prediction.

    Args:
        live: The model.
        limits: What is taken.
    """

    def __init__(self, live: ModelReloader, limits: Limits) -> None:
        self.live = live
        self.limits = limits
        self.metrics = Metrics(lambda: len(self._predictions) + len(self._others))
        self._predictions = Batcher[Asked, Answers](
            self._predict, most=limits.batch, room=limits.waiting, name="predict"
        )
        self._others = Batcher[Callable[[ServedModel], Any], Any](
            self._each, most=1, room=limits.waiting, name="ask"
        )

    async def predict(self, asked: Asked) -> Answers:
        """Return for each query its answers.

        Raises:
            BusyError: If too many requests wait.
            UnknownNameError: If a query has a name that the model does not know.
        """
        return await self._predictions.ask(asked, len(asked.queries))

    async def ask(self, question: Callable[[ServedModel], A]) -> A:
        """Return what a function of the model returns, computed off the event loop.

        Raises:
            BusyError: If too many requests wait.
            Exception: What the function raises.
        """
        answer: A = await self._others.ask(question)
        return answer

    def close(self) -> None:
        """Answer what waits, and take nothing more."""
        self._predictions.close()
        self._others.close()

    def _predict(self, jobs: Sequence[Asked]) -> Sequence[Answers | Exception]:
        self.metrics.block.observe(sum(len(job.queries) for job in jobs))
        return self.live.current.predict(jobs)

    def _each(self, questions: Sequence[Callable[[ServedModel], Any]]) -> list[Any]:
        return [question(self.live.current) for question in questions]
