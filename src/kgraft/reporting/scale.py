"""Scales of axes: positions of values, and ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

STEPS = (1, 2, 5, 10, 20)
"""The distance of ticks is one of these times a power of ten."""


@dataclass(frozen=True)
class Scale:
    """An axis.

    Args:
        low: The value at its beginning.
        high: The value at its end, above ``low``.
        ticks: Values between them, with their text.
        logarithmic: Whether equal distances are equal ratios.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return the position of a value: 0 at the beginning, 1 at the end."""
        if self.logarithmic:
            low, high, value = (math.log(x) for x in (self.low, self.high, value))
            return (value - low) / (high - low)
        return (value - self.low) / (self.high - self.low)


def linear(values: Iterable[float], *, max_ticks: int = 6, whole: bool = False) -> Scale:
    """Return a scale of all finite values, from a round number to a round number.

    Args:
        values: The values to draw.
        max_ticks: The maximum number of ticks.
        whole: Whether only whole numbers are ticks, and the scale ends with the values.
    """
    found = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(found), max(found)
    if math.isclose(low, high):
        low, high = (low - 1, high + 1) if whole or low == 0 else (low - abs(low), low + abs(low))
    step = _step(low, high, max_ticks, minimum=1 if whole else 0)
    first, last = _ends(low, high, step)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    ticks = tuple(
        (round(number * step, digits), f"{number * step:,.{digits}f}")
        for number in range(first, last + 1)
    )
    if whole:
        return Scale(low, high, tuple(tick for tick in ticks if low <= tick[0] <= high))
    return Scale(ticks[0][0], ticks[-1][0], ticks)


def _step(low: float, high: float, max_ticks: int, *, minimum: float) -> float:
    """Return the smallest round distance of at most so many ticks from low to high."""
    power = 10.0 ** math.floor(math.log10((high - low) / max_ticks))

    def fits(step: float) -> bool:
        first, last = _ends(low, high, step)
        return last - first < max_ticks and step >= minimum

    return next(step for step in (power * factor for factor in STEPS) if fits(step))


def _ends(low: float, high: float, step: float) -> tuple[int, int]:
    """Return the numbers of the last tick not above low and of the first not below high."""
    return math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)


def logarithmic(values: Iterable[float]) -> Scale:
    """Return a scale of powers of ten for all finite values above 0."""
    found = [value for value in values if math.isfinite(value) and value > 0] or [1.0]
    low = math.floor(math.log10(min(found)) + 1e-9)
    high = max(math.ceil(math.log10(max(found)) - 1e-9), low + 1)
    powers = range(low, high + 1)
    ticks = tuple((10.0**power, f"{10.0**power:,.{max(0, -power)}f}") for power in powers)
    return Scale(10.0**low, 10.0**high, ticks, logarithmic=True)


def categories(names: Sequence[str], *, downwards: bool = False) -> Scale:
    """Return a scale with names at 0, 1, 2 and so on, reversed if ``downwards``."""
    ticks = tuple((float(place), name) for place, name in enumerate(names))
    low, high = -0.5, max(len(names), 1) - 0.5
    return Scale(high, low, ticks) if downwards else Scale(low, high, ticks)
