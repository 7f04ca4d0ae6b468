"""The regression on positive and unlabelled examples ends where its objective is least."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from kgraft.pipeline.positive_unlabelled import OF_RELATION, RIDGE, Likelihood, fit_odds

N, F, M = 3_000, 6, 9

Floats = NDArray[np.float64]


@pytest.fixture
def examples() -> tuple[Floats, NDArray[np.int64], Likelihood]:
    """Correlated features, some relations without examples, labels of a part of what is true."""
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(N, F)) @ (np.eye(F) + 0.5 * draw.normal(size=(F, F)))
    rows[:, 0] = 1.0
    relations = draw.integers(M - 2, size=N)
    odds = rows @ draw.normal(size=F) * 0.5 - 2 + draw.normal(size=M)[relations]
    rate = draw.uniform(0.1, 0.7, size=N)
    labels = draw.random(N) < rate / (1 + np.exp(-odds))
    stated = 0.1 * (draw.random(N) < 0.2)
    weights = draw.choice([1.0, 10.0], size=N)
    return rows, relations, Likelihood(labels, rate, weights, stated, 0.9)


def objective(
    rows: Floats, relations: NDArray[np.int64], likelihood: Likelihood, slopes: Floats, own: Floats
) -> float:
    value = likelihood.loss(rows @ slopes + own[relations])[0]
    return value + RIDGE * float((slopes[1:] ** 2).sum()) + OF_RELATION * float((own**2).sum())


def test_no_other_fit_is_likelier(
    examples: tuple[Floats, NDArray[np.int64], Likelihood],
) -> None:
    slopes, own = fit_odds(*examples, M)
    found = objective(*examples, slopes, own)
    begin = np.zeros(F + M)
    begin[0] = -3.0
    other = minimize(lambda x: objective(*examples, x[:F], x[F:]), begin, method="L-BFGS-B")
    assert found <= other.fun + 1e-4 * abs(other.fun)
    # Nor does a small step lead further down.
    draw = np.random.default_rng(1)
    for _ in range(20):
        near = 0.05 * draw.normal(size=F + M)
        assert objective(*examples, slopes + near[:F], own + near[F:]) > found
    assert own[M - 2 :].tolist() == [0.0, 0.0]


def test_the_order_of_examples_does_not_matter(
    examples: tuple[Floats, NDArray[np.int64], Likelihood],
) -> None:
    rows, relations, likelihood = examples
    slopes, own = fit_odds(*examples, M)
    order = np.random.default_rng(2).permutation(N)
    shuffled = replace(likelihood.where(order))
    again = fit_odds(rows[order], relations[order], shuffled, M)
    assert again[0] == pytest.approx(slopes, abs=1e-6)
    assert again[1] == pytest.approx(own, abs=1e-6)
