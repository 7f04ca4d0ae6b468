"""The product of a step: exact in float32, of rounded factors in bfloat16; and its gradient."""

from __future__ import annotations

import pytest
import torch

from kgraft.config import Precision
from kgraft.training.products import product


def factors() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    left, right = torch.randn(5, 8, generator=draw), torch.randn(7, 8, generator=draw)
    return left.requires_grad_(), right.requires_grad_()


def test_float32_is_the_plain_product() -> None:
    left, right = factors()
    assert product(left, right, "float32").equal(left @ right.T)


def test_bfloat16_rounds_the_factors_and_adds_up_in_full() -> None:
    left, right = factors()
    exact = left.bfloat16().double() @ right.bfloat16().double().T
    found = product(left, right, "bfloat16")
    assert found.dtype == torch.float32
    # What comes out is rounded to 8 bits once more.
    torch.testing.assert_close(found.double(), exact, rtol=2**-8, atol=1e-6)
    assert not found.equal(left @ right.T)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_gradients_are_those_of_the_product(precision: Precision) -> None:
    left, right = factors()
    upstream = torch.randn(5, 7, generator=torch.Generator().manual_seed(1))
    found = torch.autograd.grad(product(left, right, precision), (left, right), upstream)
    expected = torch.autograd.grad(left @ right.T, (left, right), upstream)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0.02, atol=0.05)
        assert one.dtype == torch.float32
