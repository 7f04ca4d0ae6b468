"""The task's loss and the regularizer, with explicit gradients, without autograd.

Shapes: B queries, C candidates, N rows, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from kgraft.model.products import product

MIN_PROBABILITY = 1e-38
"""Lower bound of probabilities in the reported loss (87.5); gradients have none."""


SMALLEST_REST = 1e-6
"""Lower bound of one less the probability of an answer that is known to be wrong."""


class TaskLoss(NamedTuple):
    """The loss of queries and its gradients.

    Args:
        losses: The loss of each query, ``(B,)``, unweighted; minus the loss where the weight is
            negative.
        of_queries: Gradient of the weighted sum in the queries' vectors, ``(B, D)``.
        of_candidates: Gradient in the candidates' vectors, added to ``sum_CD``, ``(C, D)``.
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
    logq_C: Tensor | None = None,
    factors: torch.dtype | None = None,
    sum_CD: Tensor | None = None,
    has_known_false: bool = False,
    answer_shift_B: Tensor | None = None,
) -> TaskLoss:
    """Return the cross-entropy of each answer against the batch's candidates, and its gradients.

    A score is the dot product of query and candidate, less the candidate's logQ correction: the log
    of its probability of being sampled, which makes the sampled softmax consistent with the one
    over all entities; without it, frequent entities are underestimated (Bengio and Senécal,
    "Adaptive importance sampling to accelerate training of a neural probabilistic language model",
    IEEE Trans. Neural Networks 19(4), 2008; Yi et al., "Sampling-bias-corrected neural modeling for
    large corpus item recommendations", RecSys 2019).

    The loss of an answer known to be wrong, of probability ``p``, is ``-log(1 - p)`` (Welleck et
    al., "Neural text generation with unlikelihood training", ICLR 2020, eq. 1). Its gradient is
    that of the cross-entropy times ``-p / (1 - p)``, so an improbable answer moves nothing.

    Args:
        queries_BD: The queries' vectors.
        candidates_CD: The candidates' vectors.
        answers_B: int64, position of each query's answer among the candidates.
        known_M: int64, positions of true answers in the flattened scores ``(B, C)``; all but the
            query's own are left out of its softmax.
        weights_B: Weight of each query in the sum; by default 1. Negative for an answer known to
            be wrong.
        logq_C: logQ correction of each candidate; by default 0.
        factors: Type that the factors of the three products are rounded to, such as
            ``torch.bfloat16``; by default unchanged. Sums keep the inputs' type.
        sum_CD: Tensor that the candidates' gradient is added to, in place; by default zeros.
        has_known_false: Whether any weight is negative.
        answer_shift_B: Added to the score of each answer as one, not as a candidate.
    """
    weights_B = queries_BD.new_ones(len(answers_B)) if weights_B is None else weights_B
    weights_B1 = weights_B.to(queries_BD)[:, None]
    asked_BD, rows_CD = queries_BD.to(factors), candidates_CD.to(factors)
    shift_C = None if logq_C is None else -logq_C.to(asked_BD)
    # One matrix holds scores, then probabilities, then slopes.
    scores_BC = product(asked_BD, rows_CD, shift_C).to(queries_BD.dtype)
    answers_B1 = answers_B[:, None]
    if known_M is not None or answer_shift_B is not None:
        own_B1 = scores_BC.gather(1, answers_B1)
        if known_M is not None:
            scores_BC.view(-1).index_fill_(0, known_M, float("-inf"))
        if answer_shift_B is not None:
            own_B1 += answer_shift_B[:, None]
        scores_BC.scatter_(1, answers_B1, own_B1)
    probabilities_BC = torch.softmax(scores_BC, 1, out=scores_BC)
    losses_B = -probabilities_BC.gather(1, answers_B1).squeeze(1).clamp_min(MIN_PROBABILITY).log()
    if has_known_false:
        losses_B, weights_B1 = _of_known_false(
            losses_B, weights_B1, probabilities_BC.gather(1, answers_B1)
        )
    slopes_BC = probabilities_BC.scatter_add_(1, answers_B1, -torch.ones_like(weights_B1))
    slopes_BC = slopes_BC.to(factors)
    # Weights are applied to the smaller factors.
    of_queries_BD = product(slopes_BC, rows_CD.T).to(queries_BD.dtype).mul_(weights_B1)
    weighted_BD = (queries_BD * weights_B1).to(factors)
    if sum_CD is None:
        sum_CD = torch.zeros_like(candidates_CD)
    if factors is None:
        sum_CD.addmm_(slopes_BC.T, weighted_BD)
    else:
        sum_CD += slopes_BC.T @ weighted_BD
    return TaskLoss(losses_B, of_queries_BD, sum_CD)


def _of_known_false(
    losses_B: Tensor, weights_B1: Tensor, probabilities_B1: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the losses and weights with those of answers known to be wrong."""
    wrong_B1 = (1 - probabilities_B1).clamp_min(SMALLEST_REST)
    weighted_B1 = torch.where(weights_B1 < 0, weights_B1 * probabilities_B1 / wrong_B1, weights_B1)
    return torch.where(weights_B1[:, 0] < 0, wrong_B1[:, 0].log(), losses_B), weighted_B1


def n3(
    rows_ND: Tensor, counts_N: Tensor, *, parts: int, weight: float, gradient_ND: Tensor
) -> Tensor:
    """Return the N3 regularizer of rows, and write its weighted gradient.

    The sum of the cubed moduli of each row's numbers, times the row's count (Lacroix et al.,
    "Canonical tensor decomposition for knowledge base completion", ICML 2018, eq. 4).

    Args:
        rows_ND: The rows; with two parts their first half are real, the second imaginary parts.
        counts_N: Count of each row.
        parts: 1 for rows of real numbers, 2 for rows of complex ones.
        weight: Factor on the gradient, above 0; the returned value is unweighted.
        gradient_ND: Output: the gradient.
    """
    shape = (len(rows_ND), parts, rows_ND.shape[1] // parts)
    numbers_NPK, slopes_NPK = rows_ND.view(shape), gradient_ND.view(shape)
    first, *others = numbers_NPK.unbind(1)
    moduli_NK = first.square()
    for part_NK in others:
        moduli_NK.addcmul_(part_NK, part_NK)
    moduli_NK.sqrt_().mul_((3 * weight * counts_N)[:, None])
    torch.mul(numbers_NPK, moduli_NK[:, None], out=slopes_NPK)
    # The sum of cubes is a third of that of numbers times slopes.
    return rows_ND.flatten().dot(gradient_ND.flatten()) / (3 * weight)
