"""Frequencies of entities: as answers along a relation, in any fact, and with each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.grouped_index import Ints, offsets, spans
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
