"""Additive logistic regression in which each feature can only speak one way."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

Floats = NDArray[np.float64]

KNOTS = 8
"""Quantiles between which a feature's part of the score rises or falls in a straight line."""

RIDGE = 1e-5
"""Weight of the squared coefficients."""


class MonotoneRegression:
    """A sum of piecewise linear functions of single features, which level off at both ends.

    So no feature alone outvotes all others, however far outside the fitted rows it is, and noise
    cannot turn evidence round.

    Args:
        signs: For each feature 1 if the probability of label 1 can only rise with it, -1 if it can
            only fall, 0 if both may be.
    """

    def __init__(self, signs: Sequence[int]) -> None:
        self._signs = signs
        self._knots: list[Floats] = []
        self._coefficients = np.zeros(1)

    def fit(self, features: Floats, labels: Floats, weights: Floats) -> MonotoneRegression:
        """Fit to features ``(n, f)``, labels 0 or 1 ``(n,)`` and weights ``(n,)``."""
        self._knots = [_knots(column, labels) for column in features.T]
        bounds: list[tuple[float | None, float | None]] = [(None, None)]
        for sign, knots in zip(self._signs, self._knots, strict=True):
            low, high = (0.0 if sign > 0 else None), (0.0 if sign < 0 else None)
            bounds += [(low, high)] * (len(knots) - 1)
        basis, share = self._basis(features), weights / weights.sum()
        ridge = np.full(basis.shape[1], RIDGE)
        ridge[0] = 0.0

        def loss(coefficients: Floats) -> tuple[float, Floats]:
            scores = basis @ coefficients
            value = (share * (np.logaddexp(0.0, scores) - labels * scores)).sum()
            gradient = basis.T @ (share * (expit(scores) - labels)) + ridge * coefficients
            return float(value + (ridge * coefficients**2).sum() / 2), gradient

        start = np.zeros(basis.shape[1])
        options = {"maxiter": 300}
        self._coefficients = minimize(
            loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
        ).x
        return self

    def log_odds(self, features: Floats) -> Floats:
        """Return the log odds of label 1 for each row ``(n, f)``, ``(n,)``."""
        found: Floats = self._basis(features) @ self._coefficients
        return found

    def parts(self, features: Floats) -> Floats:
        """Return each feature's part of the log odds, ``(n, f)``."""
        basis, place, found = self._basis(features), 1, []
        for knots in self._knots:
            part = slice(place, place + len(knots) - 1)
            found.append(basis[:, part] @ self._coefficients[part])
            place = part.stop
        return np.stack(found, axis=1)

    def _basis(self, features: Floats) -> Floats:
        """Return 1 and, for each interval between knots, how much of it lies below, 0 to 1."""
        columns = [np.ones(len(features))]
        for values, knots in zip(features.T, self._knots, strict=True):
            columns += [((values - low) / (high - low)).clip(0, 1) for low, high in pairwise(knots)]
        return np.column_stack(columns)


def _knots(values: Floats, labels: Floats) -> Floats:
    """Return ascending quantiles of both classes, at least two."""
    at = np.linspace(0, 1, KNOTS)
    classes = [values[labels == x] for x in (0, 1)]
    found = np.unique(np.concatenate([np.quantile(x, at) for x in classes if len(x)]))
    if len(found) > KNOTS:
        found = found[np.linspace(0, len(found) - 1, KNOTS).round().astype(int)]
    apart = np.diff(found) > 1e-6 * (np.ptp(found) + 1e-9)
    found = found[np.append(True, apart)]
    return found if len(found) > 1 else np.array([found[0], found[0] + 1.0])
