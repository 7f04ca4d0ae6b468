"""Losses of training steps, buffered on the device; steps with non-finite numbers found."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kgraft.training.batch import Batch


class NotFiniteError(ArithmeticError):
    """A step with an infinite or undefined loss or gradient; no row has moved since.

    Args:
        cause: What is not finite, as a phrase.
        batch: The step's batch.
        position: Number of steps since the last flush before it.
    """

    def __init__(self, cause: str, batch: Batch, position: int) -> None:
        self.cause = cause
        self.batch = batch
        self.position = position
        super().__init__(cause)


@dataclass(frozen=True, eq=False)
class StepRecord:
    """A step whose numbers are still on the device.

    Args:
        queries: Number of its queries.
        names: Names of its loss terms.
        numbers: The loss terms, then the sum of each gradient.
        batch: Returns its batch, for an error message.
    """

    queries: int
    names: Sequence[str]
    numbers: Tensor
    batch: Callable[[], Batch]


class StepMetrics:
    """Buffer of the steps' losses since the last flush.

    Reading a GPU's numbers synchronises with it, so they are read many steps at a time.
    """

    def __init__(self) -> None:
        self._records: list[StepRecord] = []
        self._checked: list[tuple[int, dict[str, float]]] = []
        self._all_finite: Tensor | None = None

    def add(self, record: StepRecord) -> None:
        """Append a step."""
        self._records.append(record)

    def zero_if_nonfinite(self, numbers: Tensor, gradients: Sequence[Tensor]) -> None:
        """Zero the gradients of a non-finite step and of all later ones, without synchronising.

        Args:
            numbers: As in ``StepRecord``.
            gradients: All gradients of the step, changed in place.
        """
        finite = numbers.isfinite().all()
        if self._all_finite is None:
            self._all_finite = torch.ones_like(finite)
        self._all_finite.logical_and_(finite)
        for gradient in gradients:
            gradient.masked_fill_(~self._all_finite, 0.0)

    def check(self) -> None:
        """Read the buffered steps.

        Raises:
            NotFiniteError: If a step has a loss or gradient that is not finite.
        """
        records, self._records = self._records, []
        if not records:
            return
        numbers = torch.cat([record.numbers for record in records]).tolist()
        for record in records:
            own, numbers = numbers[: len(record.numbers)], numbers[len(record.numbers) :]
            terms = dict(zip(record.names, own, strict=False))
            if not all(map(math.isfinite, own)):
                causes = (
                    f"the loss term {name!r} is {value}"
                    for name, value in terms.items()
                    if not math.isfinite(value)
                )
                cause = next(causes, "a gradient is not finite")
                raise NotFiniteError(cause, record.batch(), len(self._checked))
            self._checked.append((record.queries, terms))

    def flush(self) -> list[tuple[int, dict[str, float]]]:
        """Return the queries and loss terms of each step since the last flush, in order.

        Raises:
            NotFiniteError: As in ``check``.
        """
        self.check()
        checked, self._checked = self._checked, []
        return checked
