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

from kgraft.graph.grouped_index import changes
from kgraft.graph.known_facts import Ids

Floats = NDArray[np.float64]

RIDGE, OF_RELATION = 1.0, 0.1
"""Weights of squared coefficients, and of squared additions for a relation."""

MAX_STEPS, TOLERANCE, MIN_SHARE = 100, 1e-8, 1e-4
"""The most steps of a fit, the relative gain in likelihood that ends it, and the least share of a
step that is tried where a whole one gains nothing."""

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

    def where(self, chosen: NDArray[np.bool_] | Ids) -> Self:
        """Return the likelihood of some of the examples."""
        return replace(
            self,
            labels=self.labels[chosen],
            rate=self.rate[chosen],
            weights=self.weights[chosen],
            stated=self.stated[chosen],
        )

    def curvature(self, odds: Floats) -> Floats:
        """Return the expected second derivative by the log odds, ``(N,)``."""
        true = expit(odds)
        labelled = self.rate * true
        of_labels = labelled * (1 - true) ** 2 / np.maximum(1 - labelled, 1e-12)
        found: Floats = self.weights * of_labels + self.stated * true * (1 - true)
        return found

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
    """Return coefficients ``(F,)`` and additions for each relation ``(m,)``, by Fisher scoring.

    Args:
        rows: Features, the first of which is 1, ``(N, F)``.
        relations: ``(N,)``.
        likelihood: Of the labels.
        m: Number of relations.
    """
    order = np.argsort(relations, kind="stable")
    rows, likelihood = rows[order], likelihood.where(order)
    first = np.flatnonzero(changes(relations[order]))
    sizes = np.diff(first, append=len(order))
    ridge = np.full(rows.shape[1], RIDGE)
    ridge[0] = 0.0
    slopes, own = np.zeros(len(ridge)), np.zeros(len(first))
    slopes[0] = -3.0

    def loss(slopes: Floats, own: Floats) -> tuple[float, Floats, Floats]:
        odds = rows @ slopes + np.repeat(own, sizes)
        value, by_odds = likelihood.loss(odds)
        value += float(ridge @ slopes**2 + OF_RELATION * own @ own)
        return value, by_odds, odds

    value, by_odds, odds = loss(slopes, own)
    for _ in range(MAX_STEPS):
        curvature = likelihood.curvature(odds)
        gradient = by_odds @ rows + 2 * ridge * slopes
        of_own = np.add.reduceat(by_odds, first) + 2 * OF_RELATION * own
        weighed = rows * curvature[:, None]
        # The Hessian's block of relations is diagonal, so they are eliminated first.
        diagonal = np.add.reduceat(curvature, first) + 2 * OF_RELATION
        crossed = np.add.reduceat(weighed, first, axis=0)
        block = rows.T @ weighed + np.diag(2 * ridge) - crossed.T @ (crossed / diagonal[:, None])
        step = np.linalg.lstsq(block, crossed.T @ (of_own / diagonal) - gradient, rcond=None)[0]
        of_relations = -(of_own + crossed @ step) / diagonal
        share, before = 1.0, value
        while share > MIN_SHARE:
            found = loss(slopes + share * step, own + share * of_relations)
            if found[0] < before:
                break
            share /= 2
        else:
            break
        slopes, own = slopes + share * step, own + share * of_relations
        value, by_odds, odds = found
        if before - value <= TOLERANCE * abs(value):
            break
    added = np.zeros(m)
    added[relations[order[first]]] = own
    return slopes, added


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
