"""Rows of entities that live on one worker each: fetched for a step, and updated by their owner.

Shapes: U distinct rows that this worker uses, A rows that all workers ask of it, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from kgraft.system.workers import Workers
from kgraft.training.optimizer import RowOptimizer


class Route:
    """The way of rows from the workers that own them to those that use them, and back.

    All workers make one at the same time.

    Args:
        rows: int64 ``(U,)``, rows of the whole table that this worker uses.
        workers: The workers.

    Attributes:
        asked: int64 ``(A,)``, own rows that the workers ask for, worker by worker.
    """

    def __init__(self, rows: Tensor, workers: Workers) -> None:
        self._workers = workers
        owner = rows % workers.count
        self._order = torch.argsort(owner, stable=True)
        counts = torch.bincount(owner, minlength=workers.count)
        ones = [1] * workers.count
        self._sent = counts.tolist()
        self._received = workers.exchange(counts, ones, ones, "ids").tolist()
        wanted = (rows // workers.count).index_select(0, self._order)
        self.asked = workers.exchange(wanted, self._sent, self._received, "ids")

    def fetch(self, values_AD: Tensor) -> Tensor:
        """Send what was asked for to those who asked, and return the used rows ``(U, D)``."""
        found = self._workers.exchange(values_AD, self._received, self._sent, "rows")
        return torch.empty_like(found).index_copy_(0, self._order, found)

    def return_to_owners(self, values_UD: Tensor) -> Tensor:
        """Send a number for each used row to its owner, and return those received, ``(A, D)``."""
        sent = values_UD.index_select(0, self._order)
        return self._workers.exchange(sent, self._sent, self._received, "gradients")


class ShardedRows(RowOptimizer):
    """Rows of entities on the workers that own them, and of relations on all.

    Args:
        own: Optimizer of this worker's rows of ``entities``, and of all rows of ``relations``,
            which are equal on all workers.
        workers: The workers.
    """

    def __init__(self, own: RowOptimizer, workers: Workers) -> None:
        super().__init__(own.tables, own.learning_rate)
        self._own = own
        self._workers = workers
        self._route: Route | None = None

    def take(self, *rows: Tensor) -> Tensor:
        """Return rows of entities, by their numbers in the whole table, and of relations."""
        entities, relations = rows
        self._route = route = Route(entities, self._workers)
        here = self._own.take(route.asked, relations)
        of_others, of_relations = here.tensor_split([len(route.asked)])
        return torch.cat([route.fetch(of_others), of_relations])

    def state(self) -> Mapping[str, Tensor]:
        """Return the state of this worker's rows."""
        return self._own.state()

    @torch.no_grad()
    def step(
        self,
        rows: Sequence[Tensor],
        taken_UD: Tensor,  # noqa: ARG002 (the owners have their own copies)
        gradient_UD: Tensor,
    ) -> None:
        """Update the rows last taken, wherever they are, by the mean of all workers' gradients."""
        entities, relations = rows
        assert self._route is not None  # noqa: S101 (``take`` comes first)
        of_entities, of_relations = gradient_UD.tensor_split([len(entities)])
        received = self._route.return_to_owners(of_entities)
        distinct, place = torch.unique(self._route.asked, return_inverse=True)
        summed = received.new_zeros(len(distinct), self._width).index_add_(0, place, received)
        used, of_used = self._sum_of_relations(relations, of_relations)
        gradient = torch.cat([summed, of_used]).div_(self._workers.count)
        self._own.learning_rate = self.learning_rate
        self._own.step((distinct, used), self._own.take(distinct, used), gradient)

    def _sum_of_relations(self, relations: Tensor, gradient_VD: Tensor) -> tuple[Tensor, Tensor]:
        """Return the relations that any worker uses, and the sums of their gradients."""
        n_relations = len(self.tables["relations"])
        is_used = torch.zeros(n_relations, dtype=torch.uint8, device=relations.device)
        is_used.index_fill_(0, relations, 1)
        used = self._workers.max(is_used, "relations").nonzero().squeeze(1)
        summed = gradient_VD.new_zeros(len(used), self._width)
        summed.index_copy_(0, torch.searchsorted(used, relations), gradient_VD)
        return used, self._workers.sum(summed, "relations")

    def _update(self, rows: Sequence[Tensor], taken_UD: Tensor, gradient_UD: Tensor) -> None:
        raise NotImplementedError("the owners' optimizer updates rows")
