"""An index of the true answers of all queries, on the CPU or a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.graph.grouped_index import LARGEST, Column, GroupedIndex
from kgraft.graph.knowledge_graph import Triples


@dataclass(frozen=True, eq=False)
class AnswerIndex:
    """Answers grouped by query, in both directions.

    Args:
        keys: int64 ``(g + 1,)``, ascending keys of the groups, ``head * 2 m + relation`` with
            ``2 m`` directed relations; the last one is a sentinel.
        starts: int64 ``(g + 2,)``, start of each group's answers.
        entities: ``(2 n,)``, the answers, ascending in each group.
        n_directed: ``2 m``.
    """

    keys: Tensor
    starts: Tensor
    entities: Tensor
    n_directed: int

    @classmethod
    def of(
        cls,
        facts: Triples,
        n_entities: int,
        n_relations: int,
        asked: Callable[[Column], NDArray[np.bool_]] | None = None,
    ) -> AnswerIndex:
        """Index the answers that facts give.

        Args:
            facts: Distinct facts, ``(n, 3)``.
            n_entities: Number of entities.
            n_relations: Number of relations.
            asked: Masks the entities that are heads of queries; by default all are.
        """
        heads, relations, tails = facts.T
        forward, backward = (slice(None) if asked is None else asked(x) for x in (heads, tails))
        index = GroupedIndex.of(
            np.concatenate([heads[forward], tails[backward]]),
            np.concatenate([relations[forward], relations[backward] + n_relations]),
            values=np.concatenate([tails[forward], heads[backward]]),
            sizes=(n_entities, 2 * n_relations),
        )
        starts = np.empty(len(index.starts) + 1, dtype=np.int64)
        starts[:-1], starts[-1] = index.starts, index.starts[-1]
        return cls(
            torch.from_numpy(np.append(index.keys, LARGEST)),
            torch.from_numpy(starts),
            torch.from_numpy(index.members),
            2 * n_relations,
        )

    def to(self, device: torch.device) -> AnswerIndex:
        """Return the index on a device."""
        keys, starts, entities = (x.to(device) for x in (self.keys, self.starts, self.entities))
        return AnswerIndex(keys, starts, entities, self.n_directed)

    def groups(self, heads: Tensor, relations: Tensor) -> tuple[Tensor, Tensor]:
        """Return the start and the number of the answers of queries ``(B,)``."""
        wanted = heads * self.n_directed + relations
        place = torch.searchsorted(self.keys, wanted)
        starts = self.starts.index_select(0, place)
        sizes = self.starts.index_select(0, place + 1) - starts
        sizes *= self.keys.index_select(0, place) == wanted
        return starts, sizes

    def contains(self, starts: Tensor, sizes: Tensor, entities: Tensor) -> Tensor:
        """Return the membership of entities ``(E,)`` in groups, by binary search, bool ``(Q, E)``.

        Args:
            starts: Starts of the groups, ``(Q,)``, see ``groups``.
            sizes: Sizes of the groups, ``(Q,)``.
            entities: ``(E,)``.
        """
        shape = len(starts), len(entities)
        low, size = starts[:, None].expand(shape), sizes[:, None].expand(shape)
        for _ in range(len(self.entities).bit_length()):
            half = size // 2
            less = self._at(low + half) < entities
            low = torch.where(less & (size > 0), low + half + 1, low)
            size = torch.where(less, size - half - 1, half).clamp_(min=0)
        return (self._at(low) == entities) & (low < (starts + sizes)[:, None])

    def _at(self, places: Tensor) -> Tensor:
        last = len(self.entities) - 1
        return self.entities.index_select(0, places.flatten().clamp(max=last)).view_as(places)
