"""Biased random walks over a joint graph: paths for encoders to learn from.

All walkers of a batch take a step at once; there is no loop over walkers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.grouped_index import offsets
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.vocabulary import Rows

MAX_PROPOSALS = 8
"""Proposals for a step; the last one is taken whatever its odds."""


@dataclass(frozen=True)
class WalkBias:
    """A walker's preferences: probabilities in (0, 1] of accepting a proposal against each.

    After Guo et al. (RSN, ICML 2019, section 3.2), who prefer depth and crossing.

    Args:
        stay: To follow a fact of the source that stated the fact before.
        back: To return to the entity that the walker has just come from.
        shallow: To go to an entity that is itself a neighbour of the one before.
    """

    stay: float = 0.5
    back: float = 0.05
    shallow: float = 0.5

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value <= 1:
                raise ValueError(f"{name} is a probability above 0 and at most 1, not {value}")


class Walker:
    """Walks along facts in either direction.

    Args:
        triples: Facts, int64 ``(n, 3)``.
        sources: The source of each fact, ``(n,)``.
        n_entities: Number of entity rows.
        n_relations: Number of relations, inverses not counted.
        bias: What walkers prefer.
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
        """Extend facts to paths by walking on from their tails; a pure function of the generator.

        Args:
            facts: int64 ``(n, 3)``: the first fact of each path, relation ``r + n_relations``
                being a fact read against its direction.
            sources: The source of each of them, ``(n,)``.
            length: ``L``, facts in a path, the first one counted.
            draw: Random generator.

        Returns:
            int64 ``(n, L, 3)``: the facts of each path, each beginning where the last one ends.
        """
        path = np.empty((len(facts), length, 3), dtype=np.int64)
        path[:, 0] = facts
        came_from = sources
        for step in range(1, length):
            before, here = path[:, step - 1, 0], path[:, step - 1, 2]
            edge = self._choose(before, here, came_from, draw)
            path[:, step] = np.stack([here, self._relation[edge], self._goal[edge]], axis=1)
            came_from = self._source[edge]
        return path

    def _propose(self, here: Rows, draw: np.random.Generator) -> Rows:
        """Return one of each entity's edges, all alike."""
        first, last = self._first[here], self._first[here + 1]
        return first + (draw.random(len(here)) * (last - first)).astype(np.int64)

    def _choose(
        self, before: Rows, here: Rows, came_from: NDArray[np.integer], draw: np.random.Generator
    ) -> Rows:
        """Return each walker's next edge: propose and accept by the bias, a few times."""
        chosen = self._propose(here, draw)
        open_ = np.arange(len(here))
        for _ in range(MAX_PROPOSALS):
            odds = self._acceptance(before[open_], came_from[open_], chosen[open_])
            open_ = open_[draw.random(len(open_)) >= odds]
            if not len(open_):
                break
            chosen[open_] = self._propose(here[open_], draw)
        return chosen

    def _acceptance(
        self, before: Rows, came_from: NDArray[np.integer], edge: Rows
    ) -> NDArray[np.float64]:
        """Return the probability of accepting each proposal."""
        goal = self._goal[edge]
        odds = np.where(self._source[edge] == came_from, self._bias.stay, 1.0)
        key = before * self._n_entities + goal
        place = np.minimum(np.searchsorted(self._pairs, key), len(self._pairs) - 1)
        odds *= np.where(self._pairs[place] == key, self._bias.shallow, 1.0)
        return np.where(goal == before, self._bias.back, odds)
