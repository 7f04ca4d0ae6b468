"""Calibration and the error of its probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kgraft.model.calibration import (
    MAX_PROBABILITY,
    TOP_CANDIDATES,
    Calibration,
    ReliabilityBin,
    best_scores,
    calibration_error,
    log_shares,
    reliability_bins,
)

NO = -math.inf


def test_a_curve_is_linear_in_log_odds_and_level_beyond_its_ends() -> None:
    curve = Calibration(((-2.0, -1.0), (0.0, 3.0)))
    found = curve.probability(torch.tensor([[-9.0, -2.0, -1.0], [0.0, 5.0, NO]]))
    odds = [[-1, -1, 1], [3, 3, -1]]
    wanted = [[1 / (1 + math.exp(-x)) for x in row] for row in odds]
    assert found.dtype == torch.float64
    assert found.numpy() == pytest.approx(np.array(wanted))


def test_shares_are_normalised_over_what_the_target_does_not_state() -> None:
    # Of the first query the second candidate is known: its share may exceed 1.
    unknown = torch.tensor([[0.0, NO, 0.0], [1.0, 2.0, NO]])
    found = log_shares(torch.tensor([[0.0, 3.0], [1.0, 2.0]]), unknown, "both")
    weights = math.log(2), math.log(math.e + math.e**2)
    wanted = [[-weights[0], 3 - weights[0]], [1 - weights[1], 2 - weights[1]]]
    assert found.numpy() == pytest.approx(np.array(wanted), abs=1e-6)


def test_only_the_best_candidates_are_normalised_over() -> None:
    unknown = torch.zeros(1, 3 * TOP_CANDIDATES)
    unknown[0, TOP_CANDIDATES:] = -1.0
    assert log_shares(unknown[:, :1], unknown, "vectors").item() == pytest.approx(
        -math.log(TOP_CANDIDATES)
    )


@pytest.mark.parametrize("candidates", [1, TOP_CANDIDATES, 3 * TOP_CANDIDATES])
def test_the_best_scores_come_first(candidates: int) -> None:
    scores = torch.randn(4, candidates, generator=torch.Generator().manual_seed(0))
    scores[0, candidates // 5 :] = NO
    scores[1] = scores[1].round()
    wanted = scores.sort(dim=1, descending=True).values[:, :TOP_CANDIDATES]
    assert best_scores(scores).equal(wanted)


def test_probabilities_by_rules_count_as_log_odds() -> None:
    unknown = torch.tensor([[0.5, 1.0, 0.0, NO]])
    least = math.log(MAX_PROBABILITY / (1 - MAX_PROBABILITY))
    together = math.log(1 + math.exp(least) + math.exp(-least))
    found = log_shares(unknown, unknown, "rules")[0].tolist()
    assert found[:3] == pytest.approx([-together, least - together, -least - together], abs=1e-4)
    assert found[3] == NO


def test_bins_compare_probability_and_labels() -> None:
    rows = reliability_bins([0.1, 0.2, 0.6, 0.9, 1.0], [False, True, True, False, True], bins=2)
    assert rows == [
        ReliabilityBin(0.0, 0.5, 2, pytest.approx(0.15), 0.5),
        ReliabilityBin(0.5, 1.0, 3, pytest.approx(2.5 / 3), pytest.approx(2 / 3)),
    ]
    # (2 * |0.15 - 0.5| + 3 * |2.5 / 3 - 2 / 3|) / 5
    assert calibration_error(rows) == pytest.approx((0.7 + 0.5) / 5)


def test_empty_bins_are_left_out() -> None:
    assert [row.low for row in reliability_bins([0.05, 0.95], [False, True])] == [0.0, 0.9]
    assert reliability_bins([], []) == []
    assert calibration_error([]) == 0.0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_bins_hold_every_candidate_once(candidates: list[tuple[float, bool]]) -> None:
    predicted, labels = zip(*candidates, strict=True)
    rows = reliability_bins(predicted, labels, bins=7)
    assert sum(row.count for row in rows) == len(candidates)
    assert sum(row.count * row.observed for row in rows) == pytest.approx(sum(labels))
    assert all(row.low - 1e-9 <= row.probability <= row.high + 1e-9 for row in rows)
    one = reliability_bins(predicted, labels, bins=1)
    assert calibration_error(one) == pytest.approx(abs(np.mean(predicted) - np.mean(labels)))
    assert calibration_error(one) <= calibration_error(rows) + 1e-9
