"""The task's loss by hand, and its gradients by finite differences and by autograd."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from kgraft.training.losses import MIN_PROBABILITY, n3, sampled_softmax


def scored(*rows: list[float]) -> tuple[Tensor, Tensor]:
    """Return queries and candidates that have these scores: the candidates are the axes."""
    return torch.tensor(rows), torch.eye(len(rows[0]))


def drawn(*sizes: int, width: int = 3, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Return random rows."""
    draw = torch.Generator().manual_seed(1)
    return [torch.randn(n, width, generator=draw, dtype=dtype) for n in sizes]


def by_differences(loss: Callable[[], float], rows: Tensor, shift: float = 1e-6) -> Tensor:
    """Return the gradient of a loss by what it becomes where a number of the rows changes."""
    gradient = torch.empty_like(rows)
    for place in np.ndindex(*rows.shape):
        kept = rows[place].item()
        rows[place] = kept + shift
        above = loss()
        rows[place] = kept - shift
        gradient[place] = (above - loss()) / (2 * shift)
        rows[place] = kept
    return gradient


def test_losses_by_hand() -> None:
    queries, candidates = scored([0.0, math.log(2), math.log(5)], [1.0, 1.0, 1.0])
    # -ln(2 / 8) and -ln(1 / 3)
    asked = sampled_softmax(queries, candidates, torch.tensor([1, 0]))
    assert asked.losses.tolist() == pytest.approx([math.log(4), math.log(3)])


def test_other_true_answers_are_left_out() -> None:
    queries, candidates = scored([0.0, math.log(2), math.log(5)], [1.0, 1.0, 1.0])
    known = torch.tensor([2, 4])
    # -ln(2 / 3) and -ln(1 / 2)
    asked = sampled_softmax(queries, candidates, torch.tensor([1, 0]), known)
    assert asked.losses.tolist() == pytest.approx([math.log(1.5), math.log(2)])


def test_an_answer_s_own_score_is_shifted_and_no_other_query_s() -> None:
    queries, candidates = scored([0.0, math.log(2), math.log(5)], [1.0, 1.0, 1.0])
    answers, shift = torch.tensor([1, 1]), torch.tensor([math.log(3), 0.0])
    for known in (None, torch.tensor([0])):
        asked = sampled_softmax(queries, candidates, answers, known, answer_shift_B=shift)
        # -ln(6 / 12), or -ln(6 / 11) without the first candidate; and -ln(1 / 3)
        first = math.log(2) if known is None else math.log(11 / 6)
        assert asked.losses.tolist() == pytest.approx([first, math.log(3)])


def test_no_known_answers_change_nothing() -> None:
    queries, candidates = drawn(3, 4)
    answers = torch.tensor([0, 3, 1])
    none = torch.empty(0, dtype=torch.int64)
    with_none, without = (sampled_softmax(queries, candidates, answers, x) for x in (none, None))
    assert torch.equal(with_none.losses, without.losses)


def test_queries_count_by_their_weights() -> None:
    queries, candidates = scored([0.0, math.log(2), math.log(5)], [1.0, 1.0, 1.0])
    weights = torch.tensor([0.5, 2.0])
    asked = sampled_softmax(queries, candidates, torch.tensor([1, 0]), weights_B=weights)
    assert asked.losses.tolist() == pytest.approx([math.log(4), math.log(3)])
    one, other = (
        sampled_softmax(queries[[x]], candidates, torch.tensor([answer]))
        for x, answer in ((0, 1), (1, 0))
    )
    # A query's weight is that of its gradients, and not of the reported loss.
    torch.testing.assert_close(
        asked.of_queries, torch.cat([0.5 * one.of_queries, 2 * other.of_queries])
    )
    torch.testing.assert_close(
        asked.of_candidates, 0.5 * one.of_candidates + 2 * other.of_candidates
    )


def test_candidates_count_by_how_seldom_they_are_there() -> None:
    queries, candidates = scored([0.0, math.log(2), math.log(5)], [1.0, 1.0, 1.0])
    log_probabilities = torch.tensor([1.0, 0.5, 0.1]).log()
    # 1, 4 and 50 parts; 1, 2 and 10 parts
    asked = sampled_softmax(queries, candidates, torch.tensor([1, 0]), logq_C=log_probabilities)
    assert asked.losses.tolist() == pytest.approx([math.log(55 / 4), math.log(13)])


def test_gradients_by_finite_differences() -> None:
    queries, candidates = drawn(4, 5)
    answers, known = torch.tensor([0, 1, 2, 3]), torch.tensor([1, 4, 17])
    weights = torch.tensor([1.0, 0.3, 0.0, 2.0], dtype=torch.float64)
    log_probabilities = torch.tensor([0.0, -2, -1, -9, -1])
    asked = sampled_softmax(queries, candidates, answers, known, weights, log_probabilities)

    def loss() -> float:
        again = sampled_softmax(queries, candidates, answers, known, weights, log_probabilities)
        return (again.losses @ weights).item()

    for rows, gradient in ((queries, asked.of_queries), (candidates, asked.of_candidates)):
        torch.testing.assert_close(gradient, by_differences(loss, rows), rtol=1e-6, atol=1e-8)


def test_a_known_answer_gets_no_gradient_where_nothing_else_asks_about_it() -> None:
    queries, candidates = drawn(1, 4)
    asked = sampled_softmax(queries, candidates, torch.tensor([0]), torch.tensor([2]))
    assert asked.of_candidates.any(dim=1).tolist() == [True, True, False, True]


def test_gradients_are_those_of_autograd() -> None:
    queries, candidates = (x.requires_grad_() for x in drawn(3, 5))
    answers = torch.tensor([1, 2, 0])
    cross_entropy(queries @ candidates.T, answers, reduction="sum").backward()
    asked = sampled_softmax(queries, candidates, answers)
    torch.testing.assert_close(asked.of_queries, queries.grad)
    torch.testing.assert_close(asked.of_candidates, candidates.grad)


@pytest.mark.parametrize("factors", [None, torch.bfloat16])
def test_the_gradient_is_added_to_what_is_there(factors: torch.dtype | None) -> None:
    queries, candidates = drawn(3, 5, dtype=torch.float32)
    answers, output = torch.tensor([1, 2, 0]), torch.full((6, 3), 2.0)
    alone, added = (
        sampled_softmax(queries, candidates, answers, factors=factors, sum_CD=there)
        for there in (None, output[:5])
    )
    torch.testing.assert_close(output[:5], 2.0 + alone.of_candidates)
    assert added.of_candidates.equal(output[:5])
    assert output[5].eq(2.0).all()


def test_an_answer_that_underflows_still_has_a_finite_loss_and_its_gradient() -> None:
    # A known answer far above all others must not push them below what a float can hold.
    queries, candidates = scored([500.0, 0.0, -300.0])
    asked = sampled_softmax(queries, candidates, torch.tensor([2]), torch.tensor([0]))
    assert asked.losses.tolist() == pytest.approx([-math.log(MIN_PROBABILITY)])
    assert asked.of_queries.tolist() == [[0.0, 1.0, -1.0]]


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
    rounded, exact = (
        sampled_softmax(queries, candidates, torch.arange(6), factors=x)
        for x in (torch.bfloat16, None)
    )
    for name in ("of_queries", "of_candidates"):
        one, other = getattr(rounded, name), getattr(exact, name)
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.05)


# ---------------------------------------------------------------------------------- the regularizer


def regularizer(rows: Tensor, counts: Tensor, parts: int, weight: float = 1.0) -> float:
    output = torch.full_like(rows, torch.nan)
    return n3(rows, counts, parts=parts, weight=weight, gradient_ND=output).item()


def test_n3_is_the_sum_of_cubed_moduli_as_often_as_rows_count() -> None:
    # 3 + 4i and 2; -i and 0: cubed moduli 125 and 8, 1 and 0
    rows = torch.tensor([[3.0, 2.0, 4.0, 0.0], [0.0, 0.0, -1.0, 0.0]])
    assert regularizer(rows, torch.tensor([1.0, 0.0]), parts=2) == pytest.approx(133.0)
    assert regularizer(rows, torch.tensor([2.0, 3.0]), parts=2) == pytest.approx(2 * 133 + 3)
    # 27 + 8 + 64 and 1
    assert regularizer(rows, torch.tensor([1.0, 10.0]), parts=1) == pytest.approx(99.0 + 10)
    # Only the gradient is weighted.
    assert regularizer(rows, torch.tensor([1.0, 0.0]), 2, weight=0.1) == pytest.approx(133.0)


@pytest.mark.parametrize("parts", [1, 2])
def test_the_gradient_of_n3_is_weighted(parts: int) -> None:
    (rows,) = drawn(3, width=4)
    rows[1, ::2] = 0.0  # a number that is zero has a gradient: none
    counts = torch.tensor([1.0, 2.0, 0.0], dtype=torch.float64)
    gradient = torch.full_like(rows, torch.nan)
    n3(rows, counts, parts=parts, weight=0.5, gradient_ND=gradient)
    expected = by_differences(lambda: regularizer(rows, counts, parts), rows)
    torch.testing.assert_close(gradient, 0.5 * expected, rtol=1e-6, atol=1e-6)
