"""Probabilities of facts, from positive and unlabelled examples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import check_grad
from scipy.special import expit

from kgraft.linking.completeness import Completeness, SplitSizes
from kgraft.model.fact_probability import DEGREES, FactProbability, LabelCheck
from kgraft.model.fact_scores import BY_ONE, FEATURES, LINKED, OVERALL, Described, _ranks
from kgraft.pipeline.fit_fact_probability import (
    Examples,
    fit_fact_probability,
    likelihood_of,
    validation_share_by_degree,
)

F = len(FEATURES)
SIZES = SplitSizes(800, 100, 100)


def completeness(share: float, relations: int = 2) -> Completeness:
    shares = [np.full(relations, share) for _ in range(4)]
    return Completeness(*shares, basis=("sources",) * relations, accuracy=0.99)


def judge(**changes: object) -> FactProbability:
    found = FactProbability(
        np.zeros(F),
        np.ones(F),
        np.zeros(F + 1),
        np.zeros(2),
        ((-1.0, -1.0), (1.0, 1.0)),
        np.zeros(2, dtype=bool),
        completeness(0.5),
        SIZES,
        np.full(len(DEGREES) + 1, 0.1),
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def described(n: int, features: np.ndarray | None = None, kind: int = OVERALL) -> Described:
    found = np.zeros((n, F), dtype=np.float32) if features is None else features
    zeros = np.zeros(n, dtype=np.int64)
    return Described(found, zeros, zeros + kind, zeros + 5)


def test_the_rate_of_labels_and_the_probability_by_hand() -> None:
    # Of 1,000 true facts the graph states 500: 400 in training, 50 each held out. Of the 600 that
    # training lacks, 50 are labelled and 100 stated.
    assert judge().label_rate(described(1)).tolist() == pytest.approx([50 / 600])
    # Among 12 candidates 6 are true, of which one is stated: of the other 11, 5 are.
    assert judge().probability(described(1)).tolist() == pytest.approx([5 / 11])


def test_ranks_count_all_better_candidates() -> None:
    unknown = torch.arange(300.0).flip(0).repeat(2, 1)
    unknown[1, 7] = -torch.inf
    rows = torch.tensor([0, 1, 0, 0, 1, 1])
    own = torch.tensor([299.0, 299.5, 199.0, 200.0, 50.0, -torch.inf])
    ranks = _ranks(unknown, unknown.sort(dim=1, descending=True).values[:, :100], own, rows)
    assert ranks.tolist() == [0, 0, 100, 99, 248, 299]


def test_a_complete_graph_lacks_nothing() -> None:
    assert judge(completeness=completeness(1.0)).probability(described(1))[0] < 1e-9


def test_it_survives_json() -> None:
    check = LabelCheck("linked", 10, 4.5, 1.5, 2)
    one = judge(curve=((-2.0, -3.0), (0.0, 0.5), (4.0, 9.0)), checks=(check,))
    about = one.as_dict()
    other = FactProbability.from_dict(about, 2)
    features = np.random.default_rng(0).normal(size=(9, F)).astype(np.float32)
    assert other.probability(described(9, features)).tolist() == one.probability(
        described(9, features)
    ).tolist()  # fmt: skip
    assert other.completeness.basis == one.completeness.basis
    assert other.checks == (check,)


@pytest.mark.parametrize(
    "change",
    [
        {"features": ["one"]},
        {"mean": [0.0]},
        {"coefficients": [float("nan")] * (F + 1)},
        {"curve": [[0.0, 1.0], [1.0, 0.0]]},
        {"curve": [[0.0, 1.0]]},
        {"checks": [{"kind": "linked", "candidates": -1, "true": 0, "expected": 0, "found": 0}]},
        {"checks": [{"kind": "other", "candidates": 1, "true": 0, "expected": 0, "found": 0}]},
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="probability of facts"):
        FactProbability.from_dict({**judge().as_dict(), **change}, 2)


def examples(n: int, seed: int, kind: int = OVERALL) -> tuple[Examples, np.ndarray]:
    """Candidates whose log odds are twice the share minus 2, labelled at the known rate."""
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(n, F)).astype(np.float32)
    probability = expit(2 * features[:, 0] - 2)
    facts = described(n, features, kind)
    rate = judge().label_rate(facts)
    true = draw.random(n) < probability
    labels = true & (draw.random(n) < rate)
    false = np.zeros(n, dtype=bool)
    return Examples(facts, labels, false, np.ones(n), draw.integers(2, size=n)), probability


def test_probabilities_are_found_again() -> None:
    given, probability = examples(60_000, 0)
    fitted = fit_fact_probability(
        given, completeness(0.5), SIZES, np.zeros(2, dtype=bool), np.full(len(DEGREES) + 1, 0.1)
    )
    found = fitted.probability(given.facts)
    # 6 of 12 true: one is stated.
    rate = 1 / 6
    wanted = probability * (1 - rate) / (1 - probability * rate)
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        inside = (found >= low) & (found < low + 0.2)
        assert found[inside].mean() == pytest.approx(wanted[inside].mean(), abs=0.06)
    assert fitted.coefficients[1] == pytest.approx(2, abs=0.25)
    assert np.abs(fitted.coefficients[2:]).max() < 0.25


@pytest.mark.parametrize("kind", [OVERALL, BY_ONE])
def test_derivatives_agree_with_differences(kind: int) -> None:
    given, _ = examples(200, 1, kind)
    likelihood = likelihood_of(given, judge())
    odds = np.random.default_rng(2).normal(size=200)
    error = check_grad(lambda x: likelihood.loss(x)[0], lambda x: likelihood.loss(x)[1], odds)
    assert error < 1e-4


def test_the_curve_rises_and_few_labels_leave_it_straight() -> None:
    given, _ = examples(20_000, 3)
    arguments = completeness(0.5), SIZES, np.zeros(2, dtype=bool), np.full(len(DEGREES) + 1, 0.1)
    curve = np.array(fit_fact_probability(given, *arguments).curve)
    assert (np.diff(curve, axis=0) > 0).all()
    few = replace(given, labels=given.labels & (np.cumsum(given.labels) < 10))
    assert len(fit_fact_probability(few, *arguments).curve) == 2


def test_labels_are_expected_as_often_as_they_are_found() -> None:
    given, probability = examples(60_000, 4, LINKED)
    arguments = SIZES, np.zeros(2, dtype=bool), np.full(len(DEGREES) + 1, 0.1)
    checks = fit_fact_probability(given, completeness(0.5), *arguments).checks
    assert [check.kind for check in checks if check.candidates] == ["linked"]
    (check,) = (check for check in checks if check.candidates)
    assert check.true == pytest.approx(probability[probability >= 0.1].sum(), rel=0.1)
    assert check.found == pytest.approx(check.expected, rel=0.05)
    assert check.found == pytest.approx(given.labels[probability >= 0.1].sum(), rel=0.05)


def test_labels_are_fewer_than_expected_where_sources_are_less_accurate_than_they_seem() -> None:
    given, _ = examples(60_000, 4, BY_ONE)
    arguments = SIZES, np.zeros(2, dtype=bool), np.full(len(DEGREES) + 1, 0.1)
    checks = fit_fact_probability(given, completeness(0.5), *arguments).checks
    (check,) = (check for check in checks if check.candidates)
    assert check.found < 0.8 * check.expected


def test_the_share_of_validation_facts_by_degree() -> None:
    train = np.array([[0, 0, 1], [0, 0, 2], [0, 0, 3], [4, 0, 5]])
    valid = np.array([[1, 0, 2]])
    degree = np.bincount(train[:, [0, 2]].ravel(), minlength=6)
    share = validation_share_by_degree(train, valid, 0, degree)
    # Without itself, each training fact has an end in no other one: 4 and none are held out.
    assert share[0] == pytest.approx(10 * 0.2 / (10 + 4))
    # The validation fact is about entities of one fact each.
    assert share[1] == pytest.approx((1 + 10 * 0.2) / (10 + 1))
    assert share[2] == pytest.approx(0.2)
    # With two test facts for each validation fact, of 1 and 4 facts that are known 7 are stated.
    assert validation_share_by_degree(train, valid, 2, degree)[2] == pytest.approx(1 / 7)


def test_what_is_known_to_be_false_counts_as_wrong() -> None:
    given, _ = examples(20_000, 4)
    wrong = given.facts.features[:, 7] > 0.5
    arguments = completeness(0.5), SIZES, np.zeros(2, dtype=bool), np.full(len(DEGREES) + 1, 0.1)
    told = replace(given, false=wrong & ~given.labels, labels=given.labels & ~wrong)
    before, after = (
        fit_fact_probability(x, *arguments).probability(given.facts)[wrong].mean()
        for x in (given, told)
    )
    assert after < before / 3
