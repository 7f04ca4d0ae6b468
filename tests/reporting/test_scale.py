"""Where values lie on axes, and the ticks that tell."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgraft.reporting.figures import categories, linear, logarithmic


def texts(scale: object) -> list[str]:
    return [text for _, text in scale.ticks]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 9.2], ["0", "2", "4", "6", "8", "10"]),
        ([62.6, 63.5], ["62.6", "62.8", "63.0", "63.2", "63.4", "63.6"]),
        ([0.321, 0.36], ["0.32", "0.33", "0.34", "0.35", "0.36"]),
        ([-30, 1500], ["-500", "0", "500", "1,000", "1,500"]),
        ([7, 7], ["0", "5", "10", "15"]),
        ([0, 0], ["-1.0", "-0.5", "0.0", "0.5", "1.0"]),
        ([], ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([math.nan, 2, math.inf, 4], ["2.0", "2.5", "3.0", "3.5", "4.0"]),
    ],
)
def test_ticks_are_round(values: list[float], expected: list[str]) -> None:
    assert texts(linear(values)) == expected


@given(st.lists(st.integers(-(10**9), 10**9).map(lambda x: x / 1000), min_size=1))
def test_all_values_are_on_the_scale(values: list[float]) -> None:
    scale = linear(values)
    assert all(-1e-6 <= scale.place(value) <= 1 + 1e-6 for value in values)
    assert 2 <= len(scale.ticks) <= 6
    assert (scale.place(scale.low), scale.place(scale.high)) == (0, 1)


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [([1, 2, 3], ["1", "2", "3"]), ([1, 12], ["5", "10"]), ([1], ["0", "1", "2"])],
)
def test_epochs_are_whole(epochs: list[float], expected: list[str]) -> None:
    assert texts(linear(epochs, whole=True)) == expected


def test_powers_of_ten() -> None:
    scale = logarithmic([0.02, 300, math.nan, 0])
    assert texts(scale) == ["0.01", "0.1", "1", "10", "100", "1,000"]
    assert scale.place(10) == pytest.approx(0.6)
    assert texts(logarithmic([1.0])) == ["1", "10"]
    assert texts(logarithmic([])) == ["1", "10"]


def test_names() -> None:
    up, down = categories(["a", "b"]), categories(["a", "b"], downwards=True)
    assert [up.place(x) for x in (0, 1)] == [0.25, 0.75]
    assert [down.place(x) for x in (0, 1)] == [0.75, 0.25]
    assert texts(up) == ["a", "b"]
    assert categories([]).place(0) == 0.5
