"""A map of the entities that is asked about: all of them have a place, and some are drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kgraft.graph.vocabulary import Rows
from kgraft.reporting.entity_map import MAX_POINTS, principal_places


class Atlas:
    """Entity vectors along the two directions in which they differ most.

    Args:
        vectors_ND: One or more of them, of a width of two or more.

    Attributes:
        places: Coordinates from -1 to 1, float ``(N, 2)``.
        shown: Rows that are drawn, evenly taken from all, ``(m,)``.
        explained: The share of the vectors' variance that each of the two directions has.
    """

    def __init__(self, vectors_ND: Tensor) -> None:
        places, self.explained = principal_places(vectors_ND)
        # A few entities lie far out; the map is for the others, and those stand at its edge.
        reach = max(np.quantile(np.abs(places), 0.995, axis=0).max(), 1e-12)
        self.places: NDArray[np.float64] = np.clip(places / reach, -1, 1)
        n = len(places)
        self.shown: Rows = np.linspace(0, n - 1, min(MAX_POINTS, n)).astype(np.int64)
