"""Batches: shuffled queries, shared negatives, and which candidates are no negatives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import KnownFacts
from kgraft.graph.vocabulary import Rows
from kgraft.training.walks import Walker


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
        known: int64 ``(2, M)``, query and candidate of other true answers.
        steps: Queries of a path; 1 where every query is a path of its own.
    """

    entities: Tensor
    relations: Tensor
    heads: Tensor
    predicates: Tensor
    tails: Tensor
    known: Tensor
    steps: int = 1

    def __len__(self) -> int:
        return len(self.heads)


class Batches:
    """All batches of an epoch, drawn from a seed and the epoch's number.

    Every fact is two queries, ``(h, r, ?)`` and ``(t, inverse of r, ?)``, and with more steps each
    of the two begins a path of so many queries.

    Args:
        triples: Facts, int64 ``(n, 3)``; repeats count once.
        sources: The source of each fact, ``(n,)``.
        n_entities: Number of entity rows.
        n_relations: Number of relations, inverses not counted.
        steps: Facts in a path.
        batch_size: Queries per batch.
        negatives: Entities drawn per batch.
        seed: Seeds all draws.
    """

    def __init__(
        self,
        triples: Triples,
        n_entities: int,
        n_relations: int,
        *,
        sources: NDArray[np.integer] | None = None,
        steps: int = 1,
        batch_size: int,
        negatives: int,
        seed: int,
    ) -> None:
        distinct, first = np.unique(triples, axis=0, return_index=True)
        inverse = distinct[:, ::-1] + np.array([0, n_relations, 0])
        self.queries = np.concatenate([distinct, inverse])
        origin = np.zeros(len(triples), dtype=np.int16) if sources is None else sources
        self._sources = np.tile(origin[first], 2)
        self._walker = Walker(triples, origin, n_entities, n_relations) if steps > 1 else None
        self._steps = steps
        self._known = KnownFacts(self.queries)
        self._column = np.full(n_entities, -1, dtype=np.int64)
        self._batch_size = batch_size
        self._negatives = negatives
        self._seed = seed

    def __len__(self) -> int:
        return -(-len(self.queries) // self._paths_per_batch)

    @property
    def n_queries(self) -> int:
        """Queries in an epoch."""
        return len(self.queries) * self._steps

    @property
    def _paths_per_batch(self) -> int:
        return max(1, self._batch_size // self._steps)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of one epoch; the same number gives the same batches."""
        draw = np.random.default_rng([self._seed, number])
        order = draw.permutation(len(self.queries))
        for start in range(0, len(order), self._paths_per_batch):
            place = order[start : start + self._paths_per_batch]
            chosen = self.queries[place]
            if self._walker is not None:
                paths = self._walker.go_on(chosen, self._sources[place], self._steps, draw)
                chosen = paths.reshape(-1, 3)
            negatives = draw.integers(len(self._column), size=self._negatives)
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
        return Batch(
            entities=_tensor(entities),
            relations=_tensor(relations),
            heads=_tensor(places[:size]),
            predicates=_tensor(predicate_places),
            tails=_tensor(tail_places),
            known=_tensor(np.stack([query[other], column[other]])),
            steps=self._steps,
        )


def _tensor(array: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))
