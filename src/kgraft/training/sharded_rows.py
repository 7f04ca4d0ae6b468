"""Rows that live on one worker each: fetched for a step, and updated by their owner.

Shapes: U distinct rows that this worker uses, T distinct own rows that any worker uses, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from kgraft.system.workers import Workers
from kgraft.training.batch import Batch
from kgraft.training.optimizer import RowOptimizer, put

AHEAD = 8
"""Steps whose rows are asked for at once."""


class Route:
    """The way of rows from the workers that own them to this one, which uses them, and back.

    Args:
        rows: int64 ``(U,)``, distinct rows of the whole table that this worker uses.
        foreign: Places of those of others among them, by owner.
        asked: Own rows, by their numbers here, that others use, worker by worker.
        wanted: Number of rows of each worker that this one uses.
        given: Number of own rows that each uses.
        workers: The workers.

    Attributes:
        own: int64 ``(T,)``, ascending, own rows by their numbers here, that any worker uses.
    """

    def __init__(
        self,
        rows: Tensor,
        foreign: Tensor,
        asked: Tensor,
        wanted: list[int],
        given: list[int],
        workers: Workers,
    ) -> None:
        self._workers, self._foreign = workers, foreign
        self._wanted, self._given = wanted, given
        mine = (rows % workers.count == workers.number).nonzero().squeeze(1)
        used = rows.index_select(0, mine) // workers.count
        self.own, places = torch.unique(torch.cat([used, asked]), return_inverse=True)
        of_mine, self._asked = places.tensor_split([len(mine)])
        # Rows of others, and own ones that this worker does not use, are written afterwards.
        self._used = torch.zeros_like(rows).index_copy_(0, mine, of_mine)
        self._source = torch.zeros_like(self.own).index_copy_(0, of_mine, mine)
        unused = torch.ones_like(self.own, dtype=torch.bool).index_fill_(0, of_mine, False)
        self._unused = unused.nonzero().squeeze(1)

    @classmethod
    def of_each(cls, rows: Sequence[Tensor], workers: Workers) -> list[Route]:
        """Return those of several steps in two messages; all workers do this together."""
        count, steps = workers.count, len(rows)
        foreign = [_foreign(used, workers) for used in rows]
        owners = [used[places] % count for used, places in zip(rows, foreign, strict=True)]
        sizes = torch.stack([torch.bincount(of, minlength=count) for of in owners], 1)
        ones = [1] * count
        received = workers.exchange(sizes, ones, ones, "ids").tolist()
        sent = sizes.tolist()
        wanted = [
            torch.split(used[places] // count, [of[step] for of in sent])
            for step, (used, places) in enumerate(zip(rows, foreign, strict=True))
        ]
        found = workers.exchange(
            torch.cat([wanted[step][other] for other in range(count) for step in range(steps)]),
            [sum(of) for of in sent],
            [sum(of) for of in received],
            "ids",
        )
        asked = torch.split(found, [size for of in received for size in of])
        return [
            cls(
                used,
                foreign[step],
                torch.cat(asked[step::steps]),
                [of[step] for of in sent],
                [of[step] for of in received],
                workers,
            )
            for step, used in enumerate(rows)
        ]

    def fetch(self, values_TD: Tensor) -> Tensor:
        """Return the used rows ``(U, D)``; ``values_TD`` are those of ``own``."""
        asked = values_TD.index_select(0, self._asked)
        receive = self._workers.start_exchange(asked, self._given, self._wanted, "rows")
        if len(values_TD):
            used = values_TD.index_select(0, self._used)
        else:
            used = values_TD.new_empty(len(self._used), values_TD.shape[1])
        put(used, self._foreign, receive())
        return used

    def return_to_owners(self, values_UD: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Add up what all workers have for each row of ``own``, and for each of some numbers.

        Args:
            values_UD: This worker's for the rows that it uses.
            numbers: Its numbers, ``(k,)``.

        Returns:
            The sums, ``(T, D)`` and ``(k,)``.
        """
        # The numbers are sent as further rows, so that a step waits for one message less.
        lines = numbers.new_zeros(-(-len(numbers) // values_UD.shape[1]), values_UD.shape[1])
        lines.view(-1)[: len(numbers)] = numbers
        more = [len(lines)] * self._workers.count
        more[self._workers.number] = 0
        sent, received = (
            [n + m for n, m in zip(of, more, strict=True)] for of in (self._wanted, self._given)
        )
        parts = torch.split(values_UD.index_select(0, self._foreign), self._wanted)
        message = [x for part, m in zip(parts, more, strict=True) for x in (part, lines[:m])]
        receive = self._workers.start_exchange(torch.cat(message), sent, received, "gradients")
        total = values_UD.index_select(0, self._source).index_fill_(0, self._unused, 0.0)
        found = [
            x.tensor_split([n])
            for x, n in zip(torch.split(receive(), received), self._given, strict=True)
        ]
        total.index_add_(0, self._asked, torch.cat([rows for rows, _ in found]))
        of_all = [of_worker for _, of_worker in found]
        of_all[self._workers.number] = lines
        return total, torch.stack(of_all).sum(0).view(-1)[: len(numbers)]


def _foreign(rows: Tensor, workers: Workers) -> Tensor:
    """Return the places of rows of other workers, by owner."""
    owner = rows % workers.count
    places = (owner != workers.number).nonzero().squeeze(1)
    return places[torch.argsort(owner[places], stable=True)]


class _StepRows(NamedTuple):
    """The rows of one step: as the batch has them, their way, and this worker's by table."""

    entities: Tensor
    route: Route
    own: tuple[Tensor, Tensor]


class ShardedRows(RowOptimizer):
    """Rows of entities and relations on the workers that own them.

    A worker has the rows of its entities alone, and of all relations, of which others' are
    copies that ``refresh_copies`` brings up to date.

    Args:
        own: Optimizer of all rows of ``relations``, and of this worker's of ``entities``: in this
            order.
        workers: The workers.
    """

    def __init__(self, own: RowOptimizer, workers: Workers) -> None:
        super().__init__(own.tables, own.learning_rate)
        self._own = own
        self._workers = workers
        # In messages the rows of both tables are of one: relations, then entities.
        self._own_relations = -(-len(own.tables["relations"]) // workers.count)
        self._now: _StepRows | None = None

    def ahead(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield batches; the rows of several are asked for at once."""
        left = iter(batches)
        while group := list(islice(left, AHEAD)):
            steps = self._steps_of([(batch.entities, batch.relations) for batch in group])
            for batch, self._now in zip(group, steps, strict=True):
                yield batch

    def _steps_of(self, used: Sequence[tuple[Tensor, Tensor]]) -> list[_StepRows]:
        number, count, first = self._workers.number, self._workers.count, self._own_relations
        rows = [torch.cat([entities + first * count, relations]) for entities, relations in used]
        steps = []
        for (entities, _), route in zip(used, Route.of_each(rows, self._workers), strict=True):
            relations, of_entities = route.own.tensor_split([int((route.own < first).sum())])
            own = relations * count + number, of_entities - first
            steps.append(_StepRows(entities, route, own))
        return steps

    def take(self, *rows: Tensor) -> Tensor:
        """Return rows of entities, by their numbers in the whole table, and of relations."""
        entities, relations = rows
        if self._now is None or self._now.entities is not entities:
            (self._now,) = self._steps_of([(entities, relations)])
        self._taken = self._own.take(*self._now.own)
        return self._now.route.fetch(self._taken)

    def state(self) -> Mapping[str, Tensor]:
        """Return the state of this worker's rows."""
        return self._own.state()

    def collect(
        self, gradient_UD: Tensor, numbers: Tensor, n_queries: int
    ) -> tuple[Tensor, Tensor, int]:
        """Return the mean gradient of own rows, and the numbers' mean over all queries."""
        assert self._now is not None  # noqa: S101 (``take`` comes first)
        weighted = torch.cat([numbers * n_queries, numbers.new_tensor([n_queries])])
        gradient_TD, sums = self._now.route.return_to_owners(gradient_UD, weighted)
        return gradient_TD.div_(self._workers.count), sums[:-1] / sums[-1], int(sums[-1])

    @torch.no_grad()
    def step(
        self,
        rows: Sequence[Tensor],  # noqa: ARG002 (of which there are own and others')
        taken_UD: Tensor,  # noqa: ARG002 (the owners have their own copies)
        gradient_UD: Tensor,
    ) -> None:
        """Update this worker's rows of those last taken by all, by what ``collect`` returns."""
        assert self._now is not None  # noqa: S101 (``take`` comes first)
        self._own.learning_rate = self.learning_rate
        self._own.step(self._now.own, self._taken, gradient_UD)

    def refresh_copies(self) -> None:
        """Copy the rows of relations, and their state, from their owners, all together."""
        for name, value in {**self.tables, **self._own.state()}.items():
            if name.rpartition(".")[2] == "relations":
                is_copy = torch.ones(len(value), dtype=torch.bool, device=value.device)
                is_copy[self._workers.number :: self._workers.count] = False
                value[is_copy] = 0.0
                self._workers.sum(value, "relations")

    def _update(self, rows: Sequence[Tensor], taken_UD: Tensor, gradient_UD: Tensor) -> None:
        raise NotImplementedError("the owners' optimizer updates rows")
