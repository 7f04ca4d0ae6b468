"""Scores of the entities that one worker owns, for queries about entities of any worker."""

from __future__ import annotations

import torch
from torch import Tensor

from kgraft.graph.known_facts import Side
from kgraft.graph.vocabulary import Rows
from kgraft.model.kge import KgeModel, memory_of_scores, score_blocks
from kgraft.model.products import product
from kgraft.model.scorer import directed
from kgraft.system.workers import Workers
from kgraft.training.sharded_rows import Route


class ShardScorer:
    """Scorer of a worker's own candidates; all workers make one at the same time.

    Args:
        model: The model with this worker's entities, without a frequency prior.
        anchors: int64 ``(a,)``, the entities that queries are about, ascending, in rows of the
            whole table. Their vectors are fetched.
        workers: The workers.
    """

    def __init__(self, model: KgeModel, anchors: Rows, workers: Workers) -> None:
        self._model, self._workers, self._anchors = model, workers, torch.from_numpy(anchors)
        (route,) = Route.of_each([self._anchors.to(model.device)], workers)
        fetched = route.fetch(model.vectors(route.own)).to(model.entities.dtype)
        self._asked = KgeModel(model.settings, fetched, model.relations, model.encoder)
        sizes = torch.zeros(workers.count, dtype=torch.int64)
        sizes[workers.number] = model.n_entities
        self.n_entities = int(workers.sum(sizes).sum())

    def score(
        self,
        anchors: Tensor,
        relations: Tensor,
        *,
        side: Side,
        candidates: Tensor | None = None,
        out: Tensor | None = None,
    ) -> Tensor:
        """Score candidates, which this worker owns, as ``KgeModel.score`` does."""
        places = torch.searchsorted(self._anchors, anchors).to(self._model.device)
        asked = directed(relations, side, self._model.n_relations).to(self._model.device)
        queries = self._asked.queries(places, asked)
        rows = self._model.entities
        if candidates is not None:
            rows = rows[(candidates // self._workers.count).to(self._model.device)]
        out = memory_of_scores(queries, len(rows), out)
        for block in score_blocks(len(queries), len(rows), on_cpu=out.device.type == "cpu"):
            product(queries, rows[block].to(queries.dtype), out=out[:, block])
        return out
