"""What steps have computed: kept on the device until it is looked at, for looking waits for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kgraft.training.batch import Batch


class NotFiniteError(ArithmeticError):
    """A step whose loss or gradient is infinite or no number; no row has moved since.

    Args:
        cause: What is not finite, as a phrase.
        batch: The step's batch.
        place: How many steps lie between the last look and it.
    """

    def __init__(self, cause: str, batch: Batch, place: int) -> None:
        self.cause = cause
        self.batch = batch
        self.place = place
        super().__init__(cause)


@dataclass(frozen=True, eq=False)
class Entry:
    """A step that nobody has looked at yet.

    Args:
        queries: How many it has learned from.
        names: The names of its loss terms.
        numbers: The loss terms and the sum of each gradient.
        batch: Returns its batch, should anybody ask.
    """

    queries: int
    names: Sequence[str]
    numbers: Tensor
    batch: Callable[[], Batch]


class StepMetrics:
    """The steps since the last look, and whether all of them were sound."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._seen: list[tuple[int, dict[str, float]]] = []
        self._sound: Tensor | None = None

    def add(self, entry: Entry) -> None:
        """Write down a step."""
        self._entries.append(entry)

    def hold(self, numbers: Tensor, gradients: Sequence[Tensor]) -> None:
        """Make gradients zero from the first step on that is not sound, without looking.

        Args:
            numbers: As in ``Entry``.
            gradients: All gradients of the step, changed in place.
        """
        finite = numbers.isfinite().all()
        if self._sound is None:
            self._sound = torch.ones_like(finite)
        self._sound.logical_and_(finite)
        for gradient in gradients:
            gradient.masked_fill_(~self._sound, 0.0)

    def check(self) -> None:
        """Look at the steps that nobody has looked at.

        Raises:
            NotFiniteError: If one of them is not sound.
        """
        entries, self._entries = self._entries, []
        if not entries:
            return
        numbers = torch.cat([entry.numbers for entry in entries]).tolist()
        for entry in entries:
            own, numbers = numbers[: len(entry.numbers)], numbers[len(entry.numbers) :]
            terms = dict(zip(entry.names, own, strict=False))
            if not all(map(math.isfinite, own)):
                lost = (
                    f"the loss term {name!r} is {value}"
                    for name, value in terms.items()
                    if not math.isfinite(value)
                )
                cause = next(lost, "a gradient is not finite")
                raise NotFiniteError(cause, entry.batch(), len(self._seen))
            self._seen.append((entry.queries, terms))

    def look(self) -> list[tuple[int, dict[str, float]]]:
        """Return the queries and the loss terms of each step since the last look, in order.

        Raises:
            NotFiniteError: As ``check``.
        """
        self.check()
        seen, self._seen = self._seen, []
        return seen
