"""Ranks of right answers among candidates, and their metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Tie = Literal["optimistic", "realistic", "pessimistic"]
"""Place of an answer among candidates of equal score: before, amid or behind them."""


@dataclass(frozen=True, eq=False)
class Ranks:
    """Ranks of ``n`` answers, counted from 1.

    Args:
        optimistic: Rank when candidates of equal score come after the answer, float64 ``(n,)``.
        pessimistic: Rank when they come before it, float64 ``(n,)``.
        candidates: Number of candidates, int64 ``(n,)``, with the answer, without filtered ones.

    Raises:
        ValueError: If the shapes differ.
    """

    optimistic: NDArray[np.float64]
    pessimistic: NDArray[np.float64]
    candidates: NDArray[np.int64]

    def __post_init__(self) -> None:
        shapes = {self.optimistic.shape, self.pessimistic.shape, self.candidates.shape}
        if shapes != {(self.optimistic.size,)}:
            raise ValueError(f"ranks and candidates have one shape (n,), not {sorted(shapes)}")

    def __len__(self) -> int:
        return len(self.optimistic)

    @property
    def realistic(self) -> NDArray[np.float64]:
        """Mean of best and worst rank, float64 ``(n,)``: the expected rank under random ties."""
        return (self.optimistic + self.pessimistic) / 2

    def by(self, tie: Tie) -> NDArray[np.float64]:
        """Return the ranks under one tie rule, float64 ``(n,)``.

        Raises:
            ValueError: If the rule is unknown.
        """
        if tie not in get_args(Tie):
            raise ValueError(f"a tie rule is optimistic, realistic or pessimistic, not {tie!r}")
        ranks: NDArray[np.float64] = getattr(self, tie)
        return ranks

    def select(self, mask: NDArray[np.bool_]) -> Ranks:
        """Return the ranks of the answers in a mask, bool ``(n,)``."""
        return Ranks(self.optimistic[mask], self.pessimistic[mask], self.candidates[mask])


@dataclass(frozen=True)
class Metrics:
    """Metrics of a set of queries, means over them; without queries each is NaN.

    Args:
        queries: Number of queries.
        mrr: Mean reciprocal rank, in (0, 1].
        hits_at_1: Share of answers ranked 1, in [0, 1].
        hits_at_3: Share ranked 3 or better.
        hits_at_10: Share ranked 10 or better.
        mr: Mean rank, at least 1.
        amri: Adjusted mean rank index: 1 for perfect ranks, 0 for those of random scores, NaN
            when no query has a choice (Berrendorf et al., 2020, arXiv 2002.06914).
    """

    queries: int
    mrr: float
    hits_at_1: float
    hits_at_3: float
    hits_at_10: float
    mr: float
    amri: float

    def as_dict(self) -> dict[str, float | None]:
        """Return the metrics by their usual names, for JSON: None instead of NaN."""
        named = {key.replace("hits_at_", "hits@"): value for key, value in asdict(self).items()}
        return {key: None if math.isnan(value) else value for key, value in named.items()}


def measure(
    ranks: Ranks, tie: Tie = "realistic", weights: NDArray[np.float64] | None = None
) -> Metrics:
    """Return the metrics of ranks under one tie rule; Hits@k counts ranks of at most k.

    Args:
        ranks: Ranks of ``n`` answers.
        tie: The tie rule.
        weights: Weight of each in the means, above 0, ``(n,)``; by default all are equal.
    """
    places = ranks.by(tie)
    if not len(places):
        return Metrics(0, *[math.nan] * 6)

    def mean(values: NDArray[Any]) -> float:
        return float(values.mean() if weights is None else np.average(values, weights=weights))

    mr = mean(places)
    expected_mr = (mean(ranks.candidates) + 1) / 2
    return Metrics(
        queries=len(places),
        mrr=mean(1 / places),
        hits_at_1=mean(places <= 1),
        hits_at_3=mean(places <= 3),
        hits_at_10=mean(places <= 10),
        mr=mr,
        amri=1 - (mr - 1) / (expected_mr - 1) if expected_mr > 1 else math.nan,
    )


def per_relation(
    ranks: Ranks,
    relations: NDArray[np.int64],
    tie: Tie = "realistic",
    weights: NDArray[np.float64] | None = None,
) -> dict[int, Metrics]:
    """Return the metrics of each relation.

    Args:
        ranks: Ranks of ``n`` answers.
        relations: Relation row of each query, int64 ``(n,)``.
        tie: The tie rule.
        weights: As for ``measure``.

    Raises:
        ValueError: If there is not one relation for each rank.
    """
    if relations.shape != (len(ranks),):
        raise ValueError(f"{len(ranks)} ranks, but relations of shape {relations.shape}")
    masks = {int(relation): relations == relation for relation in np.unique(relations)}
    return {
        relation: measure(ranks.select(mask), tie, None if weights is None else weights[mask])
        for relation, mask in masks.items()
    }


def concatenate(parts: Sequence[Ranks]) -> Ranks:
    """Join several ranks into one, such as those of heads and of tails."""
    if not parts:
        return Ranks(np.empty(0), np.empty(0), np.empty(0, dtype=np.int64))
    columns = zip(*((x.optimistic, x.pessimistic, x.candidates) for x in parts), strict=True)
    return Ranks(*(np.concatenate(column) for column in columns))
