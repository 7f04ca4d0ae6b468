"""One step's queries, as they are drawn, and as places among the rows that they use.

Both may be on the CPU or on a GPU. Queries of one path stand together, in its order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Draw:
    """What is drawn for a step: B queries, and N entities as wrong answers to all of them.

    Args:
        ids: int64 ``(3 B + N,)``: heads, relations, tails and negatives, one after the other, as
            rows of the tables; relations may be inverses.
        counts: float ``(2 B,)``: ``inferred`` and ``weights`` as in ``Batch``.
        size: B.
        steps: As in ``Batch``, and so are the others.
        infers: Whether any query is inferred.
        number: The step's in its epoch, from 0 on.
        seed: Makes the epoch's further draws.
    """

    ids: Tensor
    counts: Tensor
    size: int
    steps: int = 1
    infers: bool = False
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

    def pinned(self) -> Draw:
        """Return the draw where a GPU can fetch it from."""
        return replace(self, ids=self.ids.pin_memory(), counts=self.counts.pin_memory())

    def on(self, device: torch.device) -> Draw:
        """Return a copy on a device, which is not waited for if the draw is pinned."""
        ids, counts = (x.to(device, non_blocking=True) for x in (self.ids, self.counts))
        return replace(self, ids=ids, counts=counts)

    def copy_from(self, other: Draw) -> None:
        """Take the place of this draw's numbers, as ``on`` does, by another's of the same size."""
        self.ids.copy_(other.ids, non_blocking=True)
        self.counts.copy_(other.counts, non_blocking=True)


@dataclass(frozen=True, eq=False)
class Batch:
    """B queries and the U distinct entity rows that they and their negatives use.

    Args:
        entities: int64 ``(U,)``, distinct entity rows; all of them are candidates.
        relations: int64 ``(V,)``, distinct relation rows.
        heads: int64 ``(B,)``, positions in ``entities``.
        predicates: int64 ``(B,)``, positions in ``relations``.
        tails: int64 ``(B,)``, positions in ``entities``: each query's answer.
        known: int64 ``(M,)``, where the scores of true answers are, in the flattened scores
            ``(B, U)``; that of a query's own answer may be among them.
        inferred: float ``(B,)``, 1 for queries that ask for a fact that no source states, else 0.
        weights: float ``(B,)``, how much each query counts.
        uses: float ``(U + V,)``, how many ends of queries each entity is, and how many queries
            are about each relation.
        discounts: float ``(U,)``, what each entity's score counts less as a candidate.
        copies: int64 ``(U + V,)``, of each entity and each relation whose copy it is, mostly its
            own place; copies are no candidates and nothing uses them. ``None`` where there is none.
        steps: Queries of a path; 1 where every query is a path of its own.
        infers: Whether any query is ``inferred``.
        number: The step's in its epoch, from 0 on.
        seed: Makes the epoch's further draws.
        further: What further loss terms have found about the batch, by name.
    """

    entities: Tensor
    relations: Tensor
    heads: Tensor
    predicates: Tensor
    tails: Tensor
    known: Tensor
    inferred: Tensor
    weights: Tensor
    uses: Tensor
    discounts: Tensor
    copies: Tensor | None = None
    steps: int = 1
    infers: bool = False
    number: int = 0
    seed: tuple[int, ...] = (0,)
    further: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.heads)

    def tensors(self) -> dict[str, Tensor]:
        """Return its own tensors by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}

    def on(self, device: torch.device) -> Batch:
        """Return the batch on a device; the device is not waited for."""
        own, further = (_sent(x, device) for x in (self.tensors(), self.further))
        return replace(self, further=further, **own)  # type: ignore[arg-type]


def _sent(tensors: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Return flat tensors on a device, all of one type sent as one: each sending has its price."""
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
