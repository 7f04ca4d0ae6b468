"""Rows found by keys are those that agree with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kgraft.graph.lookup import SIEVE, Keyed, Keys


def columns(rows: list[tuple[int, int]]) -> list[NDArray[np.int32]]:
    return list(np.array(rows, dtype=np.int32).reshape(-1, 2).T)


@given(*(st.lists(st.tuples(st.integers(0, n), st.integers(0, n)), max_size=30) for n in (3, 5)))
def test_it_joins(rows: list[tuple[int, int]], asked: list[tuple[int, int]]) -> None:
    place, row = Keyed(columns(rows)).find(columns(asked))
    assert list(zip(place, row, strict=True)) == [
        (i, j) for i, x in enumerate(asked) for j, y in enumerate(rows) if x == y
    ]


def test_large_numbers_are_told_apart() -> None:
    most = 2**31 - 1
    keyed = Keyed(columns([(most, 0), (0, most)]))
    place, row = keyed.find(columns([(0, most), (most, most), (most, 0)]))
    assert (place.tolist(), row.tolist()) == ([0, 2], [1, 0])


def test_numbers_that_are_too_large_are_refused() -> None:
    with pytest.raises(ValueError, match="too many keys"):
        Keyed([np.array([2**40]), np.array([2**40])])


@given(st.sets(st.integers(0, 40)), st.lists(st.integers(0, 50)))
def test_it_finds_distinct_numbers(there: set[int], asked: list[int]) -> None:
    ordered = sorted(there)
    place, row = Keys(np.array(ordered, dtype=np.int64)).find(np.array(asked, dtype=np.int64))
    assert place.tolist() == [i for i, key in enumerate(asked) if key in there]
    assert row.tolist() == [ordered.index(key) for key in asked if key in there]


def test_numbers_marked_alike_are_told_apart() -> None:
    keys = Keys(np.array([5, 5 + SIEVE]))
    assert [x.tolist() for x in keys.find(np.array([5 + 2 * SIEVE, 5 + SIEVE]))] == [[1], [1]]
