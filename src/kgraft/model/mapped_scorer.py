"""A scorer that takes the rows of a graph in place of those of its model."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.graph.known_facts import Side
from kgraft.graph.vocabulary import Rows
from kgraft.model.scorer import Scorer


class MappedScorer:
    """A model's scorer in the rows of a graph; the model may lack some entities and relations.

    Args:
        scorer: A scorer in the model's rows.
        entities: For each entity of the graph its row in the model, or -1, int64 ``(n,)``.
        relations: For each relation of the graph its row in the model, or -1, int64 ``(m,)``.
    """

    def __init__(self, scorer: Scorer, entities: Rows, relations: Rows) -> None:
        self._scorer = scorer
        self._entities = torch.from_numpy(entities)
        self._relations = torch.from_numpy(relations)

    @property
    def known(self) -> NDArray[np.bool_]:
        """True for each of the graph's entities that the model has, bool ``(n,)``."""
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
        """Score candidates as ``KgeModel.score`` does, all ids being rows of the graph.

        Candidates that the model lacks score -inf. For a query whose entity or relation it lacks,
        all others score 0.
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
