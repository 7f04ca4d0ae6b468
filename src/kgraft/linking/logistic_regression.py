"""Ridge logistic regression for a few features and many rows."""

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
class LogisticRegression:
    """A fitted regression.

    Args:
        mean: Mean of each feature, ``(f,)``.
        std: Standard deviation of each feature, 1 where it does not vary, ``(f,)``.
        coefficients: Of 1 and the standardised features, ``(f + 1,)``.
    """

    mean: Floats
    std: Floats
    coefficients: Floats

    def probabilities(self, features: Floats) -> Floats:
        """Return the probability that each row's ``(n, f)`` label is 1, ``(n,)``."""
        rows = (features - self.mean) / self.std
        found: Floats = expit(self.coefficients[0] + rows @ self.coefficients[1:])
        return found


def fit_logistic_regression(features: Floats, labels: Floats) -> LogisticRegression:
    """Fit a logistic regression by features ``(n, f)`` and labels from 0 to 1, ``(n,)``."""
    mean, std = features.mean(axis=0), features.std(axis=0)
    std = np.where(std > 0, std, 1.0)
    rows = np.column_stack([np.ones(len(features)), (features - mean) / std])

    def loss(coefficients: Floats) -> tuple[float, Floats]:
        scores = rows @ coefficients
        ridge = RIDGE * np.where(np.arange(len(coefficients)), coefficients, 0.0)
        value = np.logaddexp(0.0, scores).mean() - (labels * scores).mean()
        gradient = rows.T @ (expit(scores) - labels) / len(rows)
        return value + ridge @ coefficients / 2, gradient + ridge

    fitted = minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B").x
    return LogisticRegression(mean, std, fitted)
