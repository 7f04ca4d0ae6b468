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
from kgraft.training.distinct_facts import distinct_facts
from kgraft.training.sampler import TripleSampler

OWN_NEGATIVES = 0.5
"""Share of the negatives that are drawn from a worker's own entities, whose rows are not sent."""


class ShardedSampler(TripleSampler):
    """Samples one worker's part of each batch: as many queries of ``batch_size`` as it has of all.

    A query belongs to the worker that owns its head, so that this has the answers to all of its
    queries; with paths, whose further queries begin anywhere, all facts. ``negatives`` are drawn
    for the worker's part, most of them from its own entities.

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
        sources: NDArray[np.integer],
        weights: NDArray[np.floating] | None,
        known_false: Triples,
        path_length: int = 1,
        **how: Any,
    ) -> None:
        self._workers = workers
        self._n_all = len(known_false)
        self._n_entities, self._path_length = n_entities, path_length
        self._batch_size, self._negatives = how["batch_size"], how["negatives"]
        self._uses = self._uses_of(known_false)
        if path_length == 1:
            known_false = known_false[self._owns(known_false[:, ::2]).any(axis=1)]
        super().__init__(
            triples,
            n_entities,
            n_relations,
            sources=sources,
            weights=weights,
            known_false=known_false,
            path_length=path_length,
            **how,
        )
        del self._uses

    def _parts(self, triples: Triples) -> Iterator[tuple[Triples, NDArray[np.int64]]]:
        """Yield the distinct facts with an own end, with paths all, and count those of all."""
        for facts, first in distinct_facts(triples):
            self._n_all += len(facts)
            self._uses += self._uses_of(facts)
            if self._path_length == 1:
                own = self._owns(facts[:, ::2]).any(axis=1)
                yield facts[own], first[own]
            else:
                yield facts, first

    def _answers(self) -> AnswerIndex:
        """Return the answers of the queries whose heads this worker owns, with paths of all."""
        asked = self._owns if self._path_length == 1 else None
        return AnswerIndex.of(self.facts, self._n_entities, self._n_relations, asked)

    @property
    def n_queries(self) -> int:
        """Queries of all workers in an epoch."""
        return 2 * self._n_all * self._path_length

    def candidate_probabilities(self) -> NDArray[np.float64]:
        """Return the probability of each entity to be a candidate of this worker's part."""
        uses = np.zeros(self._n_entities, dtype=np.int64)
        for facts in (self.facts, self._known_false):
            for head in (0, 2):
                asked = self._owns(facts[:, head])
                for end in (0, 2):
                    uses += self._counts(facts[asked, end])
        own = slice(self._workers.number, None, self._workers.count)
        n_own = self._n_own_negatives
        negatives = np.full(self._n_entities, (self._negatives - n_own) / self._n_entities)
        negatives[own] += n_own / max(self._workers.n_own(self._n_entities), 1)
        return self._probabilities(uses, negatives)

    def relation_probabilities(self) -> NDArray[np.float64]:
        """Return the probability of each relation, inverses too, to be in this worker's part."""
        uses = np.zeros(2 * self._n_relations, dtype=np.int64)
        for facts in (self.facts, self._known_false):
            for head, first in ((0, 0), (2, self._n_relations)):
                asked = facts[self._owns(facts[:, head]), 1]
                uses[first:][: self._n_relations] += np.bincount(asked, minlength=self._n_relations)
        return self._probabilities(uses, 0.0)

    def _counts(self, entities: NDArray[np.integer]) -> NDArray[np.int64]:
        return np.bincount(entities, minlength=self._n_entities)

    def _uses_of(self, facts: Triples) -> NDArray[np.int64]:
        """Return how often each entity is an end of a query of facts, both ends of two each."""
        return 2 * (self._counts(facts[:, 0]) + self._counts(facts[:, 2]))

    def _corrections(self, exponent: float) -> tuple[Tensor, Tensor]:
        """Return one process's logQ correction, and that of what this worker samples otherwise.

        The exponent does not scale the latter, since a query's candidates come mostly from its
        head's worker, but its answers from all. Answers, always candidates, get it back.
        """
        alone = np.log(self._probabilities(self._uses, self._negatives / self._n_entities))
        excess = np.log(self.candidate_probabilities()) - alone
        both = (exponent * alone + excess).astype(np.float32), excess.astype(np.float32)
        logq, shift = map(torch.from_numpy, both)
        return logq, shift

    def _probabilities(
        self, uses: NDArray[np.int64], negatives: NDArray[np.float64] | float
    ) -> NDArray[np.float64]:
        """Return the probabilities of entities that are ends of queries so often, or negatives."""
        per_query = self._paths_per_batch * self._path_length / (2 * self._n_all)
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

    def _own(self, order: NDArray[np.integer], facts: Triples) -> NDArray[np.integer]:
        own = order[self._owns(np.concatenate([facts[:, 0], facts[:, 2]]))]
        if not len(own):
            raise DataError(
                f"worker {self._workers.number} of {self._workers.count} owns no end of a fact",
                remedy="Take fewer workers",
            )
        return own

    def _batches(
        self, order: NDArray[np.integer], draw: np.random.Generator
    ) -> Iterator[NDArray[np.integer]]:
        """Yield as many batches as other workers do, of sizes that differ by one at the most."""
        draw.shuffle(order)
        size, n_own, n_all = self._paths_per_batch, len(order), 2 * self._n_all
        for start in range(0, n_all, size):
            begin, end = (n_own * min(x, n_all) // n_all for x in (start, start + size))
            yield order[min(begin, n_own - 1) : max(begin + 1, end)]

    def _draw_negatives(self, draw: np.random.Generator) -> Rows:
        count, n_own = self._workers.count, self._n_own_negatives
        own = draw.integers(max(self._workers.n_own(self._n_entities), 1), size=n_own)
        anywhere = draw.integers(self._n_entities, size=self._negatives - n_own)
        return np.concatenate([own * count + self._workers.number, anywhere])
