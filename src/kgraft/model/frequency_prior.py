"""Which answers are usual along a relation, as the product of two thin tables.

Vectors under a regularizer think too little of it: all that they say of an answer along a relation
depends on the entity that is asked about. This depends on the relation alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class FrequencyPrior:
    """What is added to a score: the relation's row times what tells the answer's from the asked's.

    ``w_r . (u_t - u_h)``, where the second part is the same for all answers: so for ComplEx it is
    the same as K more complex numbers in each row, ``1 + i u`` of entities, ``i w`` of relations.

    Args:
        entities: float32 ``(n, K)``.
        relations: float32 ``(2 m, K)``, inverses last.
    """

    entities: Tensor
    relations: Tensor

    def asked(self, anchors_B: Tensor, relations_B: Tensor) -> tuple[Tensor, Tensor]:
        """Return what queries' rows of relations are ``(B, K)``, and come to so far ``(B, 1)``."""
        rows_BK = self.relations[relations_B]
        return rows_BK, (rows_BK * self.entities[anchors_B]).sum(1, keepdim=True)

    def fits(self, n_entities: int, n_rows: int) -> bool:
        """Say whether the tables are for so many entities and so many rows of relations."""
        sizes = len(self.entities), len(self.relations)
        alike = self.entities.shape[1:] == self.relations.shape[1:]
        return alike and sizes == (n_entities, n_rows)

    def on(self, device: torch.device) -> FrequencyPrior:
        """Return it on a device."""
        return FrequencyPrior(self.entities.to(device), self.relations.to(device))

    def tensors(self) -> dict[str, Tensor]:
        """Return both tables by name."""
        return {"usual.entities": self.entities, "usual.relations": self.relations}
