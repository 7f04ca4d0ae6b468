"""Spans and changes by hand, first rows as numpy finds them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kgraft.graph.sorted_arrays import (
    changes,
    first_of_each,
    smallest_ints,
    sorted_pairs,
    spans,
)


def test_spans_and_changes() -> None:
    which, numbers = spans(np.array([5, 0, 9]), np.array([2, 0, 3]))
    assert which.tolist() == [0, 0, 2, 2, 2]
    assert numbers.tolist() == [5, 6, 9, 10, 11]
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


@pytest.mark.parametrize("scale", [1, 2**40])
@given(pairs=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), max_size=30))
def test_pairs_are_sorted_by_key_then_value_however_large_they_are(
    pairs: list[tuple[int, int]], scale: int
) -> None:
    columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T * scale
    keys, values = sorted_pairs(columns[0].copy(), columns[1], 6 * scale + 1)
    assert list(zip((keys // scale).tolist(), (values // scale).tolist(), strict=True)) == sorted(
        pairs
    )
