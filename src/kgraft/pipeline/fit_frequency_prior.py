"""Fitting of the frequency prior: a low-rank table of how often entities answer a relation."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.model.frequency_prior import FrequencyPrior
from kgraft.pipeline.singular_vectors import singular_vectors
from kgraft.rules.entity_frequencies import EntityFrequencies

Floats = NDArray[np.float64]


def fit_frequency_prior(
    frequencies: EntityFrequencies,
    of_frequency: Tensor,
    of_degree: Tensor,
    *,
    n_entities: int,
    rank: int,
) -> FrequencyPrior:
    """Fit the prior of a rank whose products come nearest to weighted log frequencies.

    One dimension holds the weight of the degree; the others hold the largest singular vectors of
    the weighted answer frequencies, where a relation counts by its number of facts.

    Args:
        frequencies: How often entities answer along relations, and their degrees.
        of_frequency: Weight of the frequency in a score along each relation, ``(2 m,)``.
        of_degree: Weight of the degree, ``(2 m,)``.
        n_entities: Entities that have rows, the first ones.
        rank: Numbers of a row, at least 1; there are fewer if fewer are exact.
    """
    n_relations = len(of_frequency)
    relation, entity, count = frequencies.answers(np.arange(n_relations))
    has_row = entity < n_entities
    cells = (count[has_row].astype(np.float64), (relation[has_row], entity[has_row]))
    often = sp.csr_array(cells, shape=(n_relations, n_entities))
    importance = np.sqrt(often.expm1().sum(axis=1))
    left, right = _factors(sp.diags_array(of_frequency.double().numpy() * importance) @ often, rank)
    # Relations without a fact have zeros there already.
    left /= np.where(importance > 0, importance, 1.0)[:, None]
    degree = frequencies.degree[:n_entities, None]
    tables = (
        np.hstack([right, degree]),
        np.hstack([left, of_degree.double().numpy()[:, None]]),
    )
    return FrequencyPrior(*(torch.from_numpy(table.astype(np.float32)) for table in tables))


def _factors(matrix: sp.csr_array, rank: int) -> tuple[Floats, Floats]:
    """Return ``(rows, k)`` and ``(columns, k)`` whose product is near a matrix, ``k < rank``."""
    # The solver needs fewer vectors than rows and columns, so empty ones are left out.
    rows, columns = (np.unique(places) for places in matrix.nonzero())
    dense_side = min(len(rows), len(columns))
    most = min(rank - 1, dense_side)
    left, right = np.zeros((matrix.shape[0], most)), np.zeros((matrix.shape[1], most))
    if not most:
        return left, right
    inner = matrix[rows][:, columns]
    if most < dense_side:
        u, s, v = singular_vectors(inner, most, np.ones(dense_side))
    else:
        u, s, v = np.linalg.svd(inner.toarray(), full_matrices=False)
    # Each table gets the root of the singular values, so that neither's numbers are tiny.
    left[rows], right[columns] = u * np.sqrt(s), v.T * np.sqrt(s)
    return left, right
