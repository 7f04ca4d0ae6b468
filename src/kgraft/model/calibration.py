"""From scores to probabilities, and how far those can be trusted.

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

RIVALS = 100
"""The best candidates of a query, of what the target does not state, that share its answer."""

CERTAIN = 0.999
"""The most that a chance by rules counts as, and one minus it the least."""


@dataclass(frozen=True)
class Calibration:
    """Curves from a candidate's share of its query to the probability that it is true.

    The probability is this: someone asks for a missing fact of the target, gives two thirds of it,
    and is right that there is one. Of the candidates that the target does not state already, and
    that have as large a share as this one, so many are such a fact. It is fitted to the
    ``RIVALS`` best candidates of each query that validation facts answer, which are the hardest
    wrong answers there are. To a query that has no answer missing, it promises too much.

    Args:
        points: Shares, ascending, with the log odds that go with them; linear between them, level
            beyond them.
    """

    points: tuple[tuple[float, float], ...]

    def probability(self, shares: Tensor) -> Tensor:
        """Return the probabilities of candidates, float64, by what ``shares`` says of them."""
        places, log_odds = np.array(self.points, dtype=np.float64).reshape(-1, 2).T
        return torch.from_numpy(expit(np.interp(shares.numpy(), places, log_odds)))


def shares(scores_BK: Tensor, unknown_BC: Tensor, by: By) -> Tensor:
    """Return the log of the share that candidates have of their query's answer, ``(B, K)``.

    It is a softmax over the ``RIVALS`` best candidates.

    Args:
        scores_BK: Scores of candidates.
        unknown_BC: Scores of all candidates of the same queries, -inf for those that the target
            states.
        by: What the scores go by; those by rules are chances and are taken as log odds.
    """
    best = unknown_BC.topk(min(RIVALS, unknown_BC.shape[1])).values
    if by == "rules":
        scores_BK, best = (
            x.clamp(1 - CERTAIN, CERTAIN).logit().where(x.isfinite(), x) for x in (scores_BK, best)
        )
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
    predicted = np.asarray(probability, dtype=np.float64)
    facts = np.asarray(truth, dtype=np.float64)
    bin_of = np.minimum((predicted * bins).astype(np.int64), bins - 1)
    return [
        Reliability(
            number / bins,
            (number + 1) / bins,
            int(inside.sum()),
            float(predicted[inside].mean()),
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
