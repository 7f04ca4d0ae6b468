"""The task's loss by hand."""

from __future__ import annotations

import math

import pytest
import torch

from kgraft.training.losses import TINIEST, sampled_softmax


def test_sampled_softmax_by_hand() -> None:
    scores = torch.tensor([[0.0, math.log(2), math.log(5)], [1.0, 1.0, 1.0]])
    # -ln(2 / 8) and -ln(1 / 3)
    losses = sampled_softmax(scores, torch.tensor([1, 0]))
    assert losses.tolist() == pytest.approx([math.log(4), math.log(3)])


def test_other_true_answers_are_left_out() -> None:
    scores = torch.tensor([[0.0, math.log(2), math.log(5)], [1.0, 1.0, 1.0]])
    known = torch.tensor([[0, 1], [2, 1]])
    # -ln(2 / 3) and -ln(1 / 2)
    losses = sampled_softmax(scores, torch.tensor([1, 0]), known)
    assert losses.tolist() == pytest.approx([math.log(1.5), math.log(2)])
    assert scores[0, 2] == pytest.approx(math.log(5)), "the scores themselves are not changed"


def test_no_known_answers_change_nothing() -> None:
    scores = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    answers = torch.tensor([0, 3, 1])
    none = torch.empty(2, 0, dtype=torch.int64)
    assert torch.equal(sampled_softmax(scores, answers, none), sampled_softmax(scores, answers))


def test_gradient_by_finite_differences_and_zero_where_known() -> None:
    scores = torch.randn(4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    scores.requires_grad_()
    answers, known = torch.tensor([0, 1, 2, 3]), torch.tensor([[0, 0, 3], [1, 4, 2]])
    assert torch.autograd.gradcheck(lambda x: sampled_softmax(x, answers, known), (scores,))
    sampled_softmax(scores, answers, known).sum().backward()
    assert scores.grad is not None
    assert scores.grad[known[0], known[1]].tolist() == [0.0, 0.0, 0.0]


def test_an_answer_that_underflows_still_has_a_finite_loss_and_its_gradient() -> None:
    # A known answer far above all others must not push them below what a float can hold.
    scores = torch.tensor([[500.0, 0.0, -300.0]], requires_grad=True)
    losses = sampled_softmax(scores, torch.tensor([2]), torch.tensor([[0], [0]]))
    assert losses.tolist() == pytest.approx([-math.log(TINIEST)])
    losses.sum().backward()
    assert scores.grad is not None
    assert scores.grad.tolist() == [[0.0, 1.0, -1.0]]
