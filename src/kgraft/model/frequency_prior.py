"""The frequency prior: log frequencies of answers of a relation, as a product of two thin tables.

Regularised vectors underestimate them, since their scores depend on the entity of the query, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class FrequencyPrior:
    """A term ``w_r . (u_t - u_h)`` of the score of ``(h, r, t)``.

    The part of ``u_h`` is the same for all answers. With it the term equals that of K more complex
    numbers in each row of ComplEx: ``1 + i u`` for entities, ``i w`` for relations.

    Args:
        entities: ``u``, float32 ``(n, K)``.
        relations: ``w``, float32 ``(2 m, K)``, inverses last.
    """

    entities: Tensor
    relations: Tensor

    def queries(self, anchors_B: Tensor, relations_B: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``w_r``, ``(B, K)``, and ``w_r . u_h``, ``(B, 1)``, of queries."""
        rows_BK = self.relations[relations_B]
        return rows_BK, (rows_BK * self.entities[anchors_B]).sum(1, keepdim=True)

    def fits(self, n_entities: int, n_rows: int) -> bool:
        """Check the tables' numbers of rows and their common width."""
        sizes = len(self.entities), len(self.relations)
        alike = self.entities.shape[1:] == self.relations.shape[1:]
        return alike and sizes == (n_entities, n_rows)

    def on(self, device: torch.device) -> FrequencyPrior:
        """Return the prior on a device."""
        return FrequencyPrior(self.entities.to(device), self.relations.to(device))

    def tensors(self) -> dict[str, Tensor]:
        """Return both tables by name."""
        return {"prior.entities": self.entities, "prior.relations": self.relations}
