"""Rows of a table that are found by some of its columns."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import polars as pl

from kgraft.graph.sorted_rows import LARGEST, Ints, spans


class Keyed:
    """A table whose rows are found by binary search.

    A join by hashes goes through the whole table, and is asked here for a few of its rows, again
    and again.

    Args:
        table: The rows, in any order.
        on: Columns of numbers from 0 on, by which they are found.

    Raises:
        ValueError: If the numbers are too large to be told apart by one int64.
    """

    def __init__(self, table: pl.DataFrame, on: Sequence[str]) -> None:
        self._on = list(on)
        columns = _columns(table, self._on)
        self._sizes = [int(column.max(initial=-1)) + 1 for column in columns]
        if math.prod(self._sizes) > LARGEST:
            raise ValueError(f"numbers of {self._sizes} make too many keys")
        keys = self._keys(columns)
        order = np.argsort(keys, kind="stable")
        self._sorted = keys[order]
        self._table = table.drop(self._on)[order]

    def join(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of ``asked``, each beside every row of the table that it agrees with."""
        columns = _columns(asked, self._on)
        known = np.all([x < size for x, size in zip(columns, self._sizes, strict=True)], axis=0)
        keys = np.where(known, self._keys(columns), -1)
        first = np.searchsorted(self._sorted, keys)
        which, row = spans(first, np.searchsorted(self._sorted, keys, side="right") - first)
        return asked[which].hstack(self._table[row])

    def _keys(self, columns: list[Ints]) -> Ints:
        keys = np.zeros(len(columns[0]), dtype=np.int64)
        for column, size in zip(columns, self._sizes, strict=True):
            keys = keys * size + column
        return keys


def _columns(table: pl.DataFrame, names: list[str]) -> list[Ints]:
    return [table[name].to_numpy().astype(np.int64) for name in names]
