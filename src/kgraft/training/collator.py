"""TripleSampler out of draws: distinct rows, places among them, and which scores are no negatives'.

Shapes: B queries, N negatives, S = 2 B + N entities of a draw, U distinct ones among them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from kgraft.training.answer_index import Answers
from kgraft.training.batch import Batch, Draw

MANY = 4
"""What has so many times more answers than a draw has entities is a hub: instead of whether each of
its answers is a candidate, each candidate is asked whether it is an answer."""


class Room(NamedTuple):
    """How much of a padded batch is about true answers.

    Args:
        answers: Of the queries, those about hubs not counted.
        asked: Queries about hubs, at most as many as there are queries.
        hubs: Different hubs among them.
    """

    answers: int
    asked: int
    hubs: int


class BatchCollator:
    """Makes batches where its tensors are.

    Args:
        answers: The true answers of all queries.
        discounts: float ``(n,)``, what each entity's score counts less as a candidate.
    """

    def __init__(self, answers: Answers, discounts: Tensor) -> None:
        self._answers = answers
        self._discounts = discounts
        # The column of each entity in the batch that is being made, and -1 between batches.
        self._column = torch.full_like(discounts, -1, dtype=torch.int32)

    def on(self, device: torch.device) -> BatchCollator:
        """Return one whose tensors are on a device."""
        return BatchCollator(self._answers.on(device), self._discounts.to(device))

    def room(self, draw: Draw) -> Room:
        """Return the room that the true answers of the draw's queries take."""
        starts, sizes = self._answers.groups(*draw.queries[:2])
        asked = sizes > _bound(draw)
        hubs = torch.unique(starts[asked])
        return Room(int(sizes.sum() - sizes[asked].sum()), int(asked.sum()), len(hubs))

    def make(self, draw: Draw) -> Batch:
        """Return the batch of a draw. On a GPU this waits for it: sizes depend on what is drawn."""
        values, rank, places = _ranked(draw.entities)
        entities = values[_new(values)]
        relations, predicates = torch.unique(draw.queries[1], return_inverse=True)
        known = torch.cat(self._known(draw, values, rank, entities))
        return self._batch(draw, entities, relations, places, predicates, known)

    def padded(self, draw: Draw, room: Room) -> Batch:
        """Return the batch of a draw, of the same shape for all draws of one size; nobody waits.

        Rows that the batch lacks are copies of its first ones, which take part in nothing.

        Args:
            draw: The draw.
            room: No number of it below what ``room`` says.
        """
        values, rank, places = _ranked(draw.entities)
        entities, own = _padded(values, rank)
        values_V, rank_V, predicates = _ranked(draw.queries[1])
        relations, own_V = _padded(values_V, rank_V)
        known = self._known_padded(draw, values, rank, entities, room)
        # The score of a query's own answer stays whether it is known or not.
        known = torch.where(known >= 0, known, places[draw.size : draw.size + 1])
        batch = self._batch(draw, entities, relations, places, predicates, known)
        is_copy = own != torch.arange(len(own), device=own.device)
        return replace(
            batch,
            discounts=batch.discounts.masked_fill(is_copy, torch.inf),
            copies=torch.cat([own, own_V + len(own)]),
        )

    def _batch(
        self,
        draw: Draw,
        entities: Tensor,
        relations: Tensor,
        places: Tensor,
        predicates: Tensor,
        known: Tensor,
    ) -> Batch:
        size = draw.size
        inferred, weights = draw.counts.view(2, size)
        ends = torch.cat([places[: 2 * size], predicates + len(entities)])
        uses = self._discounts.new_zeros(len(entities) + len(relations))
        return Batch(
            entities=entities,
            relations=relations,
            heads=places[:size],
            predicates=predicates,
            tails=places[size : 2 * size],
            known=known,
            inferred=inferred,
            weights=weights,
            uses=uses.scatter_add_(0, ends, torch.ones_like(ends, dtype=uses.dtype)),
            discounts=self._discounts.index_select(0, entities),
            steps=draw.steps,
            infers=draw.infers,
            number=draw.number,
            seed=draw.seed,
        )

    def _known(self, draw: Draw, values: Tensor, rank: Tensor, entities: Tensor) -> list[Tensor]:
        """Return where the scores of true answers are, in parts."""
        starts, sizes = self._answers.groups(*draw.queries[:2])
        width, parts = len(entities), []
        hubs = (sizes > _bound(draw)).nonzero().squeeze(1)
        if len(hubs):
            # Many queries are about one hub.
            begins, first = torch.unique(starts[hubs], return_inverse=True)
            lengths = torch.empty_like(begins).scatter_(0, first, sizes[hubs])
            asked, column = self._answers.among(begins, lengths, entities)[first].nonzero().T
            parts.append(hubs[asked] * width + column)
            sizes[hubs] = 0
        query = torch.repeat_interleave(sizes)
        columns = self._columns(starts, sizes, query, values, rank)
        hits = (columns >= 0).nonzero().squeeze(1)
        query = query.index_select(0, hits)
        return [query * width + columns.index_select(0, hits), *parts]

    def _known_padded(
        self, draw: Draw, values: Tensor, rank: Tensor, entities: Tensor, room: Room
    ) -> Tensor:
        """Return where the scores of true answers are, and -1, ``(answers + asked S,)``."""
        starts, sizes = self._answers.groups(*draw.queries[:2])
        width = len(entities)
        is_hub = sizes > _bound(draw)
        asked = is_hub.sort(stable=True, descending=True).indices[: room.asked]
        among = self._about_hubs(starts[asked], sizes[asked], is_hub[asked], entities, room.hubs)
        places = asked[:, None] * width + torch.arange(width, device=asked.device)
        of_hubs = torch.where(among, places, -1).flatten()
        # One more query takes what is left of the room.
        sizes = sizes.masked_fill(is_hub, 0)
        starts = torch.cat([starts, starts.new_zeros(1)])
        sizes = torch.cat([sizes, room.answers - sizes.sum(0, keepdim=True)])
        query = torch.repeat_interleave(sizes, output_size=room.answers)
        columns = self._columns(starts, sizes, query, values, rank)
        of_others = torch.where((columns >= 0) & (query < draw.size), query * width + columns, -1)
        return torch.cat([of_others, of_hubs])

    def _about_hubs(
        self, starts: Tensor, sizes: Tensor, is_hub: Tensor, entities: Tensor, n_hubs: int
    ) -> Tensor:
        """Say which entities are answers of queries about hubs, none of others, bool ``(Q, S)``."""
        # The first query is about a hub, if any is; others stand for it.
        starts, sizes = (torch.where(is_hub, x, x[:1]) for x in (starts, sizes))
        _, _, place = _ranked(starts)
        begins, lengths = (x.new_zeros(n_hubs).scatter_(0, place, x) for x in (starts, sizes))
        return self._answers.among(begins, lengths, entities)[place] & is_hub[:, None]

    def _columns(
        self, starts: Tensor, sizes: Tensor, query: Tensor, values: Tensor, rank: Tensor
    ) -> Tensor:
        """Return the column of each true answer of queries, -1 for those that are no candidates."""
        shift = starts - (torch.cumsum(sizes, 0) - sizes)
        number = torch.arange(len(query), device=query.device)
        number += shift.index_select(0, query)
        number.clamp_(max=len(self._answers.entities) - 1)
        self._column.scatter_(0, values, rank.to(self._column.dtype))
        found = self._column.index_select(0, self._answers.entities.index_select(0, number))
        self._column.index_fill_(0, values, -1)
        return found


def _bound(draw: Draw) -> int:
    """Return how many answers a hub exceeds."""
    return MANY * (len(draw.ids) - draw.size)


def _new(values: Tensor) -> Tensor:
    """Say of each of sorted values whether it is the first of its kind."""
    new = torch.ones_like(values, dtype=torch.bool)
    torch.ne(values[1:], values[:-1], out=new[1:])
    return new


def _ranked(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows sorted, each one's place among the distinct ones, and the same of ``rows``."""
    values, order = torch.sort(rows)
    rank = torch.cumsum(_new(values), 0) - 1
    return values, rank, torch.empty_like(rank).scatter_(0, order, rank)


def _padded(values: Tensor, rank: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct ones of sorted values, and of each whose copy it is: its own place, or 0.

    Copies of the first value fill the room of ``values``.
    """
    distinct = values[:1].expand_as(values).scatter(0, rank, values)
    places = torch.arange(len(values), device=values.device)
    return distinct, torch.where(places <= rank[-1:], places, 0)
