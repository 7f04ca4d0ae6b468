"""Singular vectors: those of the library, and the same bits also where the rank is low."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from kgraft.pipeline.singular_vectors import singular_vectors


@pytest.mark.parametrize("shape", [(30, 50), (50, 30), (40, 40)])
def test_they_are_those_of_the_library(shape: tuple[int, int]) -> None:
    matrix = sp.random_array(shape, density=0.3, format="csr", rng=np.random.default_rng(0))
    start = np.ones(min(shape))
    found, wanted = singular_vectors(matrix, 7, start), sp.linalg.svds(matrix, k=7, v0=start)
    for one, other in zip(found, wanted, strict=True):
        assert np.allclose(one, other)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_matrix_of_low_rank_gives_the_same_bits_each_time(kind: type) -> None:
    draw = np.random.default_rng(0)
    low = draw.random((60, 5)) @ draw.random((5, 40))
    matrix = sp.csr_array(low.astype(kind))
    first = singular_vectors(matrix, 20, np.ones(40))
    for _ in range(5):
        again = singular_vectors(matrix, 20, np.ones(40))
        assert all(x.tobytes() == y.tobytes() for x, y in zip(first, again, strict=True))
    assert np.allclose(first[0] * first[1] @ first[2], low, atol=1e-3)
