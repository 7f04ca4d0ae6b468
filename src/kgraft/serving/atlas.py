"""A map of the entities: the two directions in which their vectors differ most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.vocabulary import Rows

SHOWN = 3_000
"""Entities of the map that is drawn behind those that are asked about."""


class Atlas:
    """Entity vectors in two dimensions, by principal component analysis.

    Args:
        vectors: float ``(n, D)``.

    Attributes:
        places: Coordinates from -1 to 1, ``(n, 2)``.
        shown: Rows that are drawn, evenly taken from all, ``(m,)``.
        explained: The share of the vectors' variance that each of the two directions has.
    """

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        n_vectors, width = vectors.shape
        centred = (vectors - vectors.mean(axis=0) if n_vectors else vectors).astype(np.float64)
        variances, directions = np.linalg.eigh(centred.T @ centred)
        first = np.argsort(-variances)[:2]
        # A direction has two signs; taking the one of its largest part makes maps comparable.
        axes = directions[:, first]
        axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
        flat = centred @ axes
        flat = np.pad(flat, ((0, 0), (0, 2 - min(width, 2))))
        # A few entities lie far out; the map is for the others, and those stand at its edge.
        reach = np.quantile(np.abs(flat), 0.995, axis=0) if n_vectors else np.ones(2)
        self.places: NDArray[np.float64] = np.clip(flat / np.maximum(reach, 1e-12), -1, 1)
        self.shown: Rows = np.unique(
            np.linspace(0, max(n_vectors - 1, 0), min(SHOWN, n_vectors)).astype(np.int64)
        )
        whole = max(float(variances.sum()), 1e-12)
        self.explained = tuple(float(x) / whole for x in variances[first])
