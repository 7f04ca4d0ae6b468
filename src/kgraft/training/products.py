"""The matrix product that takes most of a step, in the precision that one asks for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from kgraft.config import Precision


def product(left_BD: Tensor, right_UD: Tensor, precision: Precision) -> Tensor:
    """Return ``left @ right.T``, ``(B, U)``, in the inputs' own type.

    With ``bfloat16`` the three products, forward and backward, take numbers rounded to 8 bits and
    add them up in float32; tables, sums and steps keep their precision. It pays where the machine
    multiplies bfloat16 in hardware (GPUs, AVX-512 BF16, AMX), and is slower where not.

    Args:
        left_BD: One factor.
        right_UD: The other one.
        precision: Of the factors.
    """
    if precision == "float32":
        return left_BD @ right_UD.T
    rounded: Tensor = _RoundedProduct.apply(left_BD, right_UD)  # type: ignore[no-untyped-call]
    return rounded


class _RoundedProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, left_BD: Tensor, right_UD: Tensor) -> Tensor:
        left, right = left_BD.bfloat16(), right_UD.bfloat16()
        ctx.save_for_backward(left, right)
        return (left @ right.T).to(left_BD.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BU: Tensor) -> tuple[Tensor, Tensor]:
        left, right = ctx.saved_tensors
        gradient = gradient_BU.bfloat16()
        own = gradient_BU.dtype
        return (gradient @ right).to(own), (gradient.T @ left).to(own)
