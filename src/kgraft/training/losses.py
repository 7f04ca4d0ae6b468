"""The task's loss, with its gradient written out: most of a step's numbers pass through here.

Shapes: B queries, C candidates.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

TINIEST = 1e-38
"""Chances below this make no larger loss, 87.5; only the figure that is shown stops there."""


def sampled_softmax(scores_BC: Tensor, answers_B: Tensor, known_2M: Tensor | None = None) -> Tensor:
    """Cross-entropy of each query's answer against the step's shared candidates.

    Args:
        scores_BC: The score of every candidate for every query.
        answers_B: int64, the column of each query's answer.
        known_2M: int64 ``(2, M)``, query and column of other true answers, which are no negatives
            and are left out of the query's softmax.

    Returns:
        The loss of each query, ``(B,)``.
    """
    losses: Tensor = _SampledSoftmax.apply(scores_BC, answers_B, known_2M)  # type: ignore[no-untyped-call]
    return losses


class _SampledSoftmax(torch.autograd.Function):
    """Keeps one matrix of probabilities, which the backward pass turns into the gradient."""

    @staticmethod
    def forward(ctx: Any, scores_BC: Tensor, answers_B: Tensor, known_2M: Tensor | None) -> Tensor:
        answers_B1 = answers_B[:, None]
        if known_2M is None or not known_2M.shape[1]:
            chances_BC = scores_BC.softmax(1)
        else:
            # Marked for as long as it takes: a copy would cost as much as the softmax.
            query_M, column_M = known_2M
            known_M = scores_BC[query_M, column_M]
            scores_BC[query_M, column_M] = float("-inf")
            chances_BC = scores_BC.softmax(1)
            scores_BC[query_M, column_M] = known_M
        ctx.save_for_backward(chances_BC, answers_B1)
        # The gradient does not go through the logarithm, so that it is right beyond TINIEST, too.
        return -chances_BC.gather(1, answers_B1).clamp_min(TINIEST).log().squeeze(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_B: Tensor) -> tuple[Tensor, None, None]:
        chances_BC, answers_B1 = ctx.saved_tensors
        gradient_B1 = gradient_B[:, None]
        gradient_BC = chances_BC * gradient_B1
        return gradient_BC.scatter_add_(1, answers_B1, -gradient_B1), None, None
