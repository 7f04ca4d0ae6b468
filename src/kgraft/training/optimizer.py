"""Optimizers of tables' rows: a step reads and writes only the rows that it used."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.optim.adagrad import adagrad

from kgraft.settings import OptimizerName

EPSILON = 1e-10
"""Keeps rows that have not moved yet from a division by zero."""


class RowOptimizer(ABC):
    """Moves rows of tables that have one width.

    Args:
        tables: float32 or bfloat16 ``(n, D)``, by name, changed in place. What is taken is float32;
            what goes back to bfloat16 is rounded at random, so that steps too small for it still
            add up (Gupta et al., "Deep learning with limited numerical precision", ICML 2015).
        learning_rate: Step size.
    """

    def __init__(self, tables: Mapping[str, Tensor], learning_rate: float) -> None:
        self.tables = dict(tables)
        self.learning_rate = learning_rate
        # Fresh memory for what is taken costs more than the step that it is taken for.
        self._room: dict[str, Tensor] = {}

    def take(self, *rows: Tensor) -> Tensor:
        """Return a copy of distinct rows of each table, the tables one after the other, ``(U, D)``.

        It holds until rows are taken again.
        """
        return self._taken("rows", list(self.tables.values()), rows)

    @property
    def memory(self) -> list[Tensor]:
        """Its working memory; it takes other memory once it needs more."""
        return list(self._room.values())

    @torch.no_grad()
    def step(self, rows: Sequence[Tensor], taken_UD: Tensor, gradient_UD: Tensor) -> None:
        """Move rows, and what ``take`` returned for them, down a gradient."""
        self._move(rows, taken_UD, gradient_UD)
        _put_back(list(self.tables.values()), rows, taken_UD)

    @abstractmethod
    def state(self) -> Mapping[str, Tensor]:
        """Return what it remembers, by name; it shares memory with the optimizer."""

    @abstractmethod
    def _move(self, rows: Sequence[Tensor], taken_UD: Tensor, gradient_UD: Tensor) -> None:
        """Move what was taken, in place, and remember."""

    def _taken(self, name: str, tables: Sequence[Tensor], rows: Sequence[Tensor]) -> Tensor:
        """Return rows of tables in memory that is used again and again."""
        size = sum(own.numel() for own in rows)
        room = self._room.get(name)
        if room is None or len(room) < size:
            kind = torch.promote_types(tables[0].dtype, torch.float32)
            room = tables[0].new_empty(size + size // 4, tables[0].shape[1], dtype=kind)
            self._room[name] = room
        for table, own, part in zip(tables, rows, _parts(room, rows), strict=True):
            if table.dtype == room.dtype:
                torch.index_select(table, 0, own, out=part)
            else:
                part.copy_(table[own])
        return room[:size]

    def _remembered(self, width: int) -> list[Tensor]:
        """Return zeros for the rows of each table, ``(n, width)``, never of a narrow type."""
        return [
            table.new_zeros(
                len(table), width, dtype=torch.promote_types(table.dtype, torch.float32)
            )
            for table in self.tables.values()
        ]

    def _by_table(self, name: str, remembered: Sequence[Tensor]) -> dict[str, Tensor]:
        return {f"{name}.{table}": x for table, x in zip(self.tables, remembered, strict=True)}

    @property
    def _width(self) -> int:
        return next(iter(self.tables.values())).shape[1]


class Adagrad(RowOptimizer):
    """Adagrad (Duchi et al., JMLR 2011): a sum of squares for each number."""

    def __init__(self, tables: Mapping[str, Tensor], learning_rate: float) -> None:
        super().__init__(tables, learning_rate)
        self._squares = self._remembered(self._width)
        self._steps = torch.zeros(())

    def state(self) -> Mapping[str, Tensor]:
        """Return the sums of squares, ``(n, D)`` for each table."""
        return self._by_table("squares", self._squares)

    def _move(self, rows: Sequence[Tensor], taken_UD: Tensor, gradient_UD: Tensor) -> None:
        squares_UD = self._taken("squares", self._squares, rows)
        if squares_UD.is_cuda:  # There older versions of PyTorch have no fused one.
            squares_UD.addcmul_(gradient_UD, gradient_UD)
            scale_UD = squares_UD.sqrt().add_(EPSILON)
            taken_UD.addcdiv_(gradient_UD, scale_UD, value=-self.learning_rate)
        else:
            adagrad(
                [taken_UD],
                [gradient_UD],
                [squares_UD],
                [self._steps],
                fused=True,
                lr=self.learning_rate,
                weight_decay=0.0,
                lr_decay=0.0,
                eps=EPSILON,
                maximize=False,
            )
        _put_back(self._squares, rows, squares_UD)


class RowwiseAdagrad(RowOptimizer):
    """Adagrad with one number a row: the sum of its gradients' mean squares.

    So training takes half the memory, as in PyTorch-BigGraph (Lerer et al., SysML 2019).
    """

    def __init__(self, tables: Mapping[str, Tensor], learning_rate: float) -> None:
        super().__init__(tables, learning_rate)
        self._squares = self._remembered(1)

    def state(self) -> Mapping[str, Tensor]:
        """Return the sums of mean squares, ``(n, 1)`` for each table."""
        return self._by_table("squares", self._squares)

    def _move(self, rows: Sequence[Tensor], taken_UD: Tensor, gradient_UD: Tensor) -> None:
        squares_U1 = self._taken("squares", self._squares, rows)
        squares_U1 += gradient_UD.square().mean(1, keepdim=True)
        _put_back(self._squares, rows, squares_U1)
        taken_UD.addcdiv_(gradient_UD, squares_U1.sqrt().add_(EPSILON), value=-self.learning_rate)


class Adam(RowOptimizer):
    """Adam (Kingma and Ba, ICLR 2015), lazily: a row's moments fade when it is used, not between.

    Each row counts its own steps, so that a row used late is corrected as a fresh one.
    """

    DECAYS = (0.9, 0.999)
    EPSILON = 1e-8

    def __init__(self, tables: Mapping[str, Tensor], learning_rate: float) -> None:
        super().__init__(tables, learning_rate)
        self._means, self._squares = (self._remembered(self._width) for _ in range(2))
        self._counts = self._remembered(1)

    def state(self) -> Mapping[str, Tensor]:
        """Return both moments, ``(n, D)``, and the steps of each row, ``(n, 1)``, of each table."""
        return {
            **self._by_table("means", self._means),
            **self._by_table("squares", self._squares),
            **self._by_table("counts", self._counts),
        }

    def _move(self, rows: Sequence[Tensor], taken_UD: Tensor, gradient_UD: Tensor) -> None:
        of_mean, of_square = self.DECAYS
        means_UD = self._taken("means", self._means, rows)
        squares_UD = self._taken("squares", self._squares, rows)
        counts_U1 = self._taken("counts", self._counts, rows).add_(1)
        means_UD.lerp_(gradient_UD, 1 - of_mean)
        squares_UD.mul_(of_square).addcmul_(gradient_UD, gradient_UD, value=1 - of_square)
        for tables, moved in (
            (self._means, means_UD),
            (self._squares, squares_UD),
            (self._counts, counts_U1),
        ):
            _put_back(tables, rows, moved)
        squares_UD.div_(_corrections(of_square, counts_U1))
        means_UD.div_(_corrections(of_mean, counts_U1))
        scale_UD = squares_UD.sqrt_().add_(self.EPSILON)
        taken_UD.addcdiv_(means_UD, scale_UD, value=-self.learning_rate)


def _put_back(tables: Sequence[Tensor], rows: Sequence[Tensor], values_UD: Tensor) -> None:
    """Write values into distinct rows of each table, the tables one after the other."""
    for table, own, part_UD in zip(tables, rows, _parts(values_UD, rows), strict=True):
        put(table, own, stochastic_round(part_UD) if table.dtype == torch.bfloat16 else part_UD)


def _parts(values_UD: Tensor, rows: Sequence[Tensor]) -> Iterator[Tensor]:
    """Yield what belongs to the rows of each table, the tables one after the other."""
    start = 0
    for own in rows:
        size = own.numel()
        yield values_UD[start : start + size]
        start += size


def put(table: Tensor, rows: Tensor, values_UD: Tensor) -> None:
    """Write values into distinct rows of a table, both contiguous.

    PyTorch writes rows number by number, so the wider the numbers that they are taken for, the
    faster: here up to sixteen bytes at a time.
    """
    size = table.shape[1] * table.element_size()
    for width, kind in ((16, torch.complex128), (8, torch.float64)):
        if size % width == 0:
            table, values_UD = table.view(kind), values_UD.view(kind)
            break
    table.index_copy_(0, rows, values_UD)


def stochastic_round(values: Tensor) -> Tensor:
    """Return float32 numbers as bfloat16: one of the two neighbours, in expectation the number."""
    bits = values.view(torch.int32)
    # bfloat16 is the first half of a float32; what the second half holds is the chance to go up.
    bits = bits + torch.randint_like(bits, 2**16)
    return (bits & -(2**16)).view(torch.float32).to(torch.bfloat16)


def _corrections(decay: float, counts_U1: Tensor) -> Tensor:
    """Return ``1 - decay ** count``, exact for the first steps of a slow decay, too."""
    return -torch.expm1(counts_U1 * math.log(decay))


OPTIMIZERS: Mapping[OptimizerName, type[RowOptimizer]] = {
    "adagrad": Adagrad,
    "rowwise_adagrad": RowwiseAdagrad,
    "adam": Adam,
}
