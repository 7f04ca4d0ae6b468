"""From scores to probabilities, and how far those can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

Floats = NDArray[np.float64]

RIVALS = 100
"""The best candidates of a query, those that the target does not state, that share its chance."""


@dataclass(frozen=True)
class Calibration:
    """What a candidate's score says about its truth.

    The probability is that of a candidate being a fact of the target, if something is missing that
    the query asks for: it is fitted on queries to which a held-out fact is an answer.
    """

    points: tuple[tuple[float, float], ...]

    def probability(self, shares: Tensor) -> Tensor:
        """Return the probability of each candidate, by what ``shares`` returns."""
        places, chances = np.array(self.points).T
        return torch.from_numpy(np.interp(shares.numpy(), places, chances))


def shares(scores_BK: Tensor, unknown_BC: Tensor) -> Tensor:
    """Return the log share ``(B, K)`` of candidates in what the best unknown ones have together.

    Args:
        scores_BK: Scores of candidates.
        unknown_BC: Scores of all candidates of the same queries, -inf for those that the target
            states.
    """
    best = unknown_BC.topk(min(RIVALS, unknown_BC.shape[1])).values
    return scores_BK - torch.logsumexp(best, dim=1, keepdim=True)


@dataclass(frozen=True)
class Reliability:
    """Candidates of about the same probability.

    Args:
        low: The least probability of the bin.
        high: The bound of the bin.
        count: How many candidates are in it.
        probability: Their mean probability.
        truth: The share of them that is true.
    """

    low: float
    high: float
    count: int
    probability: float
    truth: float


def reliability(probability: ArrayLike, truth: ArrayLike, bins: int = 10) -> list[Reliability]:
    """Compare probabilities with what came true, in bins of equal width; empty ones are left out.

    Args:
        probability: From 0 to 1, ``(n,)``.
        truth: Whether it is so, bool ``(n,)``.
        bins: How many bins.
    """
    chances, facts = np.asarray(probability, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    bin_of = np.minimum((chances * bins).astype(np.int64), bins - 1)
    return [
        Reliability(
            number / bins,
            (number + 1) / bins,
            int(inside.sum()),
            float(chances[inside].mean()),
            float(facts[inside].mean()),
        )
        for number in range(bins)
        if (inside := bin_of == number).any()
    ]


def calibration_error(rows: Sequence[Reliability]) -> float:
    """Return the expected calibration error: the mean distance of probability and truth.

    Each bin counts by its candidates (Naeini et al., AAAI 2015).
    """
    total = sum(row.count for row in rows)
    return sum(row.count * abs(row.probability - row.truth) for row in rows) / max(total, 1)
