"""Rows grouped by equal numbers in sorted arrays, and an index that finds such groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

Column = NDArray[np.integer[Any]]

LARGEST = np.iinfo(np.int64).max

TAKEN_APART = 1 << 20
"""Numbers of pairs that are taken apart at once."""

SIEVE_BITS = 22
"""Maximum bits of a key by which absent keys are recognized without a search."""


@dataclass(frozen=True, eq=False)
class GroupedIndex:
    """Members grouped by a key of one or more numbers, found by binary search.

    Args:
        sizes: The exclusive upper limit of each of the key's ``k`` columns.
        keys: The key of each group as one number, ascending, int64 ``(g,)``.
        starts: First member of each group, and the number of members, ``(g + 1,)``.
        members: Row numbers or values, ascending within a group, ``(n,)``; 4 bytes each while
            they fit.
    """

    sizes: tuple[int, ...]
    keys: Ints
    starts: Column
    members: Column

    @classmethod
    def of(
        cls, *columns: Column, values: Column | None = None, sizes: tuple[int, ...] | None = None
    ) -> GroupedIndex:
        """Group rows by numbers from 0 on.

        Args:
            columns: The columns of the key, each ``(n,)``, in any order.
            values: The member of each row, from 0 on, ``(n,)``; a pair of key and value is kept
                once. By default members are row numbers.
            sizes: See the class; by default the largest number of each column and one.

        Raises:
            ValueError: If the numbers are too large for one int64 key.
        """
        if sizes is None:
            sizes = tuple(int(column.max(initial=-1)) + 1 for column in columns)
        if math.prod(sizes) > LARGEST:
            raise ValueError(
                f"numbers up to {' x '.join(map(str, sizes))} are too large for the index; "
                "number entities and relations from 0 without gaps"
            )
        keys = _joined(columns, sizes)
        members = np.arange(len(keys)) if values is None else values
        n_values = int(members.max(initial=-1)) + 1
        keys, members = _sorted_pairs(keys, members, n_values)
        new = changes(keys)
        starts = np.empty(int(new.sum()) + 1, dtype=smallest_ints(len(keys) + 1))
        starts[:-1], starts[-1] = np.flatnonzero(new), len(keys)
        members = members.astype(smallest_ints(n_values), copy=False)
        return cls(sizes, keys[new], starts, members)

    def __len__(self) -> int:
        return len(self.keys)

    def extended(self, *columns: Column, values: Column, ordered: bool = True) -> GroupedIndex:
        """Return the index with a few more pairs of key and value.

        Args:
            columns: The columns of the keys, each ``(m,)``.
            values: The new members, ``(m,)``; those that a group has already are kept once.
            ordered: Members ascend within a group; else new ones come last.
        """
        sizes = tuple(
            max(size, int(column.max(initial=-1)) + 1)
            for size, column in zip(self.sizes, columns, strict=True)
        )
        old = self._with_sizes(sizes)
        new = _joined(columns, sizes)
        order = np.lexsort((values, new))
        new, values = new[order], values[order]
        first = changes(new, values)
        new, values = new[first], values[first]
        group = np.searchsorted(old, new)
        known = group < len(old)
        known[known] = old[group[known]] == new[known]
        place = self.starts[group + known].astype(np.int64)
        is_new = np.ones(len(new), dtype=np.bool_)
        for at in np.flatnonzero(known).tolist():
            start, end = self.starts[group[at]], self.starts[group[at] + 1]
            members, value = self.members[start:end], values[at]
            is_new[at] = value not in members
            if ordered:
                place[at] = start + np.searchsorted(members, value)
        new, values, group = new[is_new], values[is_new], group[is_new]
        known, place = known[is_new], place[is_new]
        group_sizes = self.group_sizes.copy()
        np.add.at(group_sizes, group[known], 1)
        keys, rows, counts = np.unique(new[~known], return_index=True, return_counts=True)
        before = group[~known][rows]
        kind = smallest_ints(max(len(self.members) + len(values), int(values.max(initial=0)) + 1))
        starts = np.concatenate([[0], np.cumsum(np.insert(group_sizes, before, counts))])
        members = np.insert(self.members.astype(kind, copy=False), place, values)
        return GroupedIndex(sizes, np.insert(old, before, keys), starts.astype(kind), members)

    def resized(self, sizes: tuple[int, ...]) -> GroupedIndex:
        """Return the index with larger limits of its columns."""
        return replace(self, sizes=sizes, keys=self._with_sizes(sizes))

    def _with_sizes(self, sizes: tuple[int, ...]) -> Ints:
        """Return the keys as numbers by larger sizes."""
        if sizes[1:] == self.sizes[1:]:
            return self.keys
        rest, columns = self.keys, list[Column]()
        for size in reversed(self.sizes[1:]):
            rest, column = np.divmod(rest, max(size, 1))
            columns.append(column)
        return _joined([rest, *reversed(columns)], sizes)

    def groups(self, *columns: Column) -> tuple[Ints, Ints]:
        """Find the groups of keys; any number may be asked for.

        Args:
            columns: The columns of the keys, each ``(m,)``.

        Returns:
            Positions of the keys that have a group, ascending, and the group of each, int64.
        """
        keys = _joined(columns, self.sizes)
        # Most keys that rules ask for are absent, and their last bits show it.
        position = np.flatnonzero(self._sieve[keys & (len(self._sieve) - 1)])
        keys = keys[position]
        group = np.minimum(np.searchsorted(self.keys, keys), len(self) - 1)
        found = self.keys[group] == keys
        for column, size in zip(columns, self.sizes, strict=True):
            # Numbers out of range run into the keys of others.
            asked = column[position]
            found &= (asked >= 0) & (asked < size)
        return position[found], group[found]

    def rows(self, *columns: Column) -> tuple[Ints, Column]:
        """Find the members of keys' groups.

        Args:
            columns: The columns of the keys, each ``(m,)``.

        Returns:
            The position of the key, ascending, and a member of its group, for all members.
        """
        position, group = self.groups(*columns)
        start = self.starts[group]
        which, member = spans(start, self.starts[group + 1] - start)
        return position[which], self.members[member]

    def counts(self, *columns: Column) -> Ints:
        """Return the number of members of each key's group, 0 for keys without one, ``(m,)``.

        Args:
            columns: The columns of the keys, each ``(m,)``.
        """
        position, group = self.groups(*columns)
        found = np.zeros(len(columns[0]), dtype=np.int64)
        found[position] = self.group_sizes[group]
        return found

    @cached_property
    def group_sizes(self) -> Ints:
        """Number of members of each group, ``(g,)``."""
        return np.diff(self.starts).astype(np.int64)

    @cached_property
    def _sieve(self) -> NDArray[np.bool_]:
        marks = np.zeros(1 << min(SIEVE_BITS, (16 * len(self)).bit_length()), dtype=np.bool_)
        marks[self.keys & (len(marks) - 1)] = True
        return marks


def spans(starts: Column, sizes: Column) -> tuple[Ints, Ints]:
    """Return the numbers ``starts[i]``, ``starts[i] + 1``, ... of each span, and each one's ``i``.

    Args:
        starts: First number of each span, ``(n,)``.
        sizes: Numbers in each span, ``(n,)``.

    Returns:
        The span ``i`` and the number, each int64 ``(sum of sizes,)``.
    """
    which = np.repeat(np.arange(len(starts)), sizes)
    first = np.cumsum(sizes) - sizes
    number = (starts - first)[which]
    number += np.arange(len(number))
    return which, number


def quotient_and_rest(numbers: Ints, size: int) -> tuple[Ints, Ints]:
    """Return what ``np.divmod`` returns for numbers from 0 on, in a quarter of the time."""
    quotient = numbers // size
    return quotient, numbers - quotient * size


def offsets(ordered: Column, size: int) -> Ints:
    """Return where the rows of each number below ``size`` start, and their end, ``(size + 1,)``.

    Args:
        ordered: The number of each row, ascending.
        size: Exclusive upper limit of the numbers.
    """
    return np.searchsorted(ordered, np.arange(size + 1))


def changes(*columns: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark the rows that are the first or differ from the row before them, ``(n,)``."""
    new = np.ones(len(columns[0]), dtype=np.bool_)
    new[1:] = columns[0][1:] != columns[0][:-1]
    for column in columns[1:]:
        new[1:] |= column[1:] != column[:-1]
    return new


def row_keys(*columns: Column) -> Ints:
    """Return one number for each row of columns of numbers from 0 on, in the rows' order.

    Equal rows alone have equal numbers. One number sorts several times faster than a row, in a
    fraction of the memory.
    """
    sizes = [int(column.max(initial=0)) + 1 for column in columns]
    if math.prod(sizes) > LARGEST:
        rows = np.stack(columns, axis=1)
        return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
    return _joined(columns, sizes)


def first_of_each(rows: Ints) -> Ints:
    """Return the first position of each distinct row of numbers from 0 on, ``(n, k)``, sorted.

    The positions come in the order of the rows' values.
    """
    return np.unique(row_keys(*rows.T), return_index=True)[1]


def smallest_ints(size: int) -> type[np.signedinteger[Any]]:
    """Return the type of 4 bytes for numbers below ``size``, or of 8 where those do not fit."""
    return np.int32 if size <= np.iinfo(np.int32).max else np.int64


def _joined(columns: Sequence[Column], sizes: Sequence[int]) -> Ints:
    keys = columns[0].astype(np.int64)
    for column, size in zip(columns[1:], sizes[1:], strict=True):
        keys *= size
        keys += column
    return keys


def _sorted_pairs(keys: Ints, values: Column, n_values: int) -> tuple[Ints, Ints]:
    """Return distinct pairs in order; ``keys`` is overwritten."""
    if int(keys.max(initial=0)) >= LARGEST // max(n_values, 1):
        order = np.lexsort((values, keys))
        keys, members = keys[order], values[order].astype(np.int64)
        new = changes(keys, members)
        return keys[new], members[new]
    # One number a pair sorts several times faster than two, in a fraction of the memory.
    keys *= n_values
    keys += values
    keys.sort()
    new = changes(keys)
    if not new.all():
        keys = keys[new]
    del new
    members = np.empty(len(keys), dtype=smallest_ints(n_values))
    for start in range(0, len(keys), TAKEN_APART):
        piece = keys[start : start + TAKEN_APART]
        piece[:], members[start : start + TAKEN_APART] = quotient_and_rest(piece, max(n_values, 1))
    return keys, members
