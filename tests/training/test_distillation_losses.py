"""The three levels of distillation by hand, and their gradients."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from kgraft.training.distillation_losses import (
    CONTRASTIVE_TEMPERATURE,
    contrastive_loss,
    feature_loss,
    hint_loss,
    prediction_loss,
    similarity_loss,
)


def test_feature_loss_by_hand() -> None:
    teacher = torch.tensor([[1.0, 0.0], [3.0, 4.0], [1.0, 1.0], [2.0, 0.0]])
    student = torch.tensor([[0.0, 5.0], [4.0, 3.0], [-2.0, -2.0], [7.0, 0.0]])
    # cosines 0, 24/25, -1, 1
    assert float(feature_loss(teacher, student)) == pytest.approx((1 + 0.04 + 2 + 0) / 4)


def test_contrastive_loss_by_hand() -> None:
    teacher = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    student = torch.tensor([[5.0, 0.0], [3.0, 4.0]])
    # cosines to its own and to the other: 1 and 0; 0.8 and 0.6
    losses = [
        math.log(1 + math.exp((other - own) / CONTRASTIVE_TEMPERATURE))
        for own, other in ((1, 0), (0.8, 0.6))
    ]
    assert float(contrastive_loss(teacher, student)) == pytest.approx(sum(losses) / 2, rel=1e-5)
    weights = torch.tensor([0.0, 0.5])
    weighted = float(contrastive_loss(teacher, student, weights))
    assert weighted == pytest.approx(0.5 * losses[1] / 2, rel=1e-5)


def test_losses_are_weighted_by_row() -> None:
    teacher = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    student = torch.tensor([[0.0, 5.0], [-2.0, 0.0]])  # cosines 0 and 0
    weights = torch.tensor([0.25, 0.5])
    assert float(feature_loss(teacher, student, weights)) == pytest.approx((0.25 + 0.5) / 2)
    assert float(hint_loss(teacher, student, weights)) == pytest.approx((0.25 + 0.5) / 2)
    parts = [float(prediction_loss(teacher[[i]], student[[i]], 1.0)) for i in range(2)]
    expected = (0.25 * parts[0] + 0.5 * parts[1]) / 2
    assert float(prediction_loss(teacher, student, 1.0, weights)) == pytest.approx(
        expected, rel=1e-5
    )


def test_hint_loss_by_hand() -> None:
    teacher, student = (
        torch.tensor([[3.0, 4.0], [1.0, 0.0]]),
        torch.tensor([[3.0, 4.0], [0.0, 2.0]]),
    )
    assert float(hint_loss(teacher, student)) == pytest.approx(0.5)


def test_similarity_loss_by_hand_at_two_widths() -> None:
    teacher = torch.tensor([[2.0, 0.0], [3.0, 4.0]])  # cosine 0.6
    student = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 9.0]])  # cosine 0
    # The matrices differ by 0.6 in two places of four.
    assert float(similarity_loss(teacher, student)) == pytest.approx(2 * 0.36 / 4)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_prediction_loss_by_hand(temperature: float) -> None:
    teacher = temperature * torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])
    student = temperature * torch.tensor([[0.0, 0.0], [5.0, 5.0]])
    # Query one: 3/4 against 1/2 and 1/4 against 1/2; query two agrees.
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    loss = prediction_loss(teacher, student, temperature)
    assert float(loss) == pytest.approx(temperature**2 * divergence / 2, rel=1e-5)


def _draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(seed=st.integers(0, 2**31), scale=st.floats(0.1, 10))
def test_a_student_that_agrees_has_no_loss(seed: int, scale: float) -> None:
    teacher = _draw(seed, 5, 4)
    rotation = torch.linalg.qr(_draw(seed + 1, 4, 4)).Q
    student = (1 + scale) * teacher / teacher.norm(dim=-1, keepdim=True)
    assert float(feature_loss(teacher, student)) == pytest.approx(0, abs=1e-12)
    assert float(similarity_loss(teacher, student @ rotation)) == pytest.approx(0, abs=1e-12)
    shifted = teacher + _draw(seed, 5, 1)
    assert float(prediction_loss(teacher, shifted, scale)) == pytest.approx(0, abs=1e-9)


def test_a_fresh_row_is_pulled_along_the_teacher_and_not_harder_than_a_long_one() -> None:
    teacher = torch.tensor([[3.0, 4.0]])
    student = torch.tensor([[1e-3, 0.0]], requires_grad=True)
    loss = feature_loss(teacher, student)
    assert loss.item() == pytest.approx(1 - 0.6e-3)
    (gradient,) = torch.autograd.grad(loss, student)
    torch.testing.assert_close(gradient, torch.tensor([[-0.6, -0.8]]))


@given(seed=st.integers(0, 2**31))
def test_losses_stay_in_their_ranges(seed: int) -> None:
    teacher, student = _draw(seed, 5, 4), _draw(seed + 1, 5, 4)
    assert 0 < float(feature_loss(teacher, student)) < 2
    assert 0 < float(similarity_loss(teacher, student)) < 4
    assert float(prediction_loss(teacher, student, 2.0)) > 0


@pytest.mark.parametrize(
    "loss",
    [
        feature_loss,
        hint_loss,
        similarity_loss,
        lambda teacher, student: prediction_loss(teacher, student, 2.0),
    ],
    ids=["feature", "hint", "similarity", "prediction"],
)
def test_gradients_by_finite_differences(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    teacher, student = _draw(0, 4, 3).requires_grad_(), _draw(1, 4, 3).requires_grad_()
    assert torch.autograd.gradcheck(loss, (teacher, student))


def test_gradients_of_zero_rows_are_numbers() -> None:
    student = torch.zeros(2, 3, requires_grad=True)
    teacher = torch.ones(2, 3)
    (feature_loss(teacher, student) + similarity_loss(teacher, student)).backward()
    assert student.grad is not None
    assert student.grad.isfinite().all()
