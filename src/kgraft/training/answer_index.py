"""An index of the true answers of all queries, on the CPU or a GPU."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.graph.grouped_index import LARGEST, GroupedIndex, changes, smallest_ints
from kgraft.graph.knowledge_graph import Triples


@dataclass(frozen=True, eq=False)
class AnswerIndex:
    """Answers grouped by query, in both directions.

    Args:
        keys: int64 ``(g + 1,)``, ascending keys of the groups, ``head * 2 m + relation`` with
            ``2 m`` directed relations; the last one is a sentinel.
        starts: ``(g + 2,)``, start of each group's answers; 4 bytes each while they fit.
        entities: ``(n,)``, the answers, ascending in each group; 4 bytes each while they fit.
        n_directed: ``2 m``.
    """

    keys: Tensor
    starts: Tensor
    entities: Tensor
    n_directed: int

    @classmethod
    def of(cls, facts: Triples, n_entities: int, n_relations: int) -> AnswerIndex:
        """Index the answers that facts give.

        Args:
            facts: Distinct facts, ``(n, 3)``.
            n_entities: Number of entities.
            n_relations: Number of relations.
        """
        heads, relations, tails = facts.T
        index = GroupedIndex.of(
            np.concatenate([heads, tails]),
            np.concatenate([relations, relations + n_relations]),
            values=np.concatenate([tails, heads]),
            sizes=(n_entities, 2 * n_relations),
        )
        return cls(
            torch.from_numpy(np.append(index.keys, LARGEST)),
            torch.from_numpy(np.append(index.starts, index.starts[-1])),
            torch.from_numpy(index.members),
            2 * n_relations,
        )

    @classmethod
    def of_parts(
        cls, parts: Iterable[Triples], n_most: int, n_entities: int, n_relations: int
    ) -> AnswerIndex:
        """Index the answers of queries that come in order.

        Args:
            parts: Parts of distinct queries and their answers, see ``distinct_queries``.
            n_most: The largest number of queries that there may be.
            n_entities: Number of entities.
            n_relations: Number of relations.
        """
        # Pages that nothing is written to take no memory.
        keys = np.empty(n_most + 1, dtype=np.int64)
        starts = np.empty(n_most + 2, dtype=smallest_ints(n_most + 1))
        entities = np.empty(n_most, dtype=smallest_ints(n_entities))
        n = g = 0
        for queries in parts:
            joined = queries[:, 0].astype(np.int64) * (2 * n_relations) + queries[:, 1]
            first = np.flatnonzero(changes(joined))
            keys[g:][: len(first)], starts[g:][: len(first)] = joined[first], first + n
            entities[n:][: len(queries)] = queries[:, 2]
            n, g = n + len(queries), g + len(first)
        keys[g], starts[g : g + 2] = LARGEST, n
        return cls(
            torch.from_numpy(keys[: g + 1]),
            torch.from_numpy(starts[: g + 2]),
            torch.from_numpy(entities[:n]),
            2 * n_relations,
        )

    def __len__(self) -> int:
        return len(self.entities)

    def queries(self, places: NDArray[np.integer]) -> Triples:
        """Return the queries of answers at some places, int64 ``(k, 3)``, see ``of_parts``."""
        starts = self.starts.numpy()[:-1]
        group = np.searchsorted(starts, places.astype(starts.dtype, copy=False), side="right") - 1
        heads, relations = np.divmod(self.keys.numpy()[group], self.n_directed)
        return np.stack([heads, relations, self.entities.numpy()[places]], axis=1)

    def to(self, device: torch.device) -> AnswerIndex:
        """Return the index on a device."""
        keys, starts, entities = (x.to(device) for x in (self.keys, self.starts, self.entities))
        return AnswerIndex(keys, starts, entities, self.n_directed)

    def groups(self, heads: Tensor, relations: Tensor) -> tuple[Tensor, Tensor]:
        """Return the start and the number of the answers of queries ``(B,)``."""
        wanted = heads * self.n_directed + relations
        place = torch.searchsorted(self.keys, wanted)
        starts = self.starts.index_select(0, place).long()
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
