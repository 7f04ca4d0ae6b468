"""One training step's queries: as sampled, and as positions among the rows that they use.

Both may be on the CPU or on a GPU. The queries of a path are adjacent, in the path's order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class SampledBatch:
    """B queries, and N entities that serve as negatives for all of them, in table rows.

    Args:
        ids: int64 ``(3 B + N,)``: heads, relations, tails and negatives, one after the other;
            relations may be inverses.
        values: float ``(2 B,)``: ``is_pseudo`` and ``weights`` of ``Batch``, one after the other.
        size: B.
        path_length: As in ``Batch``, like all further arguments.
        has_pseudo_facts: Whether any query comes from a pseudo-fact.
        has_known_false: Whether any query comes from a fact known to be false.
        number: Position of the step in its epoch, from 0.
        seed: Seed of the epoch's further random choices.
    """

    ids: Tensor
    values: Tensor
    size: int
    path_length: int = 1
    has_pseudo_facts: bool = False
    has_known_false: bool = False
    number: int = 0
    seed: tuple[int, ...] = (0,)

    @property
    def queries(self) -> tuple[Tensor, Tensor, Tensor]:
        """Heads, relations, and tails, which are the answers, each ``(B,)``."""
        heads, relations, tails = self.ids[: 3 * self.size].view(3, self.size)
        return heads, relations, tails

    @property
    def entities(self) -> Tensor:
        """Heads, tails and negatives, ``(2 B + N,)``."""
        heads, _, tails = self.queries
        return torch.cat([heads, tails, self.ids[3 * self.size :]])

    def pin_memory(self) -> SampledBatch:
        """Copy to pinned memory, from which a GPU fetches asynchronously."""
        return replace(self, ids=self.ids.pin_memory(), values=self.values.pin_memory())

    def to(self, device: torch.device) -> SampledBatch:
        """Copy to a device, asynchronously if the batch is pinned."""
        ids, values = (x.to(device, non_blocking=True) for x in (self.ids, self.values))
        return replace(self, ids=ids, values=values)

    def copy_from(self, other: SampledBatch) -> None:
        """Overwrite the tensors with those of a batch of the same size."""
        self.ids.copy_(other.ids, non_blocking=True)
        self.values.copy_(other.values, non_blocking=True)


@dataclass(frozen=True, eq=False)
class Batch:
    """B queries over the U distinct entity rows that they and their negatives use.

    Args:
        entities: int64 ``(U,)``, distinct entity rows; all of them are candidates.
        relations: int64 ``(V,)``, distinct relation rows.
        heads: int64 ``(B,)``, positions in ``entities``.
        relation_positions: int64 ``(B,)``, positions in ``relations``.
        tails: int64 ``(B,)``, positions in ``entities``: the answer of each query.
        known: int64 ``(M,)``, positions of true answers in the flattened scores ``(B, U)``; a
            query's own answer may be among them.
        is_pseudo: float ``(B,)``, 1 for queries from pseudo-facts, else 0.
        weights: float ``(B,)``, weight of each query in the loss; negative where the answer is
            known to be wrong.
        uses: float ``(U + V,)``, number of query ends at each entity, and of queries of each
            relation.
        logq: float ``(U,)``, logQ correction subtracted from each candidate's score.
        original: int64 ``(U + V,)``, for padding rows the position of the row that they repeat, for
            others their own; padding rows are no candidates. ``None`` without padding.
        answer_shift: float ``(B,)``, added to the score of each answer; ``None`` for none.
        path_length: Queries of a path.
        has_pseudo_facts: Whether any query comes from a pseudo-fact.
        has_known_false: Whether any query comes from a fact known to be false.
        number: Position of the step in its epoch, from 0.
        seed: Seed of the epoch's further random choices.
        auxiliary: What the auxiliary loss has prepared for the batch, by name.
    """

    entities: Tensor
    relations: Tensor
    heads: Tensor
    relation_positions: Tensor
    tails: Tensor
    known: Tensor
    is_pseudo: Tensor
    weights: Tensor
    uses: Tensor
    logq: Tensor
    original: Tensor | None = None
    answer_shift: Tensor | None = None
    path_length: int = 1
    has_pseudo_facts: bool = False
    has_known_false: bool = False
    number: int = 0
    seed: tuple[int, ...] = (0,)
    auxiliary: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.heads)

    def tensors(self) -> dict[str, Tensor]:
        """Return its own tensors by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}

    def to(self, device: torch.device) -> Batch:
        """Copy to a device, asynchronously."""
        own, auxiliary = (_to(x, device) for x in (self.tensors(), self.auxiliary))
        return replace(self, auxiliary=auxiliary, **own)  # type: ignore[arg-type]


def _to(tensors: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Copy flat tensors to a device, those of one type packed into one transfer."""
    sent: dict[str, Tensor] = {}
    for kind in {x.dtype: None for x in tensors.values()}:
        alike = {name: x for name, x in tensors.items() if x.dtype == kind}
        packed = torch.cat(list(alike.values()))
        if device.type == "cuda":
            packed = packed.pin_memory()
        there = packed.to(device, non_blocking=True)
        parts = torch.split(there, [len(x) for x in alike.values()])
        sent |= dict(zip(alike, parts, strict=True))
    return sent
