"""One step's queries, as places among the rows that they use, on the CPU or a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """B queries and the U distinct entity rows that they and their negatives use.

    Queries of one path stand together, ``steps`` of them, in its order.

    Args:
        entities: int64 ``(U,)``, distinct entity rows; all of them are candidates.
        relations: int64 ``(V,)``, distinct relation rows.
        heads: int64 ``(B,)``, positions in ``entities``.
        predicates: int64 ``(B,)``, positions in ``relations``.
        tails: int64 ``(B,)``, positions in ``entities``: each query's answer.
        known: int64 ``(M,)``, where the scores of other true answers are, in the flattened scores
            ``(B, U)``.
        inferred: float ``(B,)``, 1 for queries that ask for a fact that no source states, else 0.
        weights: float ``(B,)``, how much each query counts.
        uses: float ``(U + V,)``, how many ends of queries each entity is, and how many queries
            are about each relation.
        discounts: float ``(U,)``, what each entity's score counts less as a candidate.
        steps: Queries of a path; 1 where every query is a path of its own.
        infers: Whether any query is ``inferred``.
        seed: Makes further draws of the step.
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
    steps: int = 1
    infers: bool = False
    seed: tuple[int, ...] = (0,)
    further: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.heads)

    def tensors(self) -> dict[str, Tensor]:
        """Return its own tensors by name."""
        found = {own.name: getattr(self, own.name) for own in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, Tensor)}

    def on(self, device: torch.device) -> Batch:
        """Return the batch on a device; the device is not waited for."""
        own, further = (_sent(x, device) for x in (self.tensors(), self.further))
        return replace(self, further=further, **own)  # type: ignore[arg-type]


def _sent(tensors: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Return flat tensors on a device, all of one type sent as one: each sending has its price."""
    sent: dict[str, Tensor] = {}
    for kind in {x.dtype for x in tensors.values()}:
        alike = {name: x for name, x in tensors.items() if x.dtype == kind}
        packed = torch.cat(list(alike.values()))
        if device.type == "cuda":
            packed = packed.pin_memory()
        there = packed.to(device, non_blocking=True)
        parts = torch.split(there, [len(x) for x in alike.values()])
        sent |= dict(zip(alike, parts, strict=True))
    return sent
