"""The task's loss, its gradients written out: most of a step's numbers pass through here.

Shapes: B queries, C candidates, D width.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

TINIEST = 1e-38
"""Chances below this make no larger loss, 87.5; only the figure that is shown stops there."""


class Asked(NamedTuple):
    """What comes of asking queries.

    Args:
        loss: The weighted sum of the losses, a scalar to be moved down.
        losses: The loss of each query, ``(B,)``, not weighted and without a gradient.
    """

    loss: Tensor
    losses: Tensor


def sampled_softmax(
    queries_BD: Tensor,
    candidates_CD: Tensor,
    answers_B: Tensor,
    known_2M: Tensor | None = None,
    weights_B: Tensor | None = None,
    discounts_C: Tensor | None = None,
    factors: torch.dtype | None = None,
) -> Asked:
    """Cross-entropy of each query's answer against the step's shared candidates.

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
        known_2M: int64 ``(2, M)``, query and candidate of other true answers: they are no
            negatives, and are left out of the query's softmax.
        weights_B: How much each query counts in the sum; by default all count 1.
        discounts_C: What each candidate's scores count less; by default nothing.
        factors: What the factors of the three products, forward and backward, are rounded to, as
            ``torch.bfloat16``; by default they are taken as they are. Sums keep the inputs' type.
    """
    if known_2M is None:
        known_2M = answers_B.new_empty(2, 0)
    weights_B = queries_BD.new_ones(len(answers_B)) if weights_B is None else weights_B
    if discounts_C is None:
        discounts_C = queries_BD.new_zeros(len(candidates_CD))
    found: tuple[Tensor, Tensor] = _SampledSoftmax.apply(  # type: ignore[no-untyped-call]
        queries_BD,
        candidates_CD,
        answers_B,
        known_2M,
        weights_B.to(queries_BD),
        discounts_C.to(queries_BD),
        factors,
    )
    return Asked(*found)


class _SampledSoftmax(torch.autograd.Function):
    """Computes the gradients with the loss: one matrix of scores becomes chances, then slopes."""

    @staticmethod
    def forward(
        ctx: Any,
        queries_BD: Tensor,
        candidates_CD: Tensor,
        answers_B: Tensor,
        known_2M: Tensor,
        weights_B: Tensor,
        discounts_C: Tensor,
        factors: torch.dtype | None,
    ) -> tuple[Tensor, Tensor]:
        asked_BD, rows_CD = queries_BD.to(factors), candidates_CD.to(factors)
        scores_BC = torch.addmm(-discounts_C.to(factors), asked_BD, rows_CD.T)
        scores_BC = scores_BC.to(queries_BD.dtype)
        query_M, place_M = known_2M
        scores_BC[query_M, place_M] = float("-inf")
        chances_BC = torch.softmax(scores_BC, 1, out=scores_BC)
        answers_B1, weights_B1 = answers_B[:, None], weights_B[:, None]
        # The gradient does not go through the logarithm, so it is right beyond TINIEST, too.
        losses_B = -chances_BC.gather(1, answers_B1).squeeze(1).clamp_min(TINIEST).log()
        slopes_BC = chances_BC.scatter_add_(1, answers_B1, -torch.ones_like(weights_B1))
        slopes_BC = slopes_BC.to(factors)
        # The weights go to the narrow factors: the slopes are many times as many numbers.
        of_queries_BD = (slopes_BC @ rows_CD).to(queries_BD.dtype).mul_(weights_B1)
        weighed_BD = (queries_BD * weights_B1).to(factors)
        of_candidates_CD = (slopes_BC.T @ weighed_BD).to(candidates_CD.dtype)
        ctx.save_for_backward(of_queries_BD, of_candidates_CD)
        ctx.mark_non_differentiable(losses_B)
        return losses_B @ weights_B, losses_B

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        of_queries_BD, of_candidates_CD = ctx.saved_tensors
        return of_queries_BD * gradient, of_candidates_CD * gradient, *[None] * 5
