"""Batches: shuffled queries, shared negatives, and which candidates are no negatives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import KnownFacts
from kgraft.graph.vocabulary import Rows


@dataclass(frozen=True, eq=False)
class Batch:
    """B queries and the U distinct entity rows that they and their negatives use.

    Args:
        entities: int64 ``(U,)``, distinct entity rows; all of them are candidates.
        relations: int64 ``(V,)``, distinct relation rows.
        heads: int64 ``(B,)``, positions in ``entities``.
        predicates: int64 ``(B,)``, positions in ``relations``.
        tails: int64 ``(B,)``, positions in ``entities``: each query's answer.
        known: int64 ``(2, M)``, query and candidate of other true answers.
    """

    entities: Tensor
    relations: Tensor
    heads: Tensor
    predicates: Tensor
    tails: Tensor
    known: Tensor

    def __len__(self) -> int:
        return len(self.heads)


class Batches:
    """All batches of an epoch, drawn from a seed and the epoch's number.

    Every fact is two queries, ``(h, r, ?)`` and ``(t, inverse of r, ?)``.

    Args:
        triples: Facts, int64 ``(n, 3)``; repeats count once.
        n_entities: Number of entity rows.
        n_relations: Number of relations, inverses not counted.
        batch_size: Queries per batch.
        negatives: Entities drawn per batch.
        seed: Seeds all draws.
        pool: Entity rows that negatives are drawn from; ``None`` is all.
    """

    def __init__(
        self,
        triples: Triples,
        n_entities: int,
        n_relations: int,
        *,
        batch_size: int,
        negatives: int,
        seed: int,
        pool: Rows | None = None,
    ) -> None:
        distinct = np.unique(triples, axis=0)
        inverse = distinct[:, ::-1] + np.array([0, n_relations, 0])
        self.queries = np.concatenate([distinct, inverse])
        self._known = KnownFacts(self.queries)
        self._column = np.full(n_entities, -1, dtype=np.int64)
        self._pool = np.arange(n_entities) if pool is None else pool
        self._batch_size = batch_size
        self._negatives = negatives
        self._seed = seed

    def __len__(self) -> int:
        return -(-len(self.queries) // self._batch_size)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of one epoch; the same number gives the same batches."""
        draw = np.random.default_rng([self._seed, number])
        order = draw.permutation(len(self.queries))
        for start in range(0, len(order), self._batch_size):
            chosen = self.queries[order[start : start + self._batch_size]]
            negatives = self._pool[draw.integers(len(self._pool), size=self._negatives)]
            yield self._batch(chosen, negatives)

    def _batch(self, queries: Triples, negatives: Rows) -> Batch:
        heads, predicates, tails = queries.T
        size = len(queries)
        entities, places = np.unique(np.concatenate([heads, tails, negatives]), return_inverse=True)
        relations, predicate_places = np.unique(predicates, return_inverse=True)
        query, answer = self._known.answers(heads, predicates, "tail")
        self._column[entities] = np.arange(len(entities))
        column = self._column[answer]
        self._column[entities] = -1
        tail_places = places[size : 2 * size]
        other = (column >= 0) & (column != tail_places[query])
        arrays = (
            entities,
            relations,
            places[:size],
            predicate_places,
            tail_places,
            np.stack([query[other], column[other]]),
        )
        return Batch(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))
