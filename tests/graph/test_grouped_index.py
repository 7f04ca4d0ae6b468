"""Groups agree with brute force, for every size of numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from kgraft.graph import grouped_index
from kgraft.graph.grouped_index import (
    SIEVE_BITS,
    GroupedIndex,
    changes,
    first_of_each,
    offsets,
    smallest_ints,
    spans,
)

KEY = st.tuples(st.integers(0, 3), st.integers(0, 5))


def columns(rows: list[tuple[int, ...]], width: int = 2) -> list[NDArray[np.int32]]:
    return list(np.array(rows, dtype=np.int32).reshape(-1, width).T)


@pytest.mark.parametrize("largest", [None, 50])
@given(rows=st.lists(KEY, max_size=30), asked=st.lists(st.tuples(*[st.integers(-9, 9)] * 2)))
def test_rows_are_those_of_equal_keys(
    rows: list[tuple[int, int]], asked: list[tuple[int, int]], largest: int | None
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if largest is not None:  # Keys and rows do not fit one number together.
            patch.setattr(grouped_index, "LARGEST", largest)
        index = GroupedIndex.of(*columns(rows))
    position, row = index.rows(*columns(asked))
    assert list(zip(position.tolist(), row.tolist(), strict=True)) == [
        (i, j) for i, x in enumerate(asked) for j, y in enumerate(rows) if x == y
    ]
    position, group = index.groups(*columns(asked))
    distinct = sorted(set(rows))
    assert position.tolist() == [i for i, key in enumerate(asked) if key in distinct]
    assert group.tolist() == [distinct.index(key) for key in asked if key in distinct]
    assert len(index) == len(distinct)


@pytest.mark.parametrize("scale", [1, 2**40])
@given(pairs=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), max_size=30))
def test_values_of_a_key_are_distinct_and_ascend(pairs: list[tuple[int, int]], scale: int) -> None:
    keys, values = np.array(pairs, dtype=np.int64).reshape(-1, 2).T * scale
    index = GroupedIndex.of(keys, values=values)
    position, value = (x.astype(np.int64) for x in index.rows(np.arange(10) * scale))
    found = zip(position.tolist(), (value // scale).tolist(), strict=True)
    assert list(found) == sorted(set(pairs))
    assert index.members.dtype == (np.int32 if values.max(initial=0) < 2**31 - 1 else np.int64)


def test_large_numbers_are_told_apart() -> None:
    most = 2**31 - 1
    index = GroupedIndex.of(*columns([(most, 0), (0, most)]))
    position, row = index.rows(*columns([(0, most), (most, most), (most, 0)]))
    assert (position.tolist(), row.tolist()) == ([0, 2], [1, 0])


def test_numbers_that_are_too_large_are_refused() -> None:
    with pytest.raises(ValueError, match=r"1099511627777 x 1099511627777 are too large"):
        GroupedIndex.of(np.array([2**40]), np.array([2**40]))


def test_sizes_set_the_keys() -> None:
    index = GroupedIndex.of(*columns([(2, 1), (0, 1)]), sizes=(5, 10))
    assert index.keys.tolist() == [1, 21]
    assert index.groups(*columns([(2, 11), (1, 1), (0, 1)]))[0].tolist() == [2]


def test_keys_of_the_same_last_bits_are_told_apart() -> None:
    sieve = 1 << SIEVE_BITS
    index = GroupedIndex.of(np.array([5, 5 + sieve]))
    found = index.groups(np.array([5 + 2 * sieve, 5 + sieve]))
    assert [x.tolist() for x in found] == [[1], [1]]


def test_spans_offsets_and_changes() -> None:
    which, numbers = spans(np.array([5, 0, 9]), np.array([2, 0, 3]))
    assert which.tolist() == [0, 0, 2, 2, 2]
    assert numbers.tolist() == [5, 6, 9, 10, 11]
    assert offsets(np.array([0, 0, 2]), 4).tolist() == [0, 2, 2, 3, 3]
    assert changes(np.array([1, 1, 1, 2]), np.array([3, 4, 4, 4])).tolist() == [
        True, True, False, True,
    ]  # fmt: skip
    assert changes(np.array([])).tolist() == []


@pytest.mark.parametrize("scale", [1, 2**40])
@given(rows=arrays(np.int64, st.tuples(st.integers(0, 20), st.just(3)), elements=st.integers(0, 3)))
def test_first_rows_are_those_of_numpy_for_small_and_large_numbers(
    rows: np.ndarray, scale: int
) -> None:
    # Numbers up to 2 ** 42 in three columns do not fit into one of 64 bits.
    _, expected = np.unique(rows, axis=0, return_index=True)
    assert first_of_each(rows * scale).tolist() == expected.tolist()


def test_numbers_take_as_few_bytes_as_hold_them() -> None:
    assert smallest_ints(0) is np.int32
    assert smallest_ints(2**31 - 1) is np.int32
    assert smallest_ints(2**31) is np.int64


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=30),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=10),
)
def test_counts_are_those_of_equal_keys(
    pairs: list[tuple[int, int]], asked: list[tuple[int, int]]
) -> None:
    columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    keys = np.array(asked, dtype=np.int64).reshape(-1, 2).T
    index = GroupedIndex.of(*columns, sizes=(5, 5))
    assert index.counts(*keys).tolist() == [pairs.count(key) for key in asked]


PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4), st.integers(0, 9)), max_size=20)


@given(PAIRS, PAIRS)
def test_an_index_with_more_pairs_is_that_of_all(
    old: list[tuple[int, int, int]], new: list[tuple[int, int, int]]
) -> None:
    first, more = (np.array(x, dtype=np.int64).reshape(-1, 3) for x in (old, new))
    both = np.concatenate([first, more])
    one, two, value = first.T
    found = GroupedIndex.of(one, two, values=value).extended(*more.T[:2], values=more.T[2])
    anew = GroupedIndex.of(*both.T[:2], values=both.T[2])
    asked = [x.ravel() for x in np.meshgrid(np.arange(8), np.arange(6))]
    for x, y in zip(found.rows(*asked), anew.rows(*asked), strict=True):
        assert x.tolist() == y.tolist()
    unordered = GroupedIndex.of(one, two, values=value).extended(
        *more.T[:2], values=more.T[2], ordered=False
    )
    assert unordered.counts(*asked).tolist() == anew.counts(*asked).tolist()
