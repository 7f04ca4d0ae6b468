"""A model's scorer by the rows of another graph."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.graph.known_facts import Side
from kgraft.graph.vocabulary import Rows
from kgraft.model.scorer import Scorer


class MappedScorer:
    """A scorer by the rows of a graph, some of which the model may lack.

    Args:
        scorer: A scorer in the model's rows.
        entities: Row in the model of each entity of the graph, or -1, int64 ``(n,)``.
        relations: Row in the model of each relation of the graph, or -1, int64 ``(m,)``.
    """

    def __init__(self, scorer: Scorer, entities: Rows, relations: Rows) -> None:
        self._scorer = scorer
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
