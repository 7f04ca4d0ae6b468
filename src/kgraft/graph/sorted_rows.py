"""Groups of rows in sorted arrays: where they begin, and all their rows at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def spans(starts: Ints, sizes: Ints) -> tuple[Ints, Ints]:
    """Return the numbers ``starts[i]``, ``starts[i] + 1``, ... of each span, and each one's i.

    Args:
        starts: Where each span begins, int64 ``(n,)``.
        sizes: How many numbers it has, int64 ``(n,)``.

    Returns:
        The place ``i`` of the span and the number, each int64 ``(sum of sizes,)``.
    """
    which = np.repeat(np.arange(len(starts)), sizes)
    offset = np.cumsum(sizes) - sizes
    return which, np.arange(len(which)) - offset[which] + starts[which]


def changes(*columns: NDArray[Any]) -> NDArray[np.bool_]:
    """Say of each row whether it is the first or differs from the row before it."""
    new = np.ones(len(columns[0]), dtype=np.bool_)
    new[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return new
