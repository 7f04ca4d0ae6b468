"""ComplEx by hand: products along a path, their gradients, and what a projection keeps."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from kgraft.model.encoders import ComplEx, complex_product


def as_row(*numbers: complex) -> list[float]:
    """Real parts, then imaginary parts."""
    return [x.real for x in numbers] + [x.imag for x in numbers]


def as_complex(rows: torch.Tensor) -> torch.Tensor:
    return torch.complex(*rows.chunk(2, dim=-1))


def test_complex_product_by_hand() -> None:
    left = torch.tensor([as_row(1 + 2j, 3 - 1j)])
    right = torch.tensor([as_row(2 - 1j, 1 + 1j)])
    # (1 + 2i)(2 - i) = 4 + 3i; (3 - i)(1 + i) = 4 + 2i
    assert complex_product(left, right).tolist() == [as_row(4 + 3j, 4 + 2j)]


def test_a_path_is_the_product_of_its_first_entity_and_all_relations() -> None:
    entities = torch.tensor([[as_row(1 + 1j), as_row(9 + 9j), as_row(7 - 7j)]])
    relations = torch.tensor([[as_row(2 + 0j), as_row(0 + 1j), as_row(1 - 1j)]])
    queries = ComplEx()(entities, relations)
    # (1 + i) 2 = 2 + 2i; times i = -2 + 2i; times (1 - i) = 0 + 4i
    assert queries.tolist() == [[as_row(2 + 2j), as_row(-2 + 2j), as_row(0 + 4j)]]


@given(seed=st.integers(0, 2**31), steps=st.integers(1, 4), half=st.integers(1, 5))
def test_paths_agree_with_torch_complex_numbers(seed: int, steps: int, half: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    entities, relations = (
        torch.randn(3, steps, 2 * half, generator=draw, dtype=torch.float64) for _ in range(2)
    )
    expected = as_complex(entities)[:, :1] * as_complex(relations).cumprod(dim=1)
    torch.testing.assert_close(as_complex(ComplEx()(entities, relations)), expected)


@given(seed=st.integers(0, 2**31), steps=st.integers(1, 4), half=st.integers(1, 5))
def test_gradients_of_paths_are_those_of_torch_complex_numbers(
    seed: int, steps: int, half: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    entities, relations, of_queries = (
        torch.randn(3, steps, 2 * half, generator=draw, dtype=torch.float64) for _ in range(3)
    )
    leaves = [x.clone().requires_grad_() for x in (entities, relations)]
    products = as_complex(leaves[0])[:, :1] * as_complex(leaves[1]).cumprod(dim=1)
    torch.cat([products.real, products.imag], dim=-1).backward(of_queries)
    queries, vjp = ComplEx().forward_with_vjp(torch.stack([entities, relations]))
    assert queries.equal(ComplEx()(entities, relations))
    for own, leaf in zip(vjp(of_queries), reversed(leaves), strict=True):
        torch.testing.assert_close(own, leaf.grad)


def test_projection_keeps_the_strongest_coordinates_in_their_order() -> None:
    # Squared moduli over both rows: coordinate 0 has 4, coordinate 1 has 1, coordinate 2 has 30.
    rows = torch.tensor([as_row(2 + 0j, 1j, 1 + 2j), as_row(0j, 0j, 3 + 4j)])
    projected = rows @ ComplEx().projection(rows, 4)
    assert projected.tolist() == [as_row(2 + 0j, 1 + 2j), as_row(0j, 3 + 4j)]
    assert (rows @ ComplEx().projection(rows, 2)).tolist() == [as_row(1 + 2j), as_row(3 + 4j)]


def test_projection_to_the_same_width_changes_nothing() -> None:
    rows = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    assert ComplEx().projection(rows, 8).equal(torch.eye(8))


def test_projection_to_a_larger_width_adds_zeros() -> None:
    rows = torch.tensor([as_row(1 + 2j, 3 + 4j)])
    assert (rows @ ComplEx().projection(rows, 6)).tolist() == [as_row(1 + 2j, 3 + 4j, 0j)]


def test_projected_scores_are_the_kept_coordinates_share_of_the_score() -> None:
    draw = torch.Generator().manual_seed(2)
    rows = torch.randn(6, 8, generator=draw, dtype=torch.float64)
    rows[:, [1, 5]] *= 1e-9  # complex coordinate 1 means nothing
    projection = ComplEx().projection(rows, 6)
    heads, relations, tails = rows[:2], rows[2:4], rows[4:]
    narrow = complex_product(heads @ projection, relations @ projection) * (tails @ projection)
    wide = complex_product(heads, relations) * tails
    torch.testing.assert_close(narrow.sum(-1), wide.sum(-1))
