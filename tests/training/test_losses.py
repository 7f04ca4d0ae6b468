"""The task's loss by hand, and its gradients by finite differences and by autograd."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from kgraft.training.losses import TINIEST, sampled_softmax


def scored(*rows: list[float]) -> tuple[Tensor, Tensor]:
    """Return queries and candidates that have these scores: the candidates are the axes."""
    return torch.tensor(rows), torch.eye(len(rows[0]))


def drawn(*sizes: int, width: int = 3, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Return random rows that take a gradient."""
    draw = torch.Generator().manual_seed(1)
    return [torch.randn(n, width, generator=draw, dtype=dtype).requires_grad_() for n in sizes]


def test_losses_by_hand() -> None:
    queries, candidates = scored([0.0, math.log(2), math.log(5)], [1.0, 1.0, 1.0])
    # -ln(2 / 8) and -ln(1 / 3)
    asked = sampled_softmax(queries, candidates, torch.tensor([1, 0]))
    assert asked.losses.tolist() == pytest.approx([math.log(4), math.log(3)])
    assert asked.loss.item() == pytest.approx(math.log(12))


def test_other_true_answers_are_left_out() -> None:
    queries, candidates = scored([0.0, math.log(2), math.log(5)], [1.0, 1.0, 1.0])
    known = torch.tensor([[0, 1], [2, 1]])
    # -ln(2 / 3) and -ln(1 / 2)
    asked = sampled_softmax(queries, candidates, torch.tensor([1, 0]), known)
    assert asked.losses.tolist() == pytest.approx([math.log(1.5), math.log(2)])


def test_no_known_answers_change_nothing() -> None:
    queries, candidates = drawn(3, 4)
    answers = torch.tensor([0, 3, 1])
    none = torch.empty(2, 0, dtype=torch.int64)
    with_none, without = (sampled_softmax(queries, candidates, answers, x) for x in (none, None))
    assert torch.equal(with_none.losses, without.losses)


def test_queries_count_by_their_weights() -> None:
    queries, candidates = scored([0.0, math.log(2), math.log(5)], [1.0, 1.0, 1.0])
    weights = torch.tensor([0.5, 2.0])
    asked = sampled_softmax(queries, candidates, torch.tensor([1, 0]), weights_B=weights)
    assert asked.losses.tolist() == pytest.approx([math.log(4), math.log(3)])
    assert asked.loss.item() == pytest.approx(0.5 * math.log(4) + 2 * math.log(3))


def test_candidates_count_by_how_seldom_they_are_there() -> None:
    queries, candidates = scored([0.0, math.log(2), math.log(5)], [1.0, 1.0, 1.0])
    log_chances = torch.tensor([1.0, 0.5, 0.1]).log()
    # 1, 4 and 50 parts; 1, 2 and 10 parts
    asked = sampled_softmax(queries, candidates, torch.tensor([1, 0]), discounts_C=log_chances)
    assert asked.losses.tolist() == pytest.approx([math.log(55 / 4), math.log(13)])


def test_gradients_by_finite_differences() -> None:
    queries, candidates = drawn(4, 5)
    answers, known = torch.tensor([0, 1, 2, 3]), torch.tensor([[0, 0, 3], [1, 4, 2]])
    weights, log_chances = torch.tensor([1.0, 0.3, 0.0, 2.0]), torch.tensor([0.0, -2, -1, -9, -1])
    assert torch.autograd.gradcheck(
        lambda x, y: sampled_softmax(x, y, answers, known, weights, log_chances).loss,
        (queries, candidates),
    )


def test_a_known_answer_gets_no_gradient_where_nothing_else_asks_about_it() -> None:
    queries, candidates = drawn(1, 4)
    sampled_softmax(
        queries, candidates, torch.tensor([0]), torch.tensor([[0], [2]])
    ).loss.backward()
    assert candidates.grad is not None
    assert candidates.grad.any(dim=1).tolist() == [True, True, False, True]


def test_a_row_that_is_query_and_candidate_gets_both_gradients() -> None:
    (rows,) = drawn(5)
    answers = torch.tensor([1, 2, 0])
    sampled_softmax(rows[:3], rows, answers).loss.backward()
    (same,) = drawn(5)
    cross_entropy(same[:3] @ same.T, answers, reduction="sum").backward()
    assert rows.grad is not None
    assert same.grad is not None
    torch.testing.assert_close(rows.grad, same.grad)


def test_an_answer_that_underflows_still_has_a_finite_loss_and_its_gradient() -> None:
    # A known answer far above all others must not push them below what a float can hold.
    queries, candidates = scored([500.0, 0.0, -300.0])
    queries.requires_grad_()
    asked = sampled_softmax(queries, candidates, torch.tensor([2]), torch.tensor([[0], [0]]))
    assert asked.losses.tolist() == pytest.approx([-math.log(TINIEST)])
    asked.loss.backward()
    assert queries.grad is not None
    assert queries.grad.tolist() == [[0.0, 1.0, -1.0]]


def test_rounded_factors_are_added_up_in_full() -> None:
    queries, candidates = drawn(6, 7, width=8, dtype=torch.float32)
    answers = torch.arange(6)
    rounded = sampled_softmax(queries, candidates, answers, factors=torch.bfloat16)
    exact = (queries.bfloat16().double() @ candidates.bfloat16().double().T).detach()
    expected = cross_entropy(exact, answers, reduction="none")
    assert rounded.losses.dtype == torch.float32
    # What the product gives is rounded to 8 bits once more.
    torch.testing.assert_close(rounded.losses.double(), expected, rtol=2**-6, atol=2**-6)
    assert not torch.equal(rounded.losses, sampled_softmax(queries, candidates, answers).losses)


def test_gradients_of_rounded_factors_are_near_the_exact_ones() -> None:
    queries, candidates = drawn(6, 7, width=8, dtype=torch.float32)
    answers = torch.arange(6)
    rounded, exact = (
        torch.autograd.grad(
            sampled_softmax(queries, candidates, answers, factors=x).loss, (queries, candidates)
        )
        for x in (torch.bfloat16, None)
    )
    for one, other in zip(rounded, exact, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.05)
