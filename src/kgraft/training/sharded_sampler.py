"""Sampling of one worker's share of each step: the queries whose heads it owns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.vocabulary import Rows
from kgraft.system.workers import Workers
from kgraft.training.answer_index import AnswerIndex
from kgraft.training.distinct_facts import distinct_queries
from kgraft.training.fact_queries import FactQueries, IndexedQueries, Queries
from kgraft.training.sampler import KNOWN_FALSE, TripleSampler

OWN_NEGATIVES = 0.5
"""Share of the negatives that are drawn from a worker's own entities, whose rows are not sent."""

COUNTED_AT_ONCE = 1 << 20
"""Queries whose entities and relations are counted at once."""


class ShardedSampler(TripleSampler):
    """Samples one worker's part of each batch: as many queries of ``batch_size`` as it has of all.

    A query belongs to the worker that owns its head, so that this needs no other facts than those
    with an own end; with paths, whose further queries begin anywhere, all. Of these only the
    index of answers is kept, from which queries are read. ``negatives`` are drawn for the worker's
    part, most of them from its own entities.

    Args:
        triples: The facts of all workers.
        n_entities: Number of entities of all workers.
        n_relations: As in ``TripleSampler``.
        workers: The workers.
        sources: As in ``TripleSampler``, as all further arguments; there are no pseudo-facts.

    Raises:
        DataError: If there is no query for this worker.
    """

    def __init__(
        self,
        triples: Triples,
        n_entities: int,
        n_relations: int,
        *,
        workers: Workers,
        **how: Any,
    ) -> None:
        self._workers = workers
        super().__init__(triples, n_entities, n_relations, **how)

    def _indexed(
        self,
        triples: Triples,
        sources: NDArray[np.integer],
        weights: NDArray[np.floating] | None,
    ) -> AnswerIndex:
        """Index the answers of the queries whose heads this worker owns, with paths of all."""
        is_path = self._path_length > 1
        own_sources, own_weights = list[NDArray[np.integer]](), list[NDArray[np.float32]]()

        def parts() -> Iterator[Triples]:
            asked = None if is_path else self._owns
            for queries, first in distinct_queries(triples, self._n_relations, asked):
                if is_path:
                    own_sources.append(sources[first])
                if weights is not None:
                    own_weights.append(weights[first].astype(np.float32))
                yield queries

        sizes = self._n_entities, self._n_relations
        answers = AnswerIndex.of_parts(parts(), 2 * len(triples), *sizes)
        n_false = len(self._known_false)
        of_false = np.full(n_false, KNOWN_FALSE), np.full(n_false, -1.0, np.float32)
        self._queries = IndexedQueries(
            answers,
            FactQueries(self._known_false, of_false[0], of_false[1], self._n_relations),
            np.concatenate(own_sources) if own_sources else None,
            np.concatenate(own_weights) if own_weights else None,
        )
        n_own = len(answers)
        if self._has_others:
            n_own = sum(len(queries) for queries in self._own_queries())
        self._n_all = int(self._workers.sum(torch.tensor([n_own])))
        return answers

    @property
    def n_facts(self) -> int:
        """Distinct facts of all workers."""
        return self._n_all // 2 - len(self._known_false)

    @property
    def n_queries(self) -> int:
        """Queries of all workers in an epoch."""
        return self._n_all * self._path_length

    @property
    def _has_others(self) -> bool:
        """True if queries of other workers are kept too."""
        return self._path_length > 1 or len(self._known_false) > 0

    def _pieces(self) -> Iterator[Triples]:
        """Yield the queries that are kept, piece by piece."""
        for start in range(0, len(self._queries), COUNTED_AT_ONCE):
            end = min(start + COUNTED_AT_ONCE, len(self._queries))
            yield self._queries.take(np.arange(start, end))[0]

    def _own_queries(self) -> Iterator[Triples]:
        """Yield this worker's queries, piece by piece."""
        return (queries[self._owns(queries[:, 0])] for queries in self._pieces())

    def _own_uses(self) -> NDArray[np.int64]:
        """Return how often each entity is an end of one of this worker's queries."""
        uses = np.zeros(self._n_entities, dtype=np.int64)
        for queries in self._own_queries():
            np.add.at(uses, queries[:, ::2].reshape(-1), 1)
        return uses

    def candidate_probabilities(self) -> NDArray[np.float64]:
        """Return the probability of each entity to be a candidate of this worker's part."""
        return self._candidate_probabilities(self._own_uses(), 0)

    def _candidate_probabilities(self, uses: NDArray[np.int64], first: int) -> NDArray[np.float64]:
        """Return the probabilities of entities from ``first`` on that are used so often."""
        n_own = self._n_own_negatives
        anywhere = (self._negatives - n_own) / self._n_entities
        of_own = anywhere + n_own / max(self._workers.n_own(self._n_entities), 1)
        is_own = self._owns(np.arange(first, first + len(uses)))
        return self._probabilities(uses, np.where(is_own, of_own, anywhere))

    def relation_probabilities(self) -> NDArray[np.float64]:
        """Return the probability of each relation, inverses too, to be in this worker's part."""
        uses = np.zeros(2 * self._n_relations, dtype=np.int64)
        for queries in self._own_queries():
            uses += np.bincount(queries[:, 1], minlength=len(uses))
        return self._probabilities(uses, 0.0)

    def _corrections(self, exponent: float) -> tuple[Tensor, Tensor]:
        """Return one process's logQ correction, and that of what this worker samples otherwise.

        The exponent does not scale the latter, since a query's candidates come mostly from its
        head's worker, but its answers from all. Answers, always candidates, get it back.
        """
        own = self._own_uses()
        logq, shift = (np.empty(self._n_entities, dtype=np.float32) for _ in range(2))
        for first in range(0, self._n_entities, COUNTED_AT_ONCE):
            here = slice(first, first + COUNTED_AT_ONCE)
            of_all = self._workers.sum(torch.from_numpy(own[here].copy())).numpy()
            alone = np.log(self._probabilities(of_all, self._negatives / self._n_entities))
            excess = np.log(self._candidate_probabilities(own[here], first)) - alone
            logq[here], shift[here] = exponent * alone + excess, excess
        return torch.from_numpy(logq), torch.from_numpy(shift)

    def _probabilities(
        self, uses: NDArray[np.int64], negatives: NDArray[np.float64] | float
    ) -> NDArray[np.float64]:
        """Return the probabilities of entities that are ends of queries so often, or negatives."""
        per_query = self._paths_per_batch * self._path_length / self._n_all
        probabilities: NDArray[np.float64] = -np.expm1(-(uses * per_query + negatives))
        return probabilities

    def _owns(self, entities: NDArray[np.integer]) -> NDArray[np.bool_]:
        owned: NDArray[np.bool_] = entities % self._workers.count == self._workers.number
        return owned

    @property
    def _n_own_negatives(self) -> int:
        has_own = self._workers.n_own(self._n_entities) > 0
        return int(OWN_NEGATIVES * self._negatives) if has_own else 0

    def _generator(self, number: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, number, self._workers.number])

    def _asked(self, draw: np.random.Generator) -> Queries:  # noqa: ARG002 (nothing is drawn)
        return self._queries

    def _own_places(self, asked: Queries) -> NDArray[np.integer]:
        places = super()._own_places(asked)
        if self._has_others:
            masks = [self._owns(queries[:, 0]) for queries in self._pieces()]
            places = places[np.concatenate(masks)]
        if not len(places):
            raise DataError(
                f"worker {self._workers.number} of {self._workers.count} owns no end of a fact",
                remedy="Take fewer workers",
            )
        return places

    def _batches(
        self, order: NDArray[np.integer], draw: np.random.Generator
    ) -> Iterator[NDArray[np.integer]]:
        """Yield as many batches as other workers do, of sizes that differ by one at the most."""
        draw.shuffle(order)
        size, n_own, n_all = self._paths_per_batch, len(order), self._n_all
        for start in range(0, n_all, size):
            begin, end = (n_own * min(x, n_all) // n_all for x in (start, start + size))
            yield order[min(begin, n_own - 1) : max(begin + 1, end)]

    def _draw_negatives(self, draw: np.random.Generator) -> Rows:
        count, n_own = self._workers.count, self._n_own_negatives
        own = draw.integers(max(self._workers.n_own(self._n_entities), 1), size=n_own)
        anywhere = draw.integers(self._n_entities, size=self._negatives - n_own)
        return np.concatenate([own * count + self._workers.number, anywhere])
