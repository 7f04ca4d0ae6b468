"""Index of true facts: the known answers of a query."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kgraft.graph.grouped_index import LARGEST, GroupedIndex, Ints
from kgraft.graph.knowledge_graph import Triples, as_triples, no_triples

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
    """Index of facts that finds the known answers of queries by binary search.

    It holds each side's answers grouped by anchor and relation: 4 bytes a fact and side, and 12 a
    query, while entities fit 4 bytes. A search needs memory for the answers that it finds, never
    for queries times entities.

    Args:
        triples: Arrays of facts, each ``(n, 3)``; a fact may occur in several.

    Raises:
        ValueError: If an id is negative, or the ids are too large for one int64 key.
    """

    def __init__(self, *triples: ArrayLike) -> None:
        given = [_as_rows(x) for x in triples] or [no_triples()]
        facts = given[0] if len(given) == 1 else np.concatenate(given)
        if facts.size and facts.min() < 0:
            raise ValueError("entity and relation ids are not negative")
        self._sides: dict[Side, GroupedIndex] = {
            "head": _by_query(facts, "head"),
            "tail": _by_query(facts, "tail"),
        }

    def extended(self, triples: Triples) -> KnownFacts:
        """Return the index with a few more facts, ``(n, 3)``."""
        found = KnownFacts.__new__(KnownFacts)
        found._sides = {}
        for side, index in self._sides.items():
            anchors, relations, answers = queries(triples, side)
            found._sides[side] = index.extended(anchors, relations, values=answers)
        return found

    def __len__(self) -> int:
        """Return the number of different facts."""
        return len(self._sides["tail"].members)

    def answers(self, anchors: Ids, relations: Ids, side: Side) -> tuple[Ids, Ids]:
        """Return all known answers of a batch of queries.

        Args:
            anchors: Given entity of each query, int64 ``(b,)``.
            relations: Relation of each query, int64 ``(b,)``.
            side: The side that is asked for.

        Returns:
            Position of the query and answering entity, each int64 ``(m,)``; both ascend, the
            entity within each query.
        """
        query, answer = self._sides[side].rows(anchors, relations)
        return query, answer.astype(np.int64)

    def contains(self, triples: ArrayLike) -> NDArray[np.bool_]:
        """Tell for each of the facts, ``(n, 3)``, if it is known, bool ``(n,)``."""
        anchors, relations, tails = queries(as_triples(triples), "tail")
        found = np.zeros(len(tails), dtype=np.bool_)
        query, group = self._sides["tail"].groups(anchors, relations)
        size = self._n_tails
        possible = (tails[query] >= 0) & (tails[query] < size)
        query, group = query[possible], group[possible]
        wanted = group * size + tails[query]
        place = np.minimum(np.searchsorted(self._numbers, wanted), len(self) - 1)
        found[query] = self._numbers[place] == wanted
        return found

    @cached_property
    def _n_tails(self) -> int:
        return int(self._sides["tail"].members.max(initial=-1)) + 1

    @cached_property
    def _numbers(self) -> Ids:
        """One ascending number for each fact: its group, times the tails, and its tail."""
        index = self._sides["tail"]
        if len(index) * self._n_tails > LARGEST:
            raise ValueError(f"{len(index)} queries of {self._n_tails} entities are too many")
        numbers = np.repeat(np.arange(len(index)) * self._n_tails, np.diff(index.starts))
        numbers += index.members
        return numbers


def _as_rows(values: ArrayLike) -> Triples:
    """Return facts as they are, if they are an array of whole numbers ``(n, 3)``, else as one."""
    is_array = isinstance(values, np.ndarray) and values.dtype.kind == "i" and values.ndim == 2
    if is_array and values.shape[1] == 3:  # type: ignore[union-attr]
        return values  # type: ignore[return-value]
    return as_triples(values)


def _by_query(facts: Triples, side: Side) -> GroupedIndex:
    anchors, relations, answers = queries(facts, side)
    return GroupedIndex.of(anchors, relations, values=answers)
