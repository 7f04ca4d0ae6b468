"""Row-sparse Adagrad: a step reads and writes only the rows that it used."""

from __future__ import annotations

import torch
from torch import Tensor


class RowAdagrad:
    """Adagrad (Duchi et al., JMLR 2011) on the rows of one table.

    Args:
        table: float ``(n, D)``, changed in place.
        learning_rate: Step size.
    """

    def __init__(self, table: Tensor, learning_rate: float) -> None:
        self.table = table
        self.learning_rate = learning_rate
        self.squares = torch.zeros_like(table)

    def take(self, rows: Tensor) -> Tensor:
        """Return a copy ``(U, D)`` of distinct ``rows`` ``(U,)``, a leaf that takes a gradient."""
        return self.table.index_select(0, rows).requires_grad_()

    @torch.no_grad()
    def step(self, rows: Tensor, taken_UD: Tensor) -> None:
        """Move ``rows`` down the gradient of what ``take`` returned for them."""
        gradient = taken_UD.grad
        if gradient is None:
            return
        squares = self.squares.index_select(0, rows).addcmul_(gradient, gradient)
        self.squares.index_copy_(0, rows, squares)
        squares.sqrt_().add_(1e-10)
        self.table.index_copy_(
            0, rows, taken_UD.detach().addcdiv(gradient, squares, value=-self.learning_rate)
        )
