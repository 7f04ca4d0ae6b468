"""Further loss terms: what they are told of a step, and what they answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from kgraft.training.batch import Batch


@dataclass(frozen=True, eq=False)
class Step:
    """What a step has computed, for further loss terms.

    Args:
        batch: The batch.
        entities: float ``(U, D)``, the rows of ``batch.entities``.
        relations: float ``(V, D)``, the rows of ``batch.relations``.
        queries: float ``(B, D)``.
    """

    batch: Batch
    entities: Tensor
    relations: Tensor
    queries: Tensor


class Term(ABC, nn.Module):
    """Further loss terms, with weights and perhaps weights of their own to learn."""

    @abstractmethod
    def weights(self, progress: float) -> Mapping[str, float]:
        """Return each term's weight when a share of the run, from 0 to 1, lies behind."""

    @abstractmethod
    def about(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return what the terms need to know of a batch on the CPU, as ``Batch.further``."""

    def on(self, device: torch.device) -> Self:
        """Move what the terms calculate with to a device."""
        return self.to(device)

    @abstractmethod
    def forward(self, step: Step) -> dict[str, Tensor]:
        """Return each term by its name, not yet weighted."""
