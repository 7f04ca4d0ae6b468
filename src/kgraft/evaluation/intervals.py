"""Confidence intervals of means over facts, by the bootstrap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1_000
"""Number of samples that are drawn again from the facts."""

LEVEL = 0.95
"""Share of intervals that hold the mean of all facts alike."""

AT_ONCE = 1 << 20
"""Facts that are drawn at once."""

MIN_FACTS = 5
"""Facts from which on there is an interval."""


def mean_interval(
    values: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> tuple[float, float] | None:
    """Return a confidence interval of a mean over facts, by the percentiles of the bootstrap.

    Facts are drawn, not queries, since the two queries of a fact go together (Efron, 1979). The
    draws are the same each time.

    Args:
        values: The mean over a fact's queries, ``(n,)``.
        weights: Weight of each fact, ``(n,)``; by default all are equal.

    Returns:
        Its ends, or None for fewer than ``MIN_FACTS`` facts.
    """
    n = len(values)
    if n < MIN_FACTS:
        return None
    random = np.random.default_rng(0)
    means = np.empty(RESAMPLES)
    for some in np.array_split(means, -(-RESAMPLES * n // AT_ONCE)):
        drawn = random.integers(0, n, (len(some), n))
        chosen = None if weights is None else weights[drawn]
        some[:] = np.average(values[drawn], axis=1, weights=chosen)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
