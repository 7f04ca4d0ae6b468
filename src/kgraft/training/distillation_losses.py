"""Distillation losses of three levels: features, network and predictions.

Shapes: N rows, B queries, C candidates, D width. After Sun et al., "Joint pre-training and local
re-training" (KDD 2023), section 4.3, which leaves some forms open. The teacher's tensors are data.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax, mse_loss, normalize

MIN_NORM = 1.0
"""Lower bound of the norms of a student's vectors in cosines, whose gradient grows as a vector
shrinks: new rows near zero would dominate Adagrad's state."""

CONTRASTIVE_TEMPERATURE = 0.1
"""The temperature of ``contrastive_loss``."""


def feature_loss(teacher_ND: Tensor, student_ND: Tensor, weights_N: Tensor | None = None) -> Tensor:
    """Feature level: mean of ``1 - cos(P e_T(i), e_S(i))`` over linked rows.

    Args:
        teacher_ND: The teacher's rows, projected to the student's width.
        student_ND: The student's rows.
        weights_N: Weight of each row, from 0 to 1; by default 1.

    Returns:
        A scalar in [0, 2].
    """
    teacher, student = normalize(teacher_ND, dim=-1), normalize(student_ND, dim=-1, eps=MIN_NORM)
    return _mean(1.0 - (teacher * student).sum(-1), weights_N)


def contrastive_loss(
    teacher_ND: Tensor, student_ND: Tensor, weights_N: Tensor | None = None
) -> Tensor:
    """Feature level, InfoNCE: classify each student's row among the teacher's rows.

    Mean of ``-log softmax_j(cos(P e_T(j), e_S(i)) / t)`` at ``j = i`` (van den Oord et al.,
    2018; between networks Tian et al., "Contrastive representation distillation", ICLR 2020).

    Args:
        teacher_ND: The teacher's rows, projected to the student's width.
        student_ND: The student's rows.
        weights_N: Weight of each row, from 0 to 1; by default 1.

    Returns:
        A scalar, at least 0.
    """
    teacher, student = normalize(teacher_ND, dim=-1), normalize(student_ND, dim=-1, eps=MIN_NORM)
    own = torch.arange(len(student), device=student.device)
    losses = cross_entropy(student @ teacher.T / CONTRASTIVE_TEMPERATURE, own, reduction="none")
    return _mean(losses, weights_N)


def hint_loss(teacher_BD: Tensor, student_BD: Tensor, weights_B: Tensor | None = None) -> Tensor:
    """Network level, hint: mean of ``1 - cos(Q q_T, q_S)`` over queries.

    Args:
        teacher_BD: The teacher's query vectors, projected to the student's width.
        student_BD: The student's query vectors.
        weights_B: Weight of each query, from 0 to 1; by default 1.

    Returns:
        A scalar in [0, 2].
    """
    return feature_loss(teacher_BD, student_BD, weights_B)


def similarity_loss(teacher_BD: Tensor, student_BE: Tensor) -> Tensor:
    """Network level, similarity: mean squared difference of the batch's cosine matrices.

    The widths D and E may differ (Tung and Mori, "Similarity-preserving knowledge distillation",
    ICCV 2019, with cosines in place of dot products).

    Args:
        teacher_BD: The teacher's query vectors.
        student_BE: The student's query vectors.

    Returns:
        A scalar.
    """
    teacher, student = normalize(teacher_BD, dim=-1), normalize(student_BE, dim=-1, eps=MIN_NORM)
    return mse_loss(student @ student.T, teacher @ teacher.T)


def prediction_loss(
    teacher_BC: Tensor, student_BC: Tensor, temperature: float, weights_B: Tensor | None = None
) -> Tensor:
    """Prediction level: ``t^2 KL(softmax(s_T / t) || softmax(s_S / t))``, mean over queries.

    Args:
        teacher_BC: The teacher's scores of the candidates.
        student_BC: The student's scores of the same candidates.
        temperature: ``t``; higher softens both distributions (Hinton et al., 2015).
        weights_B: Weight of each query, from 0 to 1; by default 1.

    Returns:
        A scalar, at least 0.
    """
    teacher = log_softmax(teacher_BC / temperature, dim=-1)
    student = log_softmax(student_BC / temperature, dim=-1)
    divergence = kl_div(student, teacher, reduction="none", log_target=True).sum(-1)
    return temperature**2 * _mean(divergence, weights_B)


def _mean(losses_N: Tensor, weights_N: Tensor | None) -> Tensor:
    """Return the mean of weighted losses, divided by the number of rows and not by weights."""
    return losses_N.mean() if weights_N is None else (losses_N * weights_N).mean()
