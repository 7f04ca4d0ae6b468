"""Row-sparse Adagrad against torch's own on the whole table."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from kgraft.training.optimizer import RowAdagrad

N_ROWS = 8


def loss_of(rows: torch.Tensor, taken: torch.Tensor) -> torch.Tensor:
    """Some loss that depends on which rows these are."""
    return ((taken - rows[:, None] / 3.0) ** 2 * (rows[:, None] + 1.0)).sum()


@given(
    seed=st.integers(0, 2**31),
    steps=st.lists(st.sets(st.integers(0, N_ROWS - 1), min_size=1), min_size=1, max_size=6),
)
def test_it_equals_adagrad_on_the_whole_table(seed: int, steps: list[set[int]]) -> None:
    start = torch.randn(N_ROWS, 3, generator=torch.Generator().manual_seed(seed))
    dense = start.clone().requires_grad_()
    torchs = torch.optim.Adagrad([dense], lr=0.3)
    table = start.clone()
    ours = RowAdagrad(table, learning_rate=0.3)
    for used in steps:
        rows = torch.tensor(sorted(used))
        torchs.zero_grad()
        loss_of(rows, dense[rows]).backward()
        torchs.step()
        taken = ours.take(rows)
        loss_of(rows, taken).backward()
        ours.step(rows, taken)
    torch.testing.assert_close(table, dense.detach(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(ours.squares, torchs.state[dense]["sum"], rtol=1e-6, atol=1e-6)
    unused = [row for row in range(N_ROWS) if not any(row in used for used in steps)]
    assert table[unused].equal(start[unused])
    assert ours.squares[unused].equal(torch.zeros(len(unused), 3))


def test_a_step_leaves_other_rows_and_states_untouched() -> None:
    table = torch.randn(N_ROWS, 3, generator=torch.Generator().manual_seed(0))
    optimizer = RowAdagrad(table, learning_rate=0.1)
    everything = torch.arange(N_ROWS)
    taken = optimizer.take(everything)
    loss_of(everything, taken).backward()
    optimizer.step(everything, taken)
    before, squares = table.clone(), optimizer.squares.clone()
    rows, others = torch.tensor([5, 1]), torch.tensor([0, 2, 3, 4, 6, 7])
    taken = optimizer.take(rows)
    loss_of(rows, taken).backward()
    optimizer.step(rows, taken)
    assert table[others].equal(before[others])
    assert optimizer.squares[others].equal(squares[others])
    assert (table[rows] != before[rows]).all()
    assert (optimizer.squares[rows] > squares[rows]).all()


def test_what_is_taken_is_a_copy() -> None:
    table = torch.ones(3, 2)
    taken = RowAdagrad(table, learning_rate=0.1).take(torch.tensor([0]))
    with torch.no_grad():
        taken.zero_()
    assert table.equal(torch.ones(3, 2))
    assert taken.is_leaf
    assert not table.requires_grad


def test_rows_without_a_gradient_stay() -> None:
    table = torch.ones(3, 2)
    optimizer = RowAdagrad(table, learning_rate=0.1)
    rows = torch.tensor([0, 2])
    optimizer.step(rows, optimizer.take(rows))
    assert table.equal(torch.ones(3, 2))
    assert optimizer.squares.equal(torch.zeros(3, 2))
