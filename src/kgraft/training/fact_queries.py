"""The queries that a sampler draws from, each with its source and weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.knowledge_graph import Triples
from kgraft.training.answer_index import AnswerIndex


class Queries(Protocol):
    """Queries that are found by their places, from 0 on."""

    def __len__(self) -> int: ...

    def take(
        self, places: NDArray[np.integer]
    ) -> tuple[Triples, NDArray[np.integer], NDArray[np.float32]]:
        """Return queries with their answers, int64 ``(k, 3)``, their sources and weights."""


@dataclass(frozen=True, eq=False)
class FactQueries:
    """The queries of facts: the first half asks for tails, the second for heads.

    Args:
        facts: Facts, ``(n, 3)``.
        sources: The source of each, ``(n,)``.
        weights: Weight of each in the loss, ``(n,)``.
        n_relations: Number of relations, inverses not counted.
    """

    facts: Triples
    sources: NDArray[np.integer]
    weights: NDArray[np.float32]
    n_relations: int

    def __len__(self) -> int:
        return 2 * len(self.facts)

    def take(
        self, places: NDArray[np.integer]
    ) -> tuple[Triples, NDArray[np.integer], NDArray[np.float32]]:
        """Return queries with their answers, some along the inverse relation; see ``Queries``."""
        half, place = np.divmod(places, len(self.facts))
        queries, backward = self.facts[place].astype(np.int64), half == 1
        queries[backward] = queries[backward, ::-1] + np.array([0, self.n_relations, 0])
        return queries, self.sources[place], self.weights[place]


@dataclass(frozen=True, eq=False)
class IndexedQueries:
    """The queries of an index of answers, then those of facts known to be false.

    Args:
        answers: The index, a query for each answer.
        known_false: The queries of facts known to be false.
        sources: The source of each query of the index, ``(n,)``; by default 0.
        weights: Weight of each of them in the loss, ``(n,)``; by default 1.
    """

    answers: AnswerIndex
    known_false: FactQueries
    sources: NDArray[np.integer] | None = None
    weights: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.answers) + len(self.known_false)

    def take(
        self, places: NDArray[np.integer]
    ) -> tuple[Triples, NDArray[np.integer], NDArray[np.float32]]:
        """Return queries with their answers; see ``Queries``."""
        is_false = places >= len(self.answers)
        true = places[~is_false]
        queries = np.empty((len(places), 3), dtype=np.int64)
        sources, weights = np.zeros(len(places), np.int64), np.ones(len(places), np.float32)
        queries[~is_false] = self.answers.queries(true)
        if self.sources is not None:
            sources[~is_false] = self.sources[true]
        if self.weights is not None:
            weights[~is_false] = self.weights[true]
        if is_false.any():
            found = self.known_false.take(places[is_false] - len(self.answers))
            queries[is_false], sources[is_false], weights[is_false] = found
        return queries, sources, weights
