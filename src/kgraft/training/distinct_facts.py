"""The distinct facts of a joint graph, found range by range of heads, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.grouped_index import first_of_each
from kgraft.graph.knowledge_graph import Triples
from kgraft.system.arrays import over_pieces, positions_where, take_rows

SORTED_AT_ONCE = 1 << 24
"""Facts that are sorted at once, but for those of one head."""


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
    for begin, end in _head_ranges(triples):
        places = _about(triples, begin, end)
        facts = take_rows(triples, places)
        first = first_of_each(facts)
        yield facts[first], places[first]


def _about(triples: Triples, begin: int, end: int) -> NDArray[np.int64]:
    """Return the positions of the facts with heads from ``begin`` to below ``end``."""
    return positions_where(lambda x: (x[:, 0] >= begin) & (x[:, 0] < end), triples)


def _head_ranges(triples: Triples) -> Iterator[tuple[int, int]]:
    """Yield ranges of heads that have ``SORTED_AT_ONCE`` facts together, or a head more."""
    largest = max(over_pieces(lambda piece: int(piece[:, 0].max()), triples))
    counts = np.zeros(largest + 1, dtype=np.int64)
    counted = over_pieces(lambda piece: np.unique(piece[:, 0], return_counts=True), triples)
    for heads, n_facts in counted:
        counts[heads] += n_facts
    ends = np.cumsum(counts)
    begin = done = 0
    while begin <= largest:
        end = max(int(np.searchsorted(ends, done + SORTED_AT_ONCE, side="right")), begin + 1)
        yield begin, end
        begin, done = end, int(ends[end - 1])
