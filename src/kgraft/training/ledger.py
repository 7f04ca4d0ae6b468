"""What steps have computed: kept on the device until it is looked at, for looking waits for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
class _Entry:
    """A step's loss terms and the sums of its gradients, ``(terms + sums,)``."""

    batch: Batch
    names: Sequence[str]
    numbers: Tensor


class Ledger:
    """The steps since the last look, and whether all of them were sound."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._seen: list[tuple[int, dict[str, float]]] = []
        self._sound: Tensor | None = None

    def add(self, batch: Batch, terms: Mapping[str, Tensor], gradients: Sequence[Tensor]) -> None:
        """Write down a step, before it moves anything.

        Args:
            batch: The step's batch.
            terms: Its loss terms, each ``()``.
            gradients: All its gradients.
        """
        # A sum is finite where all its numbers are, or nearly, and takes no memory to look at.
        numbers = torch.stack([*terms.values(), *(x.sum().to(terms["loss"]) for x in gradients)])
        self._entries.append(_Entry(batch, list(terms), numbers))

    def hold(self, gradients: Sequence[Tensor]) -> None:
        """Make gradients zero from the first step on that is not sound, without looking."""
        finite = self._entries[-1].numbers.isfinite().all()
        self._sound = finite if self._sound is None else self._sound & finite
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
                lost = [
                    f"the loss term {name!r} is {value}"
                    for name, value in terms.items()
                    if not math.isfinite(value)
                ]
                cause = lost[0] if lost else "a gradient is not finite"
                raise NotFiniteError(cause, entry.batch, len(self._seen))
            self._seen.append((len(entry.batch), terms))

    def look(self) -> list[tuple[int, dict[str, float]]]:
        """Return the queries and the loss terms of each step since the last look, in order.

        Raises:
            NotFiniteError: As ``check``.
        """
        self.check()
        seen, self._seen = self._seen, []
        return seen
