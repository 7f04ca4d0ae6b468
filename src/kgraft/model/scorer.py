"""Protocol of scorers, which ranking and prediction use whatever a model answers by."""

from __future__ import annotations

from typing import Protocol

import torch

from kgraft.graph.known_facts import Side


def directed(relations: torch.Tensor, side: Side, n_relations: int) -> torch.Tensor:
    """Return the rows of relations, int64 ``(b,)``, as they are asked along: inverses for heads."""
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
        """Return the scores of all candidates for each query, float ``(b, c)``, higher is better.

        Args:
            anchors: Given entity of each query, int64 ``(b,)``.
            relations: Relation of each query, int64 ``(b,)``.
            side: The position that is asked for.
            candidates: Entity rows to score, int64 ``(c,)``, or None for all in their order.
            out: Memory that the scores may go to, float32 ``(b, c)``: what is fresh costs a good
                part of the product that fills it. A scorer may leave it alone.
        """
        ...
