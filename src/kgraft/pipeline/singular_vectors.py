"""The largest singular vectors of a sparse matrix, the same numbers each time."""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import svd
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, eigsh

Array = NDArray[Any]


def singular_vectors(matrix: csr_array, k: int, start: Array) -> tuple[Array, Array, Array]:
    """Return left vectors, values and right vectors as SciPy's ``svds``, the largest last.

    Where a matrix has a lower rank than ``k``, ARPACK starts again from random vectors, which
    ``svds`` draws anew each time; here they have a seed.

    Args:
        matrix: ``(n, m)``.
        k: Number of vectors, below n and m.
        start: The vector to start with, as long as the shorter side.
    """
    is_wide = matrix.shape[0] < matrix.shape[1]
    tall = csr_array(matrix.T) if is_wide else matrix
    side = tall.shape[1]
    gram = LinearOperator((side, side), lambda x: tall.T @ (tall @ x), dtype=matrix.dtype)
    more: dict[str, Any] = {"rng": 0} if "rng" in signature(eigsh).parameters else {}
    _, vectors = eigsh(gram, k=k, v0=start, **more)
    vectors, _ = np.linalg.qr(vectors)
    left, values, turn = svd(tall @ vectors, full_matrices=False)
    right = turn @ vectors.T
    left, right = (right.T, left.T) if is_wide else (left, right)
    return left[:, ::-1], values[::-1], right[::-1]
