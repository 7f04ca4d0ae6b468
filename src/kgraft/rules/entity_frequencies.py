"""Frequencies of entities: as answers along a relation, in any fact, and with each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.grouped_index import Ints, offsets, spans
from kgraft.linking.added_facts import AddedFacts
from kgraft.linking.coverage import linked_entities
from kgraft.linking.joint_graph import JointGraph
from kgraft.rules.rule_bodies import Adjacency


class EntityFrequencies:
    """Frequencies of entities as answers of a relation, degrees, and neighbours.

    Regularised vectors score frequent answers of a relation too low, and entities of high degree
    too high.

    Args:
        graph: The target joined with other sources.
        target: The target's name.
        adjacency: The edges of the graph, by entity.

    Attributes:
        degree: ``log(1 + n)`` of the number of an entity's facts in any source, float32 ``(n,)``.
        linked: 1 for entities of the target that another source has too, else 0, float32 ``(n,)``.
    """

    def __init__(self, graph: JointGraph, target: str, adjacency: Adjacency) -> None:
        self._adjacency = adjacency
        own = graph.triples[graph.triple_sources == graph.sources.index(target)]
        heads, relations, tails = own.T
        answers = np.concatenate([relations, relations + graph.n_relations]) * graph.n_entities
        answers += np.concatenate([tails, heads])
        numbers, counts = np.unique(answers, return_counts=True)
        relation, self._entity = np.divmod(numbers, graph.n_entities)
        self._count = np.log1p(counts).astype(np.float32)
        self._of_relation = offsets(relation, 2 * graph.n_relations)
        ends = graph.triples[:, [0, 2]].reshape(-1)
        self.degree = np.log1p(np.bincount(ends, minlength=graph.n_entities)).astype(np.float32)
        self.linked = linked_entities(graph, target).astype(np.float32)

    def extended(self, added: AddedFacts, adjacency: Adjacency) -> EntityFrequencies:
        """Return the frequencies with a few more facts.

        Args:
            added: The facts.
            adjacency: The edges of the graph with them.
        """
        n_entities = added.graph.n_entities
        found = EntityFrequencies.__new__(EntityFrequencies)
        found._adjacency = adjacency
        width = len(self._of_relation) - 1
        relation = np.repeat(np.arange(width), np.diff(self._of_relation))
        heads, relations, tails = added.given.T
        along = np.concatenate([relations, relations + width // 2]) * n_entities
        new, more = np.unique(along + np.concatenate([tails, heads]), return_counts=True)
        old = relation * n_entities + self._entity
        place = np.searchsorted(old, new)
        known = place < len(old)
        known[known] = old[place[known]] == new[known]
        counts = np.expm1(self._count.astype(np.float64))
        counts[place[known]] += more[known]
        numbers = np.insert(old, place[~known], new[~known])
        counts = np.insert(counts, place[~known], more[~known])
        relation, found._entity = np.divmod(numbers, n_entities)
        found._count = np.log1p(counts).astype(np.float32)
        found._of_relation = offsets(relation, width)
        degree = np.zeros(n_entities)
        degree[: len(self.degree)] = np.expm1(self.degree.astype(np.float64))
        degree += np.bincount(added.facts[:, [0, 2]].ravel(), minlength=n_entities)
        found.degree = np.log1p(degree).astype(np.float32)
        found.linked = np.zeros(n_entities, dtype=np.float32)
        found.linked[: len(self.linked)] = self.linked
        # A new entity takes the row of the one that it is linked to.
        found.linked[added.rows[added.rows < len(self.linked)]] = 1
        return found

    def answers(self, relations: Ints) -> tuple[Ints, Ints, NDArray[np.float32]]:
        """Return the answers of relations in the target's facts.

        Args:
            relations: int64 ``(b,)``, inverses from ``n_relations`` on.

        Returns:
            Position in ``relations``, entity, and ``log(1 + n)`` of its number of facts, ``(m,)``
            each.
        """
        first = self._of_relation[relations]
        place, row = spans(first, self._of_relation[relations + 1] - first)
        return place, self._entity[row], self._count[row]

    def neighbours(self, entities: Ints) -> tuple[Ints, Ints]:
        """Return the neighbours of entities ``(b,)`` in facts of any source.

        Returns:
            Position in ``entities``, and neighbour, ``(m,)`` each; repeated for each relation.
        """
        place, _, neighbour = self._adjacency.edges(entities)
        return place, neighbour
