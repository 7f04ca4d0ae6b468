"""The distinct facts or queries of a joint graph, found range by range, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.grouped_index import Column, first_of_each
from kgraft.graph.knowledge_graph import Triples
from kgraft.system.arrays import over_pieces, positions_where, take_rows

SORTED_AT_ONCE = 1 << 22
"""Facts or queries that are sorted at once, but for those of one bin of heads."""

BINS = 1 << 16
"""Maximum number of bins of entities, whose facts are counted."""

HEAD, TAIL = 0, 2
"""Columns of a fact."""

Mask = Callable[[Column], NDArray[np.bool_]]


def distinct_facts(triples: Triples) -> Iterator[tuple[Triples, NDArray[np.int64]]]:
    """Yield the distinct facts in parts, in the order of their rows.

    Args:
        triples: Facts, ``(n, 3)``, perhaps mapped.

    Yields:
        Facts ``(k, 3)``, and the first position of each among ``triples``, ``(k,)``.
    """
    if len(triples) <= SORTED_AT_ONCE:
        first = first_of_each(triples)
        yield triples[first], first
        return
    for begin, end in _ranges(triples, [HEAD], _all):
        places = _about(triples, HEAD, begin, end, _all)
        facts = take_rows(triples, places)
        first = _first_of_each(facts, begin)
        yield facts[first], places[first]


def distinct_queries(
    triples: Triples, n_relations: int, asked: Mask | None = None
) -> Iterator[tuple[Triples, NDArray[np.int64]]]:
    """Yield the distinct queries of facts in both directions, in the order of their rows.

    Args:
        triples: Facts, ``(n, 3)``, perhaps mapped.
        n_relations: Number of relations, inverses not counted.
        asked: Masks the entities that are heads of queries; by default all are.

    Yields:
        Queries with their answers, ``(k, 3)``: head, relation ``r`` or ``r + n_relations`` for the
        inverse of ``r``, and answer; and the position of the first fact that gives each, ``(k,)``.
    """
    asked = asked or _all
    for begin, end in _ranges(triples, [HEAD, TAIL], asked):
        forward, backward = (_about(triples, x, begin, end, asked) for x in (HEAD, TAIL))
        turned = take_rows(triples, backward)[:, ::-1].copy()
        turned[:, 1] += n_relations
        queries, places = (
            np.concatenate(x) for x in ((take_rows(triples, forward), turned), (forward, backward))
        )
        first = _first_of_each(queries, begin)
        yield queries[first], places[first]


def _first_of_each(rows: Triples, begin: int) -> NDArray[np.int64]:
    """Return ``first_of_each`` of rows with heads from ``begin`` on; small numbers sort faster."""
    return first_of_each(rows - np.array([begin, 0, 0], dtype=rows.dtype))


def _all(entities: Column) -> NDArray[np.bool_]:
    return np.ones(len(entities), dtype=np.bool_)


def _about(triples: Triples, column: int, begin: int, end: int, asked: Mask) -> NDArray[np.int64]:
    """Return the positions of the facts with an end from ``begin`` to below ``end``, if asked."""

    def mask(piece: Triples) -> NDArray[np.bool_]:
        ends = piece[:, column]
        return (ends >= begin) & (ends < end) & asked(ends)

    return positions_where(mask, triples)


def _ranges(triples: Triples, columns: list[int], asked: Mask) -> Iterator[tuple[int, int]]:
    """Yield ranges of entities that are ends of ``SORTED_AT_ONCE`` facts, or are one bin.

    Args:
        triples: Facts, ``(n, 3)``.
        columns: The ends that count.
        asked: Masks the entities that count.
    """
    largest = max(over_pieces(lambda piece: int(piece[:, columns].max()), triples), default=-1)
    of_bin = 1 + largest // BINS

    def of_piece(piece: Triples) -> NDArray[np.int64]:
        ends = piece[:, columns].ravel()
        return np.bincount(ends[asked(ends)] // of_bin, minlength=1 + largest // of_bin)

    ends = np.cumsum(sum(over_pieces(of_piece, triples), np.zeros(0 if largest < 0 else 1, int)))
    begin = done = 0
    while begin < len(ends):
        end = max(int(np.searchsorted(ends, done + SORTED_AT_ONCE, side="right")), begin + 1)
        yield begin * of_bin, end * of_bin
        begin, done = end, int(ends[end - 1])
