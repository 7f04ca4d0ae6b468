"""Protocol of scorers, common to all ways to answer."""

from __future__ import annotations

from typing import Protocol

import torch

from kgraft.graph.known_facts import Side


def directed(relations: torch.Tensor, side: Side, n_relations: int) -> torch.Tensor:
    """Return the rows of relations ``(b,)``, for queries for heads those of their inverses."""
    return relations if side == "tail" else relations + n_relations


class Scorer(Protocol):
    """Anything that scores candidates for queries."""

    def score(
        self,
        anchors: torch.Tensor,
        relations: torch.Tensor,
        *,
        side: Side,
        candidates: torch.Tensor | None = None,
        out: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the scores of candidates for each query, float ``(b, c)``; higher is better.

        Args:
            anchors: Given entity of each query, int64 ``(b,)``.
            relations: Relation of each query, int64 ``(b,)``.
            side: The missing end.
            candidates: Entity rows to score, int64 ``(c,)``; by default all, in order.
            out: Memory that a scorer may use for the scores, float32 ``(b, c)``, since allocation
                takes a large part of the time of a product.
        """
        ...
