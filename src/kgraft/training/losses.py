"""The task's loss and its regularizer, gradients written out: most of a step's numbers pass here.

What goes in is no part of autograd's.

Shapes: B queries, C candidates, N rows, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from kgraft.model.products import product

TINIEST = 1e-38
"""Chances below this make no larger loss, 87.5; only the figure that is shown stops there."""


class Asked(NamedTuple):
    """What comes of asking queries.

    Args:
        losses: The loss of each query, ``(B,)``, not weighted.
        of_queries: The gradient of the weighted sum, of the queries' vectors, ``(B, D)``.
        of_candidates: The same of the candidates' vectors, added to what was there, ``(C, D)``.
    """

    losses: Tensor
    of_queries: Tensor
    of_candidates: Tensor


def sampled_softmax(
    queries_BD: Tensor,
    candidates_CD: Tensor,
    answers_B: Tensor,
    known_M: Tensor | None = None,
    weights_B: Tensor | None = None,
    discounts_C: Tensor | None = None,
    factors: torch.dtype | None = None,
    sum_CD: Tensor | None = None,
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
        sum_CD: What the candidates' gradient is added to, in place; by default fresh zeros.
    """
    weights_B = queries_BD.new_ones(len(answers_B)) if weights_B is None else weights_B
    weights_B1 = weights_B.to(queries_BD)[:, None]
    asked_BD, rows_CD = queries_BD.to(factors), candidates_CD.to(factors)
    shift_C = None if discounts_C is None else -discounts_C.to(asked_BD)
    # One matrix of scores becomes chances, then slopes.
    scores_BC = product(asked_BD, rows_CD, shift_C).to(queries_BD.dtype)
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
    of_queries_BD = product(slopes_BC, rows_CD.T).to(queries_BD.dtype).mul_(weights_B1)
    weighed_BD = (queries_BD * weights_B1).to(factors)
    if sum_CD is None:
        sum_CD = torch.zeros_like(candidates_CD)
    if factors is None:
        sum_CD.addmm_(slopes_BC.T, weighed_BD)
    else:
        sum_CD += slopes_BC.T @ weighed_BD
    return Asked(losses_B, of_queries_BD, sum_CD)


def n3(
    rows_ND: Tensor, counts_N: Tensor, *, parts: int, weight: float, gradient_ND: Tensor
) -> Tensor:
    """Return the N3 regularizer of rows, and write its gradient, weighted.

    The sum of the cubed moduli of each row's numbers, times how often the row counts (Lacroix et
    al., "Canonical tensor decomposition for knowledge base completion", ICML 2018, eq. 4).

    Args:
        rows_ND: The rows; with two parts their first half are real, the second imaginary parts.
        counts_N: How often each counts.
        parts: 1 for rows of real numbers, 2 for rows of complex ones.
        weight: What the gradient is multiplied by, above 0; the regularizer itself is not.
        gradient_ND: Where the gradient goes.
    """
    shape = (len(rows_ND), parts, rows_ND.shape[1] // parts)
    numbers_NPK, slopes_NPK = rows_ND.view(shape), gradient_ND.view(shape)
    first, *others = numbers_NPK.unbind(1)
    moduli_NK = first.square()
    for part_NK in others:
        moduli_NK.addcmul_(part_NK, part_NK)
    moduli_NK.sqrt_().mul_((3 * weight * counts_N)[:, None])
    # The modulus times the number is sound at 0 too.
    torch.mul(numbers_NPK, moduli_NK[:, None], out=slopes_NPK)
    # What is cubic is a third of the sum of numbers times slopes.
    return rows_ND.flatten().dot(gradient_ND.flatten()) / (3 * weight)
