"""Groups of rows in sorted arrays: where they begin, and all their rows at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

LARGEST = np.iinfo(np.int64).max


def spans(starts: Ints, sizes: Ints) -> tuple[Ints, Ints]:
    """Return the numbers ``starts[i]``, ``starts[i] + 1``, ... of each span, and each one's i.

    Args:
        starts: Where each span begins, int64 ``(n,)``.
        sizes: How many numbers it has, int64 ``(n,)``.

    Returns:
        The place ``i`` of the span and the number, each int64 ``(sum of sizes,)``.
    """
    which = np.repeat(np.arange(len(starts)), sizes)
    first = np.cumsum(sizes) - sizes
    number = (starts - first)[which]
    number += np.arange(len(number))
    return which, number


def numbers_of(*columns: NDArray[np.integer[Any]]) -> Ints:
    """Return a number for each row of columns of numbers from 0 on: equal for equal rows alone.

    They are in the order of the rows' values. One number sorts several times faster than a row, in
    a fraction of the memory.
    """
    sizes = [int(column.max(initial=0)) + 1 for column in columns]
    if math.prod(sizes) > LARGEST:
        rows = np.stack(columns, axis=1)
        return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
    number = np.zeros(len(columns[0]), dtype=np.int64)
    for column, size in zip(columns, sizes, strict=True):
        number *= size
        number += column
    return number


def sorted_pairs(keys: Ints, values: Ints, n_values: int) -> tuple[Ints, Ints]:
    """Return pairs of numbers from 0 on in the order of their keys, then of their values.

    Args:
        keys: int64 ``(n,)``, sorted in place or not; nobody should need them any more.
        values: int64 ``(n,)``, each below ``n_values``.
        n_values: How many values there may be.
    """
    if int(keys.max(initial=0)) >= LARGEST // max(n_values, 1):
        order = np.lexsort((values, keys))
        return keys[order], values[order]
    # One number a pair sorts several times faster than two, in a fraction of the memory.
    keys *= n_values
    keys += values
    keys.sort()
    values = keys % n_values
    keys //= n_values
    return keys, values


def first_of_each(rows: Ints) -> Ints:
    """Return where each different row of numbers from 0 on, ``(n, k)``, stands first, sorted.

    The places come in the order of the rows' values.
    """
    return np.unique(numbers_of(*rows.T), return_index=True)[1]


def smallest_ints(size: int) -> type[np.signedinteger[Any]]:
    """Return the type of 4 bytes for numbers below ``size``, or of 8 where those do not fit."""
    return np.int32 if size <= np.iinfo(np.int32).max else np.int64


def changes(*columns: NDArray[Any]) -> NDArray[np.bool_]:
    """Say of each row whether it is the first or differs from the row before it."""
    new = np.ones(len(columns[0]), dtype=np.bool_)
    new[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return new
