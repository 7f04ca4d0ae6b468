"""Entity rows that are a learned linear map of given vectors, and have no numbers of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from kgraft.training.optimizer import EPSILON, Adagrad, RowOptimizer

MAP_RATE = 0.1
"""Step size of the map as a share of that of rows: all entities move with it."""

INITIAL_STD = 0.1
"""Standard deviation of the map's initial numbers."""


class MappedRows(RowOptimizer):
    """Adagrad of a map that all entities share, and of the rows of relations.

    The entity table holds the rows as they are after ``write``.

    Args:
        tables: ``entities`` ``(n, D)`` and ``relations``, changed in place.
        learning_rate: Step size.
        given_ND: The given vectors, one for each entity.
        seed: Seed of the initial map.
    """

    def __init__(
        self, tables: Mapping[str, Tensor], learning_rate: float, given_ND: Tensor, seed: int
    ) -> None:
        super().__init__(tables, learning_rate)
        self._given_ND = given_ND
        self._relations = Adagrad({"relations": tables["relations"]}, learning_rate)
        draw = torch.Generator().manual_seed(seed)
        self._map = INITIAL_STD * torch.randn(given_ND.shape[1], self._width, generator=draw)
        self._squares = torch.zeros_like(self._map)
        self.write()

    def write(self) -> None:
        """Write the rows of all entities into their table."""
        self.tables["entities"].copy_(self._given_ND @ self._map)

    def take(self, *rows: Tensor) -> Tensor:
        """Return the rows of entities, computed, and of relations."""
        entities, relations = rows
        mapped = self._given_ND[entities] @ self._map
        return torch.cat([mapped, self._relations.take(relations)])

    def state(self) -> Mapping[str, Tensor]:
        """Return the map, its sums of squares, and the state of relations."""
        return {"map": self._map, "map.squares": self._squares, **self._relations.state()}

    def _update(self, rows: Sequence[Tensor], taken_UD: Tensor, gradient_UD: Tensor) -> None:
        entities, relations = rows
        n = len(entities)
        gradient = self._given_ND[entities].T @ gradient_UD[:n]
        self._squares.addcmul_(gradient, gradient)
        scale = self._squares.sqrt().add_(EPSILON)
        self._map.addcdiv_(gradient, scale, value=-MAP_RATE * self.learning_rate)
        self._relations.learning_rate = self.learning_rate
        self._relations.step((relations,), taken_UD[n:], gradient_UD[n:])
