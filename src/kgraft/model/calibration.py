"""Calibration: from scores to probabilities, and the error of those probabilities.

Shapes: B queries, C candidates of each, K of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import expit
from torch import Tensor

from kgraft.model.evidence import By

TOP_CANDIDATES = 100
"""Candidates in a query's softmax: the best of those that the target does not state."""

MAX_PROBABILITY = 0.999
"""Upper bound of a probability: of a rule in log odds, one minus it being the lower bound; and of a
fact that the target does not state."""


@dataclass(frozen=True)
class Calibration:
    """A function from a candidate's log share to a probability.

    The probability is that of ``(h, r, t)`` being a fact that the target lacks, if someone asks
    ``(h, r, ?)`` and an answer is missing. It is fitted to validation facts, among the
    ``TOP_CANDIDATES`` best candidates of each query that they answer. For a query without a missing
    answer it is too high.

    Args:
        points: Pairs of a log share, ascending, and log odds; linear between them, constant beyond.
    """

    points: tuple[tuple[float, float], ...]

    def probability(self, shares: Tensor) -> Tensor:
        """Return the probabilities of candidates, float64, by their ``log_shares``."""
        places, log_odds = np.array(self.points, dtype=np.float64).reshape(-1, 2).T
        return torch.from_numpy(expit(np.interp(shares.numpy(), places, log_odds)))


def best_scores(scores_BC: Tensor) -> Tensor:
    """Return the scores of the ``TOP_CANDIDATES`` best candidates, the best first."""
    k = min(TOP_CANDIDATES, scores_BC.shape[1])
    if scores_BC.device.type != "cpu":
        return scores_BC.topk(k).values
    # NumPy's partition takes a tenth of the time of PyTorch's `topk`.
    best, others = scores_BC.numpy(), scores_BC.shape[1] - k
    if others:
        best = np.partition(best, others, axis=1)[:, others:]
    return torch.from_numpy(np.sort(best, axis=1)[:, ::-1].copy())


def log_shares(scores_BK: Tensor, unknown_BC: Tensor, by: By) -> Tensor:
    """Return log-softmax scores ``(B, K)``, normalised by the ``TOP_CANDIDATES`` best candidates.

    Args:
        scores_BK: Scores of candidates.
        unknown_BC: Scores of all candidates of the same queries, -inf for those that the target
            states.
        by: The way to answer; scores by rules are probabilities and are converted to log odds.
    """
    best = best_scores(unknown_BC)
    if by == "rules":
        scores_BK, best = (
            x.clamp(1 - MAX_PROBABILITY, MAX_PROBABILITY).logit().where(x.isfinite(), x)
            for x in (scores_BK, best)
        )
    return scores_BK - torch.logsumexp(best, dim=1, keepdim=True)


@dataclass(frozen=True)
class ReliabilityBin:
    """A bin of a reliability diagram: candidates of similar probability.

    Args:
        low: Lower bound of the bin.
        high: Upper bound of the bin.
        count: Number of candidates in it.
        probability: Their mean probability.
        observed: The share of them that is right.
    """

    low: float
    high: float
    count: int
    probability: float
    observed: float


def reliability_bins(
    probability: ArrayLike, labels: ArrayLike, bins: int = 10
) -> list[ReliabilityBin]:
    """Compare probabilities with labels, in bins of equal width; empty ones are left out.

    Args:
        probability: From 0 to 1, ``(n,)``.
        labels: True for candidates that are right, bool ``(n,)``.
        bins: Number of bins.
    """
    predicted, right = (np.asarray(x, dtype=np.float64) for x in (probability, labels))
    bin_of = np.minimum((predicted * bins).astype(np.int64), bins - 1)
    return [
        ReliabilityBin(
            number / bins,
            (number + 1) / bins,
            int(inside.sum()),
            float(predicted[inside].mean()),
            float(right[inside].mean()),
        )
        for number in range(bins)
        if (inside := bin_of == number).any()
    ]


def calibration_error(rows: Sequence[ReliabilityBin]) -> float:
    """Return the expected calibration error: the mean distance of probability and observed share.

    Bins are weighted by their number of candidates (Naeini et al., AAAI 2015).
    """
    total = sum(row.count for row in rows)
    return sum(row.count * abs(row.probability - row.observed) for row in rows) / max(total, 1)
