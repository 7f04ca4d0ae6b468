"""Sparse optimizers: a step reads and writes only the rows of tables that it uses."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adagrad import adagrad

from kgraft.settings import OptimizerName
from kgraft.training.batch import Batch

EPSILON = 1e-10
"""Added to denominators against divisions by zero."""


class RowOptimizer(ABC):
    """Optimizer of rows of tables of equal width.

    Args:
        tables: float32 or bfloat16 ``(n, D)``, by name, changed in place. Steps are computed in
            float32; bfloat16 is rounded stochastically, so that small steps add up (Gupta et al.,
            "Deep learning with limited numerical precision", ICML 2015).
        learning_rate: Step size.
    """

    def __init__(self, tables: Mapping[str, Tensor], learning_rate: float) -> None:
        self.tables = dict(tables)
        self.learning_rate = learning_rate
        # Buffers are reused, for allocation would take longer than a step.
        self._buffers: dict[str, Tensor] = {}

    def take(self, *rows: Tensor) -> Tensor:
        """Return a copy ``(U, D)`` of distinct rows of tables, valid until the next ``take``."""
        return self._gather("rows", list(self.tables.values()), rows)

    def ahead(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield batches, each to be taken and stepped on before the next."""
        yield from batches

    def collect(
        self, gradient_UD: Tensor, numbers: Tensor, n_queries: int
    ) -> tuple[Tensor, Tensor, int]:
        """Return gradient, numbers and queries of a step, which several workers put together.

        Args:
            gradient_UD: Gradient of the rows last taken.
            numbers: Means over the queries.
            n_queries: Number of queries.

        Returns:
            The gradient that ``step`` takes, the numbers' means over the queries of all workers,
            and how many these are.
        """
        return gradient_UD, numbers, n_queries

    def refresh_copies(self) -> None:  # noqa: B027 (one process has none)
        """Bring the copies of rows that other workers own up to date."""

    @property
    def memory(self) -> list[Tensor]:
        """Its buffers; they are replaced if they become too small."""
        return list(self._buffers.values())

    @torch.no_grad()
    def step(self, rows: Sequence[Tensor], taken_UD: Tensor, gradient_UD: Tensor) -> None:
        """Update rows, and the copy that ``take`` returned for them, by a gradient."""
        self._update(rows, taken_UD, gradient_UD)
        _scatter(list(self.tables.values()), rows, taken_UD)

    def hold(self, *rows: Tensor) -> None:
        """Leave masked rows of each table as they are, in all steps to come."""
        state = self.state()
        for name, held in zip(self.tables, rows, strict=True):
            state[f"squares.{name}"][held] = torch.inf

    @abstractmethod
    def state(self) -> Mapping[str, Tensor]:
        """Return its state by name, sharing memory with the optimizer."""

    @abstractmethod
    def _update(self, rows: Sequence[Tensor], taken_UD: Tensor, gradient_UD: Tensor) -> None:
        """Update copies of rows in place, and the state."""

    def _gather(self, name: str, tables: Sequence[Tensor], rows: Sequence[Tensor]) -> Tensor:
        """Copy rows of tables to a buffer."""
        size = sum(own.numel() for own in rows)
        buffer = self._buffers.get(name)
        if buffer is None or len(buffer) < size:
            shape = size + size // 4, tables[0].shape[1]
            buffer = tables[0].new_empty(shape, dtype=_wide(tables[0]))
            self._buffers[name] = buffer
        for table, own, part in zip(tables, rows, _split(buffer, rows), strict=True):
            if table.dtype == buffer.dtype:
                torch.index_select(table, 0, own, out=part)
            else:
                part.copy_(table[own])
        return buffer[:size]

    def _zeros(self, width: int) -> list[Tensor]:
        """Return zeros ``(n, width)`` for each table, at least of float32."""
        return [
            table.new_zeros(len(table), width, dtype=_wide(table)) for table in self.tables.values()
        ]

    def _by_table(self, name: str, state: Sequence[Tensor]) -> dict[str, Tensor]:
        return {f"{name}.{table}": x for table, x in zip(self.tables, state, strict=True)}

    @property
    def _width(self) -> int:
        return next(iter(self.tables.values())).shape[1]


class Adagrad(RowOptimizer):
    """Adagrad (Duchi et al., JMLR 2011)."""

    def __init__(self, tables: Mapping[str, Tensor], learning_rate: float) -> None:
        super().__init__(tables, learning_rate)
        self._squares = self._zeros(self._width)
        self._steps = torch.zeros(())

    def state(self) -> Mapping[str, Tensor]:
        """Return the sums of squares, ``(n, D)`` for each table."""
        return self._by_table("squares", self._squares)

    def _update(self, rows: Sequence[Tensor], taken_UD: Tensor, gradient_UD: Tensor) -> None:
        squares_UD = self._gather("squares", self._squares, rows)
        if squares_UD.is_cuda:  # Older versions of PyTorch have no fused one for CUDA.
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
        _scatter(self._squares, rows, squares_UD)


class RowwiseAdagrad(RowOptimizer):
    """Adagrad with one accumulator per row, the sum of its gradients' mean squares.

    Training takes half the memory, as in PyTorch-BigGraph (Lerer et al., SysML 2019).
    """

    def __init__(self, tables: Mapping[str, Tensor], learning_rate: float) -> None:
        super().__init__(tables, learning_rate)
        self._squares = self._zeros(1)

    def state(self) -> Mapping[str, Tensor]:
        """Return the sums of mean squares, ``(n, 1)`` for each table."""
        return self._by_table("squares", self._squares)

    def _update(self, rows: Sequence[Tensor], taken_UD: Tensor, gradient_UD: Tensor) -> None:
        squares_U1 = self._gather("squares", self._squares, rows)
        squares_U1 += gradient_UD.square().mean(1, keepdim=True)
        _scatter(self._squares, rows, squares_U1)
        taken_UD.addcdiv_(gradient_UD, squares_U1.sqrt().add_(EPSILON), value=-self.learning_rate)


class Adam(RowOptimizer):
    """Lazy Adam (Kingma and Ba, ICLR 2015): moments decay only at steps that use the row.

    The bias correction counts the steps of each row.
    """

    DECAYS = (0.9, 0.999)
    EPSILON = 1e-8

    def __init__(self, tables: Mapping[str, Tensor], learning_rate: float) -> None:
        super().__init__(tables, learning_rate)
        self._means, self._squares = (self._zeros(self._width) for _ in range(2))
        self._counts = self._zeros(1)

    def state(self) -> Mapping[str, Tensor]:
        """Return both moments, ``(n, D)``, and the steps of each row, ``(n, 1)``, of each table."""
        return {
            **self._by_table("means", self._means),
            **self._by_table("squares", self._squares),
            **self._by_table("counts", self._counts),
        }

    def _update(self, rows: Sequence[Tensor], taken_UD: Tensor, gradient_UD: Tensor) -> None:
        mean_decay, square_decay = self.DECAYS
        means_UD = self._gather("means", self._means, rows)
        squares_UD = self._gather("squares", self._squares, rows)
        counts_U1 = self._gather("counts", self._counts, rows).add_(1)
        means_UD.lerp_(gradient_UD, 1 - mean_decay)
        squares_UD.mul_(square_decay).addcmul_(gradient_UD, gradient_UD, value=1 - square_decay)
        for tables, values in (
            (self._means, means_UD),
            (self._squares, squares_UD),
            (self._counts, counts_U1),
        ):
            _scatter(tables, rows, values)
        squares_UD.div_(_corrections(square_decay, counts_U1))
        means_UD.div_(_corrections(mean_decay, counts_U1))
        scale_UD = squares_UD.sqrt_().add_(self.EPSILON)
        taken_UD.addcdiv_(means_UD, scale_UD, value=-self.learning_rate)


class DenseAdagrad:
    """Adagrad of whole tensors, with the parts of PyTorch's optimizers that a trainer uses.

    PyTorch's own, when first made, imports its compiler, which takes seconds.
    """

    def __init__(self, parameters: Sequence[Tensor], lr: float) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": list(parameters), "lr": lr}]
        self.state = {x: {"step": torch.zeros(()), "sum": torch.zeros_like(x)} for x in parameters}

    def zero_grad(self, *, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for x in self.state:
            x.grad = None if set_to_none else torch.zeros_like(x)

    @torch.no_grad()
    def step(self) -> None:
        """Update the tensors that have a gradient."""
        (group,) = self.param_groups
        used = [x for x in group["params"] if x.grad is not None]
        if not used:
            return
        states = [self.state[x] for x in used]
        adagrad(
            used,
            [x.grad for x in used if x.grad is not None],
            [x["sum"] for x in states],
            [x["step"] for x in states],
            fused=used[0].device.type == "cpu",
            lr=group["lr"],
            weight_decay=0.0,
            lr_decay=0.0,
            eps=EPSILON,
            maximize=False,
        )


def _wide(table: Tensor) -> torch.dtype:
    return torch.promote_types(table.dtype, torch.float32)


def _scatter(tables: Sequence[Tensor], rows: Sequence[Tensor], values_UD: Tensor) -> None:
    """Write values into distinct rows of each table."""
    for table, own, part_UD in zip(tables, rows, _split(values_UD, rows), strict=True):
        put(table, own, stochastic_round(part_UD) if table.dtype == torch.bfloat16 else part_UD)


def _split(values_UD: Tensor, rows: Sequence[Tensor]) -> Iterator[Tensor]:
    """Split values by the tables of their rows."""
    start = 0
    for own in rows:
        size = own.numel()
        yield values_UD[start : start + size]
        start += size


def put(table: Tensor, rows: Tensor, values_UD: Tensor) -> None:
    """Write values into distinct rows of a table, both contiguous.

    PyTorch copies element by element, so views of wider elements, up to 16 bytes, are faster.
    """
    size = table.shape[1] * table.element_size()
    for width, kind in ((16, torch.complex128), (8, torch.float64)):
        if size % width == 0:
            table, values_UD = table.view(kind), values_UD.view(kind)
            break
    table.index_copy_(0, rows, values_UD)


def stochastic_round(values: Tensor) -> Tensor:
    """Round float32 numbers to either neighbour in bfloat16, without bias."""
    bits = values.view(torch.int32)
    # The lower half of a float32, which bfloat16 lacks, is the probability of rounding up.
    bits = bits + torch.randint_like(bits, 2**16)
    return (bits & -(2**16)).view(torch.float32).to(torch.bfloat16)


def _corrections(decay: float, counts_U1: Tensor) -> Tensor:
    """Return ``1 - decay ** count``, also exact for small counts of a slow decay."""
    return -torch.expm1(counts_U1 * math.log(decay))


OPTIMIZERS: Mapping[OptimizerName, type[RowOptimizer]] = {
    "adagrad": Adagrad,
    "rowwise_adagrad": RowwiseAdagrad,
    "adam": Adam,
}
