"""Rows found by keys are those that a join finds."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from kgraft.evidence.keyed import Keyed

KINDS = {"a": pl.Int32, "b": pl.Int32}


@given(*(st.lists(st.tuples(st.integers(0, n), st.integers(0, n)), max_size=30) for n in (3, 5)))
def test_it_joins(rows: list[tuple[int, int]], asked_rows: list[tuple[int, int]]) -> None:
    table = pl.DataFrame(rows, schema=KINDS, orient="row").with_row_index("row")
    asked = pl.DataFrame(asked_rows, schema=KINDS, orient="row").with_row_index("place")
    found = Keyed(table, ["a", "b"]).join(asked)
    expected = asked.join(table, on=["a", "b"]).sort("place", "row")
    assert_frame_equal(found, expected)


def test_large_numbers_are_told_apart() -> None:
    most = 2**31 - 1
    table = pl.DataFrame({"a": [most, 0], "b": [0, most], "what": ["one", "other"]})
    asked = pl.DataFrame({"a": [0, most, most], "b": [most, most, 0]})
    assert Keyed(table, ["a", "b"]).join(asked)["what"].to_list() == ["other", "one"]


def test_numbers_that_are_too_large_are_refused() -> None:
    table = pl.DataFrame({"a": [2**40], "b": [2**40]})
    with pytest.raises(ValueError, match="too many keys"):
        Keyed(table, ["a", "b"])
