"""Regression on positive and unlabelled examples, whose rate of labelling is known.

A true example is labelled with its rate, a false one never (Elkan and Noto, KDD 2008).

Shapes: N examples, F features, m relations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from kgraft.graph.known_facts import Ids

Floats = NDArray[np.float64]

RIDGE, OF_RELATION = 1.0, 0.1
"""Weights of squared coefficients, and of squared additions for a relation."""

KNOTS = 12
"""Points of the curve."""

CURVATURE = 0.5
"""Weight of the squared logarithm of a slope of the curve."""


@dataclass(frozen=True, eq=False)
class Likelihood:
    """The likelihood of labels, given the log odds of facts to be true.

    A true fact is labelled with its rate. Besides, what another source states and no training fact
    does is true as often as the sources' accuracy says.

    Args:
        labels: bool ``(N,)``.
        rate: Probability of a label of a true fact, ``(N,)``.
        weights: Number of candidates that each stands for, ``(N,)``.
        stated: Weight of a statement by another source, 0 where there is none, ``(N,)``.
        accuracy: Probability of such a statement to be true.
    """

    labels: NDArray[np.bool_]
    rate: Floats
    weights: Floats
    stated: Floats
    accuracy: float

    def where(self, chosen: NDArray[np.bool_]) -> Self:
        """Return the likelihood of some of the examples."""
        return replace(
            self,
            labels=self.labels[chosen],
            rate=self.rate[chosen],
            weights=self.weights[chosen],
            stated=self.stated[chosen],
        )

    def loss(self, odds: Floats) -> tuple[float, Floats]:
        """Return the negative log-likelihood, and its derivative by the log odds, ``(N,)``."""
        true = expit(odds)
        labelled = np.clip(self.rate * true, 1e-12, 1 - 1e-12)
        value = -(self.weights * np.log(np.where(self.labels, labelled, 1 - labelled))).sum()
        unlabelled = -labelled * (1 - true) / (1 - labelled)
        slope = -self.weights * np.where(self.labels, 1 - true, unlabelled)
        value += (self.stated * (np.logaddexp(0, odds) - self.accuracy * odds)).sum()
        return float(value), slope + self.stated * (true - self.accuracy)


def fit_odds(rows: Floats, relations: Ids, likelihood: Likelihood, m: int) -> tuple[Floats, Floats]:
    """Return coefficients ``(F + 1,)`` and additions for each relation ``(m,)``."""
    f = rows.shape[1]
    ridge = np.full(f + m, OF_RELATION)
    ridge[:f] = RIDGE
    ridge[0] = 0.0

    def loss(parameters: Floats) -> tuple[float, Floats]:
        odds = rows @ parameters[:f] + parameters[f:][relations]
        value, slope = likelihood.loss(odds)
        gradient = np.concatenate([slope @ rows, np.bincount(relations, slope, minlength=m)])
        pull = ridge * parameters
        return float(value + pull @ parameters), gradient + 2 * pull

    begin = np.zeros(f + m)
    begin[0] = -3.0
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    return found[:f], found[f:]


def fit_curve(odds: Floats, likelihood: Likelihood) -> tuple[tuple[float, float], ...]:
    """Return points of a rising curve over log odds, slopes near 1 where little tells."""
    places = np.quantile(odds[likelihood.labels], np.linspace(0, 1, KNOTS))
    low, high = odds.min(), odds.max()
    places = np.unique(np.round([min(low, places[0] - 1), *places, max(high, places[-1] + 1)], 6))
    place = np.clip(np.searchsorted(places, odds) - 1, 0, len(places) - 2)
    steps = np.diff(places)
    along = (odds - places[place]) / steps[place]

    def values(parameters: Floats) -> Floats:
        rises = steps * np.exp(parameters[1:])
        return np.concatenate([parameters[:1], parameters[0] + np.cumsum(rises)])

    def loss(parameters: Floats) -> tuple[float, Floats]:
        at = values(parameters)
        curved = at[place] + along * (at[place + 1] - at[place])
        value, slope = likelihood.loss(curved)
        by_value = np.bincount(place, slope * (1 - along), minlength=len(at))
        by_value += np.bincount(place + 1, slope * along, minlength=len(at))
        later = np.cumsum(by_value[::-1])[::-1]
        gradient = np.concatenate([later[:1], later[1:] * np.diff(at)])
        bend = parameters.copy()
        bend[0] = 0.0
        return float(value + CURVATURE * bend @ bend), gradient + 2 * CURVATURE * bend

    begin = np.zeros(len(places))
    begin[0] = places[0]
    fitted = minimize(loss, begin, jac=True, method="L-BFGS-B").x
    return tuple(zip(places.tolist(), values(fitted).tolist(), strict=True))
