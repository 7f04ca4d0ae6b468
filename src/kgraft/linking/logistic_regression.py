"""Logistic regression with a ridge, for what has a few features and many rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

Floats = NDArray[np.float64]

RIDGE = 1e-3
"""Weight of the squared coefficients; it decides where the rows do not."""


@dataclass(frozen=True, eq=False)
class Logistic:
    """A fitted regression.

    Args:
        mean: Of each feature, ``(f,)``.
        spread: Standard deviation of each, 1 where it does not vary.
        coefficients: Of 1 and the standardised features, ``(f + 1,)``.
    """

    mean: Floats
    spread: Floats
    coefficients: Floats

    def chances(self, features: Floats) -> Floats:
        """Return the chance of each row ``(n, f)`` to be one of those that came out."""
        rows = (features - self.mean) / self.spread
        found: Floats = expit(self.coefficients[0] + rows @ self.coefficients[1:])
        return found


def regression(features: Floats, came_out: Floats) -> Logistic:
    """Fit a logistic regression.

    Args:
        features: ``(n, f)``.
        came_out: 1 for rows that came out, 0 for the others, or a share, ``(n,)``.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    rows = np.column_stack([np.ones(len(features)), (features - mean) / spread])

    def loss(coefficients: Floats) -> tuple[float, Floats]:
        scores = rows @ coefficients
        ridge = RIDGE * np.where(np.arange(len(coefficients)), coefficients, 0.0)
        value = np.logaddexp(0.0, scores).mean() - (came_out * scores).mean()
        slope = rows.T @ (expit(scores) - came_out) / len(rows)
        return value + ridge @ coefficients / 2, slope + ridge

    fitted = minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B").x
    return Logistic(mean, spread, fitted)
