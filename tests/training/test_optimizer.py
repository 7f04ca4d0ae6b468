"""Optimizers of rows: against torch's own, by hand, and what they leave alone."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from kgraft.training.optimizer import (
    OPTIMIZERS,
    Adagrad,
    Adam,
    DenseAdagrad,
    RowOptimizer,
    RowwiseAdagrad,
    put,
    stochastic_round,
)

N_ROWS = 8

Kind = type[RowOptimizer]

every_kind = pytest.mark.parametrize("kind", OPTIMIZERS.values())


def loss_of(rows: Tensor, taken: Tensor) -> Tensor:
    """Some loss that depends on which rows these are."""
    return ((taken - rows[:, None] / 3.0) ** 2 * (rows[:, None] + 1.0)).sum()


def move(optimizer: RowOptimizer, *rows: Tensor) -> None:
    """Take rows and move them down the loss."""
    taken = optimizer.take(*rows)
    leaf = taken.detach().requires_grad_()
    loss_of(torch.cat(rows), leaf).backward()
    assert leaf.grad is not None
    optimizer.step(rows, taken, leaf.grad)


def table(seed: int, size: int = N_ROWS) -> Tensor:
    return torch.randn(size, 3, generator=torch.Generator().manual_seed(seed))


def of_one(kind: Kind, rows: Tensor, learning_rate: float = 0.1) -> RowOptimizer:
    """An optimizer of one table."""
    return kind({"own": rows}, learning_rate)


@every_kind
def test_rows_that_are_held_stay(kind: Kind) -> None:
    rows = table(0)
    before, held = rows.clone(), torch.arange(N_ROWS) % 2 == 0
    optimizer = of_one(kind, rows)
    optimizer.hold(held)
    for _ in range(3):
        move(optimizer, torch.arange(N_ROWS))
    assert rows[held].equal(before[held])
    assert (rows[~held] != before[~held]).all()


@given(
    seed=st.integers(0, 2**31),
    steps=st.lists(st.sets(st.integers(0, N_ROWS - 1), min_size=1), min_size=1, max_size=6),
)
def test_adagrad_is_that_of_the_whole_table(seed: int, steps: list[set[int]]) -> None:
    dense = table(seed).requires_grad_()
    torchs = torch.optim.Adagrad([dense], lr=0.3)
    ours = of_one(Adagrad, table(seed), 0.3)
    for used in steps:
        rows = torch.tensor(sorted(used))
        torchs.zero_grad()
        loss_of(rows, dense[rows]).backward()
        torchs.step()
        move(ours, rows)
    torch.testing.assert_close(ours.tables["own"], dense.detach(), rtol=1e-6, atol=1e-6)
    squares = ours.state()["squares.own"]
    torch.testing.assert_close(squares, torchs.state[dense]["sum"], rtol=1e-6, atol=1e-6)
    unused = [row for row in range(N_ROWS) if not any(row in used for used in steps)]
    assert ours.tables["own"][unused].equal(table(seed)[unused])
    assert squares[unused].equal(torch.zeros(len(unused), 3))


@given(seed=st.integers(0, 2**31), n_steps=st.integers(1, 5))
def test_adam_is_that_of_the_whole_table_while_all_rows_are_used(seed: int, n_steps: int) -> None:
    dense = table(seed).requires_grad_()
    torchs = torch.optim.Adam([dense], lr=0.3)
    ours, rows = of_one(Adam, table(seed), 0.3), torch.arange(N_ROWS)
    for _ in range(n_steps):
        torchs.zero_grad()
        loss_of(rows, dense).backward()
        torchs.step()
        move(ours, rows)
    torch.testing.assert_close(ours.tables["own"], dense.detach(), rtol=1e-5, atol=1e-5)


def test_adam_corrects_a_row_by_its_own_steps() -> None:
    optimizer = of_one(Adam, table(0), 0.1)
    for _ in range(3):
        move(optimizer, torch.tensor([0, 1]))
    before = optimizer.tables["own"][5].clone()
    move(optimizer, torch.tensor([1, 5]))
    # The first step of Adam is as long as the rate, whatever the gradient.
    moved = (optimizer.tables["own"][5] - before).abs()
    torch.testing.assert_close(moved, torch.full((3,), 0.1), rtol=1e-4, atol=0)
    assert optimizer.state()["counts.own"].flatten().tolist() == [3, 4, 0, 0, 0, 1, 0, 0]


def test_rowwise_adagrad_by_hand() -> None:
    optimizer = of_one(RowwiseAdagrad, torch.zeros(2, 2), 0.5)
    for square, expected in ((12.5, [-0.5 * 3 / 12.5**0.5, -0.5 * 4 / 12.5**0.5]), (25.0, None)):
        rows = torch.tensor([1])
        optimizer.step([rows], optimizer.take(rows), torch.tensor([[3.0, 4.0]]))
        # The mean of 9 and 16, once and twice.
        assert optimizer.state()["squares.own"].tolist() == [[0.0], [square]]
        if expected is not None:
            assert optimizer.tables["own"][1].tolist() == pytest.approx(expected)
    first, second = 0.5 * 3 / 12.5**0.5, 0.5 * 3 / 25**0.5
    assert optimizer.tables["own"][1, 0].item() == pytest.approx(-first - second)
    assert optimizer.tables["own"][0].tolist() == [0.0, 0.0]


@every_kind
def test_a_step_leaves_other_rows_and_what_is_known_of_them_untouched(kind: Kind) -> None:
    optimizer = of_one(kind, table(0), 0.1)
    move(optimizer, torch.arange(N_ROWS))
    before = {name: x.clone() for name, x in optimizer.state().items()}
    rows, others = torch.tensor([5, 1]), torch.tensor([0, 2, 3, 4, 6, 7])
    start = optimizer.tables["own"].clone()
    move(optimizer, rows)
    assert optimizer.tables["own"][others].equal(start[others])
    assert (optimizer.tables["own"][rows] != start[rows]).all()
    for name, now in optimizer.state().items():
        assert now[others].equal(before[name][others]), name
        assert (now[rows] != before[name][rows]).all(), name


@every_kind
def test_what_is_taken_is_a_copy(kind: Kind) -> None:
    optimizer = of_one(kind, torch.ones(3, 2), 0.1)
    taken = optimizer.take(torch.tensor([0]))
    taken.zero_()
    assert optimizer.tables["own"].equal(torch.ones(3, 2))


@every_kind
def test_more_rows_may_be_taken_than_before(kind: Kind) -> None:
    optimizer = of_one(kind, table(0), 0.1)
    for size in (1, 8, 3):
        rows = torch.arange(size)
        assert optimizer.take(rows).equal(optimizer.tables["own"][:size])
        move(optimizer, rows)


@every_kind
def test_tables_move_as_each_would_alone(kind: Kind) -> None:
    both = kind({"one": table(0), "other": table(1, size=5)}, learning_rate=0.1)
    for _ in range(2):
        move(both, torch.tensor([5, 1, 7]), torch.tensor([4, 0]))
    for name, start, rows in (("one", table(0), [5, 1, 7]), ("other", table(1, size=5), [4, 0])):
        alone = of_one(kind, start, 0.1)
        for _ in range(2):
            move(alone, torch.tensor(rows))
        assert both.tables[name].equal(alone.tables["own"])
        for key, value in alone.state().items():
            assert both.state()[key.replace("own", name)].equal(value)


@every_kind
def test_tables_of_two_types_move_together(kind: Kind) -> None:
    both = kind({"narrow": table(0).to(torch.bfloat16), "wide": table(1)}, learning_rate=0.1)
    start = {name: x.clone() for name, x in both.tables.items()}
    rows = (torch.tensor([2]), torch.tensor([3, 6]))
    taken = both.take(*rows)
    assert taken.dtype == torch.float32
    assert taken.equal(torch.cat([start["narrow"][rows[0]].float(), start["wide"][rows[1]]]))
    move(both, *rows)
    for (name, before), own in zip(start.items(), rows, strict=True):
        moved = (both.tables[name] != before).any(dim=1).nonzero().flatten()
        assert moved.tolist() == own.tolist()


@pytest.mark.parametrize("width", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_rows_of_any_width_are_written_whole(width: int, kind: torch.dtype) -> None:
    table = torch.arange(5 * width).view(5, width).to(kind)
    values = torch.full((2, width), torch.nan, dtype=kind)
    values[1] = -1.0
    wanted = table.clone()
    wanted[torch.tensor([3, 0])] = values
    put(table, torch.tensor([3, 0]), values)
    assert table.nan_to_num(-7.0).equal(wanted.nan_to_num(-7.0))


# ------------------------------------------------------------------------------- in half the memory


def test_rounding_at_random_is_right_in_expectation() -> None:
    torch.manual_seed(0)
    numbers = torch.tensor([1.0, 1.001, -1.001, 3.14159, 0.0, -2e-30])
    rounded = torch.stack([stochastic_round(numbers).float() for _ in range(4000)])
    # Of each number only the two neighbours come out, 2 ** -7 of their size apart.
    assert all(len(column.unique()) <= 2 for column in rounded.T)
    torch.testing.assert_close(rounded.mean(0), numbers, rtol=2e-4, atol=0)
    assert rounded[:, 0].unique().tolist() == [1.0]


def test_steps_too_small_for_a_narrow_table_add_up() -> None:
    torch.manual_seed(0)
    rows = torch.arange(1000)
    optimizer = of_one(RowwiseAdagrad, torch.ones(1000, 4, dtype=torch.bfloat16), 1e-4)
    for _ in range(50):
        taken = optimizer.take(rows)
        assert taken.dtype == torch.float32
        optimizer.step([rows], taken, torch.ones(1000, 4))
    steps = sum(1e-4 / (n + 1) ** 0.5 for n in range(50))
    assert steps < 2**-8  # half of what lies between neighbours: to the nearest, nothing would move
    assert optimizer.tables["own"].float().mean().item() == pytest.approx(1 - steps, abs=1e-4)


@every_kind
def test_what_is_remembered_of_a_narrow_table_is_not_narrow(kind: Kind) -> None:
    optimizer = of_one(kind, table(0).to(torch.bfloat16), 0.1)
    before = optimizer.tables["own"].clone()
    move(optimizer, torch.tensor([1, 5]))
    assert optimizer.tables["own"].dtype == torch.bfloat16
    moved = (optimizer.tables["own"] != before).any(dim=1).nonzero().flatten()
    assert moved.tolist() == [1, 5]
    assert {x.dtype for x in optimizer.state().values()} == {torch.float32}


def test_dense_adagrad_is_pytorchs() -> None:
    one, other = (
        [
            torch.randn(4, 3, generator=torch.Generator().manual_seed(x)).requires_grad_()
            for x in (0, 1)
        ]
        for _ in range(2)
    )
    ours, torchs = DenseAdagrad(one, lr=0.3), torch.optim.Adagrad(other, lr=0.3)
    for step in range(4):
        for optimizer, parameters in ((ours, one), (torchs, other)):
            optimizer.zero_grad(set_to_none=True)
            # The second is not used in every step.
            used = parameters[: 1 + step % 2]
            torch.stack([(x**2 + step * x).sum() for x in used]).sum().backward()
            optimizer.param_groups[0]["lr"] = 0.3 / (step + 1)
            optimizer.step()
    for x, y in zip(one, other, strict=True):
        assert x.detach().numpy() == pytest.approx(y.detach().numpy(), abs=1e-6)
        assert ours.state[x]["step"] == torchs.state[y]["step"]


def test_the_first_step_with_it_does_not_load_the_compiler() -> None:
    program = """
import sys, torch
from kgraft.training.optimizer import DenseAdagrad
x = torch.ones(3, requires_grad=True)
optimizer = DenseAdagrad([x], lr=0.1)
optimizer.zero_grad(set_to_none=True)
x.sum().backward()
optimizer.step()
print("torch._dynamo" in sys.modules)
"""
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert found.stdout.strip() == "False"
