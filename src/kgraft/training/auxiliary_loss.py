"""The interface of loss terms beside the task's, such as distillation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from kgraft.training.batch import Batch


@dataclass(frozen=True, eq=False)
class StepState:
    """The tensors of a training step that auxiliary loss terms are computed from.

    Args:
        batch: The batch.
        entities: float ``(U, D)``, the rows of ``batch.entities``.
        relations: float ``(V, D)``, the rows of ``batch.relations``.
        queries: float ``(B, D)``, the query vectors.
    """

    batch: Batch
    entities: Tensor
    relations: Tensor
    queries: Tensor


class AuxiliaryLoss(ABC, nn.Module):
    """Loss terms beside the task's, with weights and perhaps parameters of their own."""

    @abstractmethod
    def weights(self, progress: float) -> Mapping[str, float]:
        """Return the weight of each term at a progress of the run from 0 to 1."""

    @abstractmethod
    def prepare_batch(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return what the terms need to know of a batch, on the CPU: ``Batch.auxiliary``."""

    def to_device(self, device: torch.device) -> Self:
        """Move all that the terms are computed with to a device."""
        return self.to(device)

    @abstractmethod
    def forward(self, state: StepState) -> dict[str, Tensor]:
        """Return each term by its name, unweighted."""
