"""Fitting what is usual along each relation into a few numbers of each entity and relation."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import svds
from torch import Tensor

from kgraft.model.frequency_prior import FrequencyPrior
from kgraft.rules.answer_frequencies import EntityFrequencies

Floats = NDArray[np.float64]


def fit_frequency_prior(
    connections: EntityFrequencies,
    of_frequency: Tensor,
    of_degree: Tensor,
    *,
    n_entities: int,
    size: int,
) -> FrequencyPrior:
    """Return the tables whose products come nearest to weighed connections.

    What an entity's degree weighs takes one number of a row, and how often it answers along a
    relation the others: the largest singular vectors, a relation of more facts counting more.

    Args:
        connections: How often entities answer along relations, and their degrees.
        of_frequency: What the former weighs in a score along each relation, ``(2 m,)``.
        of_degree: The same of the latter.
        n_entities: The entities that have rows, the first ones.
        size: Numbers of a row, at least 1; there are fewer where fewer say it all.
    """
    n_relations = len(of_frequency)
    relation, entity, count = connections.answers(np.arange(n_relations))
    has_row = entity < n_entities
    cells = (count[has_row].astype(np.float64), (relation[has_row], entity[has_row]))
    often = sp.csr_array(cells, shape=(n_relations, n_entities))
    importance = np.sqrt(often.expm1().sum(axis=1))
    left, right = _factors(sp.diags_array(of_frequency.double().numpy() * importance) @ often, size)
    # Relations without a fact have zeros there already.
    left /= np.where(importance > 0, importance, 1.0)[:, None]
    degree = connections.degree[:n_entities, None]
    tables = (
        np.hstack([right, degree]),
        np.hstack([left, of_degree.double().numpy()[:, None]]),
    )
    return FrequencyPrior(*(torch.from_numpy(table.astype(np.float32)) for table in tables))


def _factors(matrix: sp.csr_array, size: int) -> tuple[Floats, Floats]:
    """Return ``(rows, k)`` and ``(columns, k)`` whose product is near a matrix, ``k < size``."""
    # The solver finds fewer than there are rows or columns; so those of zeros are left out.
    rows, columns = (np.unique(places) for places in matrix.nonzero())
    dense_side = min(len(rows), len(columns))
    most = min(size - 1, dense_side)
    left, right = np.zeros((matrix.shape[0], most)), np.zeros((matrix.shape[1], most))
    if not most:
        return left, right
    inner = matrix[rows][:, columns]
    if most < dense_side:
        # A fixed start, so that the same facts give the same numbers.
        u, s, v = svds(inner, k=most, v0=np.ones(dense_side))
    else:
        u, s, v = np.linalg.svd(inner.toarray(), full_matrices=False)
    # Both tables get half of what a singular value says, so that neither's numbers are tiny.
    left[rows], right[columns] = u * np.sqrt(s), v.T * np.sqrt(s)
    return left, right
