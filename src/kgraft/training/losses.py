"""The task's loss, with its gradient written out: most of a step's numbers pass through here.

Shapes: B queries, C candidates.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


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
        scores_B1 = scores_BC.gather(1, answers_B1)
        if known_2M is not None and known_2M.shape[1]:
            scores_BC = scores_BC.clone()
            scores_BC[known_2M[0], known_2M[1]] = float("-inf")
        chances_BC = scores_BC.softmax(1)
        ctx.save_for_backward(chances_BC, answers_B1)
        # The likeliest candidate tells the softmax's denominator, however unlikely the answer is.
        best_B1 = scores_BC.amax(1, keepdim=True)
        return (best_B1 - scores_B1 - chances_BC.amax(1, keepdim=True).log()).squeeze(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_B: Tensor) -> tuple[Tensor, None, None]:
        chances_BC, answers_B1 = ctx.saved_tensors
        gradient_B1 = gradient_B[:, None]
        gradient_BC = chances_BC * gradient_B1
        return gradient_BC.scatter_add_(1, answers_B1, -gradient_B1), None, None
