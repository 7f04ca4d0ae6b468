"""Scales: where a value lies along an axis, and the ticks that tell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

STEPS = (1, 2, 5, 10, 20)
"""Ticks stand a power of ten times one of these apart."""


@dataclass(frozen=True)
class Scale:
    """An axis.

    Args:
        low: The value at its beginning.
        high: The value at its end, above ``low``.
        ticks: Values within and how they are written.
        logarithmic: Whether equal steps are equal ratios.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return where a value lies: 0 at the beginning, 1 at the end."""
        if self.logarithmic:
            low, high, value = (math.log(x) for x in (self.low, self.high, value))
            return (value - low) / (high - low)
        return (value - self.low) / (self.high - self.low)


def linear(values: Iterable[float], *, most_ticks: int = 6, whole: bool = False) -> Scale:
    """Return a scale that holds all finite values, from a round number to a round number.

    Args:
        values: What is drawn.
        most_ticks: The most ticks.
        whole: Whether only whole numbers are ticks, and the scale ends with the values.
    """
    found = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(found), max(found)
    if math.isclose(low, high):
        low, high = (low - 1, high + 1) if whole or low == 0 else (low - abs(low), low + abs(low))
    step = _step(low, high, most_ticks, least=1 if whole else 0)
    first, last = _ends(low, high, step)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    ticks = tuple(
        (round(number * step, digits), f"{number * step:,.{digits}f}")
        for number in range(first, last + 1)
    )
    if whole:
        return Scale(low, high, tuple(tick for tick in ticks if low <= tick[0] <= high))
    return Scale(ticks[0][0], ticks[-1][0], ticks)


def _step(low: float, high: float, most_ticks: int, *, least: float) -> float:
    """Return the smallest round distance at which no more ticks reach from low to high."""
    power = 10.0 ** math.floor(math.log10((high - low) / most_ticks))

    def fits(step: float) -> bool:
        first, last = _ends(low, high, step)
        return last - first < most_ticks and step >= least

    return next(step for step in (power * factor for factor in STEPS) if fits(step))


def _ends(low: float, high: float, step: float) -> tuple[int, int]:
    """Return the numbers of the last tick that is not above low and the first not below high."""
    return math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)


def logarithmic(values: Iterable[float]) -> Scale:
    """Return a scale of powers of ten that holds all finite values above 0."""
    found = [value for value in values if math.isfinite(value) and value > 0] or [1.0]
    low = math.floor(math.log10(min(found)) + 1e-9)
    high = max(math.ceil(math.log10(max(found)) - 1e-9), low + 1)
    powers = range(low, high + 1)
    ticks = tuple((10.0**power, f"{10.0**power:,.{max(0, -power)}f}") for power in powers)
    return Scale(10.0**low, 10.0**high, ticks, logarithmic=True)


def categories(names: Sequence[str], *, downwards: bool = False) -> Scale:
    """Return a scale of names at 0, 1, 2 and so on; ``downwards`` begins at the end."""
    ticks = tuple((float(place), name) for place, name in enumerate(names))
    low, high = -0.5, max(len(names), 1) - 0.5
    return Scale(high, low, ticks) if downwards else Scale(low, high, ticks)
