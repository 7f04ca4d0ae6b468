"""The task's loss and its regularizer, gradients written out: most of a step's numbers pass here.

Shapes: B queries, C candidates, N rows, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

TINIEST = 1e-38
"""Chances below this make no larger loss, 87.5; only the figure that is shown stops there."""


class Asked(NamedTuple):
    """What comes of asking queries.

    Args:
        losses: The loss of each query, ``(B,)``, not weighted.
        of_queries: The gradient of the weighted sum, of the queries' vectors, ``(B, D)``.
        of_candidates: The same of the candidates' vectors, ``(C, D)``.
    """

    losses: Tensor
    of_queries: Tensor
    of_candidates: Tensor


@torch.no_grad()
def sampled_softmax(
    queries_BD: Tensor,
    candidates_CD: Tensor,
    answers_B: Tensor,
    known_M: Tensor | None = None,
    weights_B: Tensor | None = None,
    discounts_C: Tensor | None = None,
    factors: torch.dtype | None = None,
    out_CD: Tensor | None = None,
) -> Asked:
    """Cross-entropy of each query's answer against the step's shared candidates, and its gradients.

    A score is the dot product of query and candidate, less the candidate's discount. With the
    logarithm of its chance to be among the candidates, what comes out is about all entities;
    without, what is there often, since many facts are about it, is thought seldom right (Bengio
    and Senécal, "Adaptive importance sampling to accelerate training of a neural probabilistic
    language model", IEEE Trans. Neural Networks 19(4), 2008; Yi et al., "Sampling-bias-corrected
    neural modeling for large corpus item recommendations", RecSys 2019).

    Args:
        queries_BD: The queries' vectors.
        candidates_CD: The candidates' vectors.
        answers_B: int64, the place of each query's answer among the candidates.
        known_M: int64, where the scores of true answers are, in the flattened scores ``(B, C)``:
            other ones are no negatives, and are left out of the query's softmax.
        weights_B: How much each query counts in the sum; by default all count 1.
        discounts_C: What each candidate's scores count less; by default nothing.
        factors: What the factors of the three products, forward and backward, are rounded to, as
            ``torch.bfloat16``; by default they are taken as they are. Sums keep the inputs' type.
        out_CD: Memory for the candidates' gradient; by default it is fresh.
    """
    weights_B = queries_BD.new_ones(len(answers_B)) if weights_B is None else weights_B
    if discounts_C is None:
        discounts_C = queries_BD.new_zeros(len(candidates_CD))
    weights_B1 = weights_B.to(queries_BD)[:, None]
    asked_BD, rows_CD = queries_BD.to(factors), candidates_CD.to(factors)
    discounts_C = discounts_C.to(asked_BD)
    # One matrix of scores becomes chances, then slopes.
    scores_BC = torch.addmm(discounts_C, asked_BD, rows_CD.T, beta=-1).to(queries_BD.dtype)
    answers_B1 = answers_B[:, None]
    if known_M is not None:
        own_B1 = scores_BC.gather(1, answers_B1)
        scores_BC.view(-1).index_fill_(0, known_M, float("-inf"))
        scores_BC.scatter_(1, answers_B1, own_B1)
    chances_BC = torch.softmax(scores_BC, 1, out=scores_BC)
    # The gradient does not go through the logarithm, so it is right beyond TINIEST, too.
    losses_B = -chances_BC.gather(1, answers_B1).squeeze(1).clamp_min(TINIEST).log()
    slopes_BC = chances_BC.scatter_add_(1, answers_B1, -torch.ones_like(weights_B1))
    slopes_BC = slopes_BC.to(factors)
    # The weights go to the narrow factors: the slopes are many times as many numbers.
    of_queries_BD = (slopes_BC @ rows_CD).to(queries_BD.dtype).mul_(weights_B1)
    weighed_BD = (queries_BD * weights_B1).to(factors)
    if out_CD is None:
        out_CD = torch.empty_like(candidates_CD)
    if factors is None:
        torch.mm(slopes_BC.T, weighed_BD, out=out_CD)
    else:
        out_CD.copy_(slopes_BC.T @ weighed_BD)
    return Asked(losses_B, of_queries_BD, out_CD)


@torch.no_grad()
def add_n3(
    gradient_ND: Tensor, rows_ND: Tensor, counts_N: Tensor, *, parts: int, weight: float
) -> Tensor:
    """Return the N3 regularizer of rows, and add its gradient, weighted.

    The sum of the cubed moduli of each row's numbers, times how often the row counts (Lacroix et
    al., "Canonical tensor decomposition for knowledge base completion", ICML 2018, eq. 4).

    Args:
        gradient_ND: Changed in place.
        rows_ND: The rows; with two parts their first half are real, the second imaginary parts.
        counts_N: How often each counts.
        parts: 1 for rows of real numbers, 2 for rows of complex ones.
        weight: What the gradient is multiplied by; the regularizer itself is not.
    """
    real, *imaginary = rows_ND.chunk(parts, dim=-1)
    squares = real.square()
    for part in imaginary:
        squares.addcmul_(part, part)
    slopes = squares.sqrt().mul_(counts_N[:, None])
    for own, part in zip(gradient_ND.chunk(parts, dim=-1), (real, *imaginary), strict=True):
        # The modulus times the number is sound at 0 too.
        own.addcmul_(part, slopes, value=3 * weight)
    return squares.view(-1).dot(slopes.view(-1))
