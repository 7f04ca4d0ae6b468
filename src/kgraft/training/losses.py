"""The task's loss: pure functions of tensors.

Shapes: B queries, C candidates, D width.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy


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
    if known_2M is not None and known_2M.shape[1]:
        scores_BC = scores_BC.index_put(
            (known_2M[0], known_2M[1]), scores_BC.new_tensor(float("-inf"))
        )
    return cross_entropy(scores_BC, answers_B, reduction="none")
