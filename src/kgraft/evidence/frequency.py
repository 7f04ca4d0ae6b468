"""How often entities answer: along a relation in the target's facts, and in all facts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.sorted_rows import Ints, spans
from kgraft.linking.joint import JointGraph


class Frequency:
    """Counts of answers, as ``log(1 + n)``.

    Vectors under a regularizer think too little of what is usual along a relation, and too much of
    what is usual everywhere.

    Args:
        graph: The target joined with other sources.
        target: The target's name.

    Attributes:
        degree: Of the facts of any source that have an entity at an end, float32 ``(n,)``.
    """

    def __init__(self, graph: JointGraph, target: str) -> None:
        own = graph.triples[graph.triple_sources == graph.sources.index(target)]
        heads, relations, tails = own.T.astype(np.int64)
        answers = np.concatenate(
            [
                relations * graph.n_entities + tails,
                (relations + graph.n_relations) * graph.n_entities + heads,
            ]
        )
        numbers, counts = np.unique(answers, return_counts=True)
        self._entity = numbers % graph.n_entities
        self._count = np.log1p(counts).astype(np.float32)
        begins = np.arange(2 * graph.n_relations + 1) * graph.n_entities
        self._start = np.searchsorted(numbers, begins)
        ends = graph.triples[:, ::2].reshape(-1)
        self.degree = np.log1p(np.bincount(ends, minlength=graph.n_entities)).astype(np.float32)

    def answers(self, relations: Ints) -> tuple[Ints, Ints, NDArray[np.float32]]:
        """Return what answers along relations in the target's facts.

        Args:
            relations: int64 ``(b,)``, inverses from ``n_relations`` on.

        Returns:
            The place of the relation, the entity, and its count, each ``(m,)``.
        """
        first = self._start[relations]
        place, row = spans(first, self._start[relations + 1] - first)
        return place, self._entity[row], self._count[row]
