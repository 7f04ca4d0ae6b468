"""Batches from samples: distinct rows, positions among them, and true answers masked.

Shapes: B queries, N negatives, S = 2 B + N sampled entities, U distinct ones among them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from kgraft.training.answer_index import AnswerIndex
from kgraft.training.batch import Batch, SampledBatch

HUB_FACTOR = 4
"""A query with this many times more answers than the batch has entities is a hub query, whose known
answers are found by searching for candidates among its answers, and not vice versa."""


class PaddingSizes(NamedTuple):
    """Padded sizes of true answers in a batch.

    Args:
        answers: Number of answers of all queries but hub queries.
        hub_queries: Number of hub queries.
        hubs: Number of distinct hubs among them.
    """

    answers: int
    hub_queries: int
    hubs: int


class BatchCollator:
    """Collates samples into batches, on the device of its tensors.

    Args:
        answers: The true answers of all queries.
        logq: float ``(n,)``, logQ correction of each entity.
        answer_shift: float ``(n,)``, added to the score of each entity as an answer; by default 0.
    """

    def __init__(
        self, answers: AnswerIndex, logq: Tensor, answer_shift: Tensor | None = None
    ) -> None:
        self._answers = answers
        self._logq = logq
        self._answer_shift = answer_shift
        # The column of each entity in the current batch; -1 between batches.
        self._column = torch.full_like(logq, -1, dtype=torch.int32)

    def to(self, device: torch.device) -> BatchCollator:
        """Return a collator on a device."""
        shift = None if self._answer_shift is None else self._answer_shift.to(device)
        return BatchCollator(self._answers.to(device), self._logq.to(device), shift)

    def padding_sizes(self, sampled: SampledBatch) -> PaddingSizes:
        """Return the sizes of a sample's true answers."""
        starts, sizes = self._answers.groups(*sampled.queries[:2])
        asked = sizes > _hub_size(sampled)
        hubs = torch.unique(starts[asked])
        return PaddingSizes(int(sizes.sum() - sizes[asked].sum()), int(asked.sum()), len(hubs))

    def collate(self, sampled: SampledBatch) -> Batch:
        """Return the batch of a sample; on a GPU this synchronises, since shapes depend on data."""
        values, rank, places = _ranked(sampled.entities)
        entities = values[_new(values)]
        relations, relation_positions = torch.unique(sampled.queries[1], return_inverse=True)
        known = torch.cat(self._known(sampled, values, rank, entities))
        return self._batch(sampled, entities, relations, places, relation_positions, known)

    def collate_padded(self, sampled: SampledBatch, sizes: PaddingSizes) -> Batch:
        """Return the batch of a sample with shapes that depend on its size, without synchronising.

        It is padded with copies of the first row, which are masked in the loss.

        Args:
            sampled: The sample.
            sizes: At least the ``padding_sizes`` of the sample.
        """
        values, rank, places = _ranked(sampled.entities)
        entities, own = _padded(values, rank)
        values_V, rank_V, relation_positions = _ranked(sampled.queries[1])
        relations, own_V = _padded(values_V, rank_V)
        known = self._known_padded(sampled, values, rank, entities, sizes)
        # Padding masks the first query's own answer, which the loss keeps.
        known = torch.where(known >= 0, known, places[sampled.size : sampled.size + 1])
        batch = self._batch(sampled, entities, relations, places, relation_positions, known)
        is_padding = own != torch.arange(len(own), device=own.device)
        return replace(
            batch,
            logq=batch.logq.masked_fill(is_padding, torch.inf),
            original=torch.cat([own, own_V + len(own)]),
        )

    def _batch(
        self,
        sampled: SampledBatch,
        entities: Tensor,
        relations: Tensor,
        places: Tensor,
        relation_positions: Tensor,
        known: Tensor,
    ) -> Batch:
        size = sampled.size
        is_pseudo, weights = sampled.values.view(2, size)
        ends = torch.cat([places[: 2 * size], relation_positions + len(entities)])
        uses = self._logq.new_zeros(len(entities) + len(relations))
        shift = self._answer_shift
        return Batch(
            entities=entities,
            relations=relations,
            heads=places[:size],
            relation_positions=relation_positions,
            tails=places[size : 2 * size],
            known=known,
            is_pseudo=is_pseudo,
            weights=weights,
            uses=uses.scatter_add_(0, ends, torch.ones_like(ends, dtype=uses.dtype)),
            logq=self._logq.index_select(0, entities),
            answer_shift=None if shift is None else shift.index_select(0, sampled.queries[2]),
            path_length=sampled.path_length,
            has_pseudo_facts=sampled.has_pseudo_facts,
            has_known_false=sampled.has_known_false,
            number=sampled.number,
            seed=sampled.seed,
        )

    def _known(
        self, sampled: SampledBatch, values: Tensor, rank: Tensor, entities: Tensor
    ) -> list[Tensor]:
        """Return the positions of true answers in the flattened scores, in parts."""
        starts, sizes = self._answers.groups(*sampled.queries[:2])
        width, parts = len(entities), []
        hubs = (sizes > _hub_size(sampled)).nonzero().squeeze(1)
        if len(hubs):
            begins, first = torch.unique(starts[hubs], return_inverse=True)
            lengths = torch.empty_like(begins).scatter_(0, first, sizes[hubs])
            asked, column = self._answers.contains(begins, lengths, entities)[first].nonzero().T
            parts.append(hubs[asked] * width + column)
            sizes[hubs] = 0
        query = torch.repeat_interleave(sizes)
        columns = self._columns(starts, sizes, query, values, rank)
        hits = (columns >= 0).nonzero().squeeze(1)
        query = query.index_select(0, hits)
        return [query * width + columns.index_select(0, hits), *parts]

    def _known_padded(
        self,
        sampled: SampledBatch,
        values: Tensor,
        rank: Tensor,
        entities: Tensor,
        sizes_of: PaddingSizes,
    ) -> Tensor:
        """Return the positions of true answers, else -1, ``(answers + hub_queries S,)``."""
        starts, sizes = self._answers.groups(*sampled.queries[:2])
        width = len(entities)
        is_hub = sizes > _hub_size(sampled)
        asked = is_hub.sort(stable=True, descending=True).indices[: sizes_of.hub_queries]
        among = self._about_hubs(
            starts[asked], sizes[asked], is_hub[asked], entities, sizes_of.hubs
        )
        places = asked[:, None] * width + torch.arange(width, device=asked.device)
        of_hubs = torch.where(among, places, -1).flatten()
        # An additional query fills the padding.
        sizes = sizes.masked_fill(is_hub, 0)
        starts = torch.cat([starts, starts.new_zeros(1)])
        sizes = torch.cat([sizes, sizes_of.answers - sizes.sum(0, keepdim=True)])
        query = torch.repeat_interleave(sizes, output_size=sizes_of.answers)
        columns = self._columns(starts, sizes, query, values, rank)
        of_others = torch.where(
            (columns >= 0) & (query < sampled.size), query * width + columns, -1
        )
        return torch.cat([of_others, of_hubs])

    def _about_hubs(
        self, starts: Tensor, sizes: Tensor, is_hub: Tensor, entities: Tensor, n_hubs: int
    ) -> Tensor:
        """Return the entities that are answers of hub queries, bool ``(Q, S)``."""
        # Other queries are replaced by the first, which is a hub query if there is any.
        starts, sizes = (torch.where(is_hub, x, x[:1]) for x in (starts, sizes))
        _, _, place = _ranked(starts)
        begins, lengths = (x.new_zeros(n_hubs).scatter_(0, place, x) for x in (starts, sizes))
        return self._answers.contains(begins, lengths, entities)[place] & is_hub[:, None]

    def _columns(
        self, starts: Tensor, sizes: Tensor, query: Tensor, values: Tensor, rank: Tensor
    ) -> Tensor:
        """Return the column of each true answer, -1 for those that are no candidates."""
        shift = starts - (torch.cumsum(sizes, 0) - sizes)
        number = torch.arange(len(query), device=query.device)
        number += shift.index_select(0, query)
        number.clamp_(max=len(self._answers.entities) - 1)
        self._column.scatter_(0, values, rank.to(self._column.dtype))
        found = self._column.index_select(0, self._answers.entities.index_select(0, number))
        self._column.index_fill_(0, values, -1)
        return found


def _hub_size(sampled: SampledBatch) -> int:
    """Return the maximum number of answers of a query that is no hub query."""
    return HUB_FACTOR * (len(sampled.ids) - sampled.size)


def _new(values: Tensor) -> Tensor:
    """Return a mask of sorted values that differ from the previous one."""
    new = torch.ones_like(values, dtype=torch.bool)
    torch.ne(values[1:], values[:-1], out=new[1:])
    return new


def _ranked(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return sorted rows, the rank of each among the distinct ones, and the ranks of ``rows``."""
    values, order = torch.sort(rows)
    rank = torch.cumsum(_new(values), 0) - 1
    return values, rank, torch.empty_like(rank).scatter_(0, order, rank)


def _padded(values: Tensor, rank: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct sorted values, padded with the first, and the original of each."""
    distinct = values[:1].expand_as(values).scatter(0, rank, values)
    places = torch.arange(len(values), device=values.device)
    return distinct, torch.where(places <= rank[-1:], places, 0)
