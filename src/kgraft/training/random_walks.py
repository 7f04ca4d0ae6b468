"""Biased random walks over a joint graph, vectorised over walkers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.grouped_index import offsets
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.vocabulary import Rows

MAX_PROPOSALS = 8
"""The maximum number of proposals for a step; the last one is accepted."""


@dataclass(frozen=True)
class WalkBias:
    """Probabilities in (0, 1] of accepting proposed steps of three kinds.

    After the depth and cross-graph biases of Guo et al. (RSN, ICML 2019, section 3.2).

    Args:
        stay: To a fact of the same source as the previous fact.
        back: Back to the previous entity.
        shallow: To a neighbour of the previous entity.
    """

    stay: float = 0.5
    back: float = 0.05
    shallow: float = 0.5

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value <= 1:
                raise ValueError(f"{name} is a probability above 0 and at most 1, not {value}")


class Walker:
    """Random walker along facts in either direction.

    Args:
        triples: Facts, int64 ``(n, 3)``.
        sources: The source of each fact, ``(n,)``.
        n_entities: Number of entity rows.
        n_relations: Number of relations, inverses not counted.
        bias: Acceptance probabilities.
    """

    def __init__(
        self,
        triples: Triples,
        sources: NDArray[np.integer],
        n_entities: int,
        n_relations: int,
        bias: WalkBias | None = None,
    ) -> None:
        heads, relations, tails = triples.T
        origins = np.concatenate([heads, tails])
        order = np.argsort(origins, kind="stable")
        self._first = offsets(origins[order], n_entities)
        self._goal = np.concatenate([tails, heads])[order]
        self._relation = np.concatenate([relations, relations + n_relations])[order]
        self._source = np.concatenate([sources, sources])[order]
        self._pairs = np.unique(origins * n_entities + np.concatenate([tails, heads]))
        self._n_entities = n_entities
        self._bias = bias or WalkBias()

    def extend(
        self, facts: Triples, sources: NDArray[np.integer], length: int, draw: np.random.Generator
    ) -> Triples:
        """Extend facts to paths by random walks from their tails.

        Args:
            facts: First fact of each path, int64 ``(n, 3)``; relation ``r + n_relations`` is the
                inverse of ``r``.
            sources: The source of each, ``(n,)``.
            length: ``L``, number of facts in a path.
            draw: Random generator.

        Returns:
            The facts of each path, int64 ``(n, L, 3)``; each begins where the previous one ends.
        """
        path = np.empty((len(facts), length, 3), dtype=np.int64)
        path[:, 0] = facts
        source = sources
        for step in range(1, length):
            before, here = path[:, step - 1, 0], path[:, step - 1, 2]
            edge = self._next_edge(before, here, source, draw)
            path[:, step] = np.stack([here, self._relation[edge], self._goal[edge]], axis=1)
            source = self._source[edge]
        return path

    def _propose(self, here: Rows, draw: np.random.Generator) -> Rows:
        """Return an edge of each entity, drawn uniformly."""
        first, last = self._first[here], self._first[here + 1]
        return first + (draw.random(len(here)) * (last - first)).astype(np.int64)

    def _next_edge(
        self, before: Rows, here: Rows, source: NDArray[np.integer], draw: np.random.Generator
    ) -> Rows:
        """Return the next edge of each walker, by rejection sampling."""
        chosen = self._propose(here, draw)
        open_ = np.arange(len(here))
        for _ in range(MAX_PROPOSALS):
            accepted = self._acceptance(before[open_], source[open_], chosen[open_])
            open_ = open_[draw.random(len(open_)) >= accepted]
            if not len(open_):
                break
            chosen[open_] = self._propose(here[open_], draw)
        return chosen

    def _acceptance(
        self, before: Rows, source: NDArray[np.integer], edge: Rows
    ) -> NDArray[np.float64]:
        """Return the acceptance probability of each proposal."""
        goal = self._goal[edge]
        probability = np.where(self._source[edge] == source, self._bias.stay, 1.0)
        key = before * self._n_entities + goal
        place = np.minimum(np.searchsorted(self._pairs, key), len(self._pairs) - 1)
        probability *= np.where(self._pairs[place] == key, self._bias.shallow, 1.0)
        return np.where(goal == before, self._bias.back, probability)
