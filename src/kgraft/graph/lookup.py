"""Rows of a table that are found by numbers in some of its columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.sorted_arrays import LARGEST, Ints, spans

Column = NDArray[np.integer[Any]]

SIEVE = 1 << 22
"""Places, a power of two, in which keys are marked: what is certainly none is not searched for."""


class Keys:
    """Distinct numbers, and which of many others are among them.

    Args:
        ordered: The numbers, ascending, from 0 on.
    """

    def __init__(self, ordered: Ints) -> None:
        self._ordered = ordered
        self._marked = np.zeros(SIEVE, dtype=np.bool_)
        self._marked[ordered & (SIEVE - 1)] = True

    def __len__(self) -> int:
        return len(self._ordered)

    def find(self, keys: Ints) -> tuple[Ints, Ints]:
        """Return the places of those ``keys`` that are among these, and that of each in these."""
        # Most are not, and nearly all of those a look at the marks tells.
        maybe = np.flatnonzero(self._marked[keys & (SIEVE - 1)])
        keys = keys[maybe]
        place = np.minimum(np.searchsorted(self._ordered, keys), len(self._ordered) - 1)
        there = self._ordered[place] == keys
        return maybe[there], place[there]


class Keyed:
    """Rows that are found by binary search.

    A join by hashes goes through the whole table, and is asked here for a few of its rows, again
    and again.

    Args:
        columns: The numbers, from 0 on, by which rows are found, each ``(n,)``, in any order.

    Raises:
        ValueError: If the numbers are too large to be told apart by one int64.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._sizes = [int(column.max(initial=-1)) + 1 for column in _wide(columns)]
        if math.prod(self._sizes) > LARGEST:
            raise ValueError(f"numbers of {self._sizes} make too many keys")
        keys = self._keys(_wide(columns))
        self._row = np.argsort(keys, kind="stable")
        self._sorted = keys[self._row]

    def find(self, asked: Sequence[Column]) -> tuple[Ints, Ints]:
        """Find rows.

        Args:
            asked: Numbers to find in each of the columns, each ``(m,)``.

        Returns:
            Places in ``asked``, in order, and the row that each agrees with, in order of the rows.
        """
        columns = _wide(asked)
        known = np.all([x < size for x, size in zip(columns, self._sizes, strict=True)], axis=0)
        keys = np.where(known, self._keys(columns), -1)
        first = np.searchsorted(self._sorted, keys)
        place, found = spans(first, np.searchsorted(self._sorted, keys, side="right") - first)
        return place, self._row[found]

    def _keys(self, columns: list[Ints]) -> Ints:
        keys = np.zeros(len(columns[0]), dtype=np.int64)
        for column, size in zip(columns, self._sizes, strict=True):
            keys = keys * size + column
        return keys


def _wide(columns: Sequence[Column]) -> list[Ints]:
    return [column.astype(np.int64) for column in columns]
