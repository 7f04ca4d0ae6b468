"""The protocol of scorers, and scorers by the rows of other graphs."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.graph.known_facts import Side
from kgraft.graph.vocabulary import Rows


def directed(relations: Tensor, side: Side, n_relations: int) -> Tensor:
    """Return the rows of relations ``(b,)``, for queries for heads those of their inverses."""
    return relations if side == "tail" else relations + n_relations


class Scorer(Protocol):
    """Anything that scores candidates for queries."""

    def score(
        self,
        anchors: Tensor,
        relations: Tensor,
        *,
        side: Side,
        candidates: Tensor | None = None,
        out: Tensor | None = None,
    ) -> Tensor:
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


class MappedScorer:
    """A scorer by the rows of a graph, some of which the model may lack.

    Args:
        scorer: A scorer in the model's rows.
        entities: Row in the model of each entity of the graph, or -1, int64 ``(n,)``.
        relations: Row in the model of each relation of the graph, or -1, int64 ``(m,)``.
    """

    def __init__(self, scorer: Scorer, entities: Rows, relations: Rows) -> None:
        self._scorer = scorer
        self.entity_rows, self.relation_rows = entities, relations
        self._entities = torch.from_numpy(entities)
        self._relations = torch.from_numpy(relations)

    @property
    def known(self) -> NDArray[np.bool_]:
        """True for entities of the graph that the model has, bool ``(n,)``."""
        return (self._entities >= 0).numpy()

    def score(
        self,
        anchors: Tensor,
        relations: Tensor,
        *,
        side: Side,
        candidates: Tensor | None = None,
        out: Tensor | None = None,
    ) -> Tensor:
        """Score candidates as ``KgeModel.score`` does, by rows of the graph.

        Candidates that the model lacks score -inf. If it lacks the entity or relation of a query,
        all other candidates score 0.
        """
        rows = self._entities if candidates is None else self._entities[candidates]
        own_anchors, own_relations = self._entities[anchors], self._relations[relations]
        known = rows >= 0
        scores = self._scorer.score(
            own_anchors.clamp(min=0),
            own_relations.clamp(min=0),
            side=side,
            candidates=rows[known],
            out=out if known.all() else None,
        )
        if not known.all():
            of_known = scores
            scores = of_known.new_full((len(anchors), len(rows)), float("-inf"))
            scores[:, known.to(scores.device)] = of_known
        unanswerable = ((own_anchors < 0) | (own_relations < 0)).to(scores.device)
        scores[unanswerable] = torch.where(known, 0.0, float("-inf")).to(scores)
        return scores
