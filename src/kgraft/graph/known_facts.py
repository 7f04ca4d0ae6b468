"""An index of true facts: which answers of a query are known already."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kgraft.graph.knowledge_graph import Triples, as_triples
from kgraft.graph.sorted_arrays import LARGEST, Ints, changes, smallest_ints, sorted_pairs, spans

Ids = Ints

Side = Literal["head", "tail"]
"""The position that a query asks for; its anchor is the entity at the other one."""


def queries(triples: Triples, side: Side) -> tuple[Ids, Ids, Ids]:
    """Return anchors, relations and answers, each ``(n,)``, of facts asked for one side.

    Raises:
        ValueError: If the side is unknown.
    """
    heads, relations, tails = triples.T
    if side == "tail":
        return heads, relations, tails
    if side == "head":
        return tails, relations, heads
    raise ValueError(f"a side is head or tail, not {side!r}")


def distinct_queries(triples: Triples, side: Side) -> NDArray[np.int64]:
    """Return anchor and relation, each pair once and in order, of facts asked for one side."""
    return np.unique(np.stack(queries(triples, side)[:2], axis=1), axis=0)


class KnownFacts:
    """Known answers of queries, found by binary search.

    Facts stand sorted by anchor, relation and answer, once for each side: 12 bytes a fact and
    side while entities fit 4 bytes. A search needs memory for the answers that it finds, never
    for queries times entities.

    Args:
        triples: Arrays of facts, each ``(n, 3)``; a fact may occur in several.

    Raises:
        ValueError: If an id is negative, or the ids are too large to be told apart by one int64.
    """

    def __init__(self, *triples: ArrayLike) -> None:
        given = [as_triples(x) for x in triples]
        facts = given[0] if len(given) == 1 else np.concatenate([as_triples(()), *given])
        if facts.size and facts.min() < 0:
            raise ValueError("entity and relation ids are not negative")
        self._n_relations = int(facts[:, 1].max(initial=-1)) + 1
        self._n_entities = int(facts[:, ::2].max(initial=-1)) + 1
        if self._n_entities * max(self._n_relations, len(facts)) > LARGEST:
            raise ValueError(
                f"ids up to {self._n_entities} entities and {self._n_relations} relations are too "
                "large for the index; number entities and relations from 0 without gaps"
            )
        self._sides: dict[Side, tuple[Ids, Ids]] = {
            "head": self._sorted(facts, "head"),
            "tail": self._sorted(facts, "tail"),
        }

    def __len__(self) -> int:
        """Return the number of different facts."""
        return len(self._sides["tail"][0])

    def answers(self, anchors: Ids, relations: Ids, side: Side) -> tuple[Ids, Ids]:
        """Return all known answers of a batch of queries.

        Args:
            anchors: Given entity of each query, int64 ``(b,)``.
            relations: Relation of each query, int64 ``(b,)``.
            side: The side that is asked for.

        Returns:
            Position of the query and answering entity, each int64 ``(m,)``; answers of one query
            stand together and ascend.
        """
        starts, stops = self._find(anchors, relations, side)
        query, place = spans(starts, stops - starts)
        return query, self._sides[side][1][place].astype(np.int64)

    def contains(self, triples: ArrayLike) -> NDArray[np.bool_]:
        """Return whether each of the facts, ``(n, 3)``, is known, bool ``(n,)``."""
        anchors, relations, tails = queries(as_triples(triples), "tail")
        starts, stops = self._find(anchors, relations, "tail")
        possible = (starts < stops) & (tails >= 0) & (tails < self._n_entities)
        wanted = starts[possible] * self._n_entities + tails[possible]
        place = np.searchsorted(self._numbers, wanted)
        found = np.zeros(len(tails), dtype=np.bool_)
        found[possible] = self._numbers[np.minimum(place, len(self) - 1)] == wanted
        return found

    @cached_property
    def _numbers(self) -> Ids:
        """One ascending number for each fact: where its (head, relation) starts, and its tail.

        Starts, unlike keys, are at most the number of facts, so the product fits an int64.
        """
        keys, entities = self._sides["tail"]
        return np.searchsorted(keys, keys) * self._n_entities + entities

    def _sorted(self, facts: Triples, side: Side) -> tuple[Ids, Ids]:
        """Return keys of (anchor, relation) and the answers, in order and without duplicates."""
        anchors, relations, entities = queries(facts, side)
        keys = anchors.astype(np.int64) * self._n_relations + relations
        keys, entities = sorted_pairs(keys, entities, self._n_entities)
        new = changes(keys, entities)
        return keys[new], entities[new].astype(smallest_ints(self._n_entities))

    def _find(self, anchors: Ids, relations: Ids, side: Side) -> tuple[Ids, Ids]:
        """Return where the answers of each query start and stop."""
        keys, _ = self._sides[side]
        # Ids beyond those of the index would run into the keys of others.
        possible = (anchors >= 0) & (anchors < self._n_entities)
        possible &= (relations >= 0) & (relations < self._n_relations)
        wanted = np.where(possible, anchors, 0) * self._n_relations + relations
        wanted = np.where(possible, wanted, -1)
        return np.searchsorted(keys, wanted), np.searchsorted(keys, wanted, side="right")
