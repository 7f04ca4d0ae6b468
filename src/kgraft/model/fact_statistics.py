"""Counts of a target's facts, and of what other sources state, by query and by relation.

Shapes: n entities, m relations; directed relations are relations and then their inverses, 2 m.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.grouped_index import GroupedIndex
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import Ids, KnownFacts
from kgraft.linking.added_facts import AddedFacts, statements_about
from kgraft.linking.joint_graph import JointGraph

Floats = NDArray[np.float64]


class AnswerCounts:
    """Numbers of answers of queries.

    Args:
        facts: Different facts, ``(n, 3)``.
        n_entities: Number of entities.
        n_relations: Number of relations, inverses not counted.
    """

    def __init__(self, facts: Triples, n_entities: int, n_relations: int) -> None:
        heads, relations, tails = facts.T
        along = np.concatenate([relations, relations + n_relations])
        width = 2 * n_relations
        sizes = (width, n_entities)
        self._queries = GroupedIndex.of(along, np.concatenate([heads, tails]), sizes=sizes)
        self.facts = np.bincount(along, minlength=width).astype(np.float64)
        """Number of facts, by directed relation, ``(2 m,)``."""
        self._count_queries(n_entities)

    def extended(self, facts: Triples, n_entities: int) -> AnswerCounts:
        """Return the counts with a few more facts, of more entities."""
        found = AnswerCounts.__new__(AnswerCounts)
        width = len(self.facts)
        heads, relations, tails = facts.T
        along = np.concatenate([relations, relations + width // 2])
        entities = np.concatenate([heads, tails])
        # Members are rows of facts, of which only the number matters.
        rows = int(self._queries.starts[-1]) + np.arange(len(along))
        queries = self._queries.extended(along, entities, values=rows)
        found._queries = queries.resized((width, n_entities))
        found.facts = self.facts + np.bincount(along, minlength=width)
        found._count_queries(n_entities)
        return found

    def _count_queries(self, n_entities: int) -> None:
        width = len(self.facts)
        along, n = self._queries.keys // n_entities, self._queries.group_sizes
        self.queries = np.bincount(along, minlength=width).astype(np.float64)
        """Number of queries with an answer."""
        self.single = np.bincount(along, n == 1, minlength=width)
        """Number of those with one answer."""

    def of(self, entities: Ids, along: Ids) -> Floats:
        """Return the number of answers of queries by entity and directed relation."""
        return self._queries.counts(along, entities).astype(np.float64)


@dataclass(frozen=True, eq=False)
class FactStatistics:
    """Counts of a target's training facts and of what other sources state.

    Args:
        own: Answers that the target states.
        others: Answers between the target's entities that only others state.
        by_several: Facts that two or more of them state.
        domain: Number of entities with an answer in any source, by directed relation, ``(2 m,)``.
        known_to: Masks of the entities of each other source, bool ``(sources, n)``.
        degree: Number of the target's facts about each entity, ``(n,)``.
    """

    own: AnswerCounts
    others: AnswerCounts
    by_several: KnownFacts
    domain: Floats
    known_to: NDArray[np.bool_]
    degree: Ids

    @classmethod
    def of(cls, graph: JointGraph, target: str) -> Self:
        """Count the facts of a joint graph."""
        n, m = graph.n_entities, graph.n_relations
        is_own = np.zeros(n, dtype=np.bool_)
        is_own[graph.part(target).entity_rows] = True
        between = graph.triples[is_own[graph.triples[:, 0]] & is_own[graph.triples[:, 2]]]
        own = np.unique(graph.facts_of([target]), axis=0)
        between = between[~KnownFacts(own).contains(between)]
        other, stating = np.unique(between, axis=0, return_counts=True)
        known_to = np.zeros((len(graph.sources) - 1, n), dtype=np.bool_)
        parts = [part for source, part in graph.parts.items() if source != target]
        for mask, part in zip(known_to, parts, strict=True):
            mask[part.entity_rows] = True
        domain = [
            np.unique(graph.triples[is_own[graph.triples[:, end]]][:, [1, end]], axis=0)[:, 0]
            for end in (0, 2)
        ]
        counts = [np.bincount(x, minlength=m).astype(np.float64) for x in domain]
        return cls(
            own=AnswerCounts(own, n, m),
            others=AnswerCounts(other, n, m),
            by_several=KnownFacts(other[stating > 1]),
            domain=np.concatenate(counts),
            known_to=known_to,
            degree=np.bincount(own[:, [0, 2]].ravel(), minlength=n),
        )

    def extended(self, added: AddedFacts) -> FactStatistics:
        """Return the counts with a few more facts; domains stay as they are."""
        graph = added.graph
        n, rows = graph.n_entities, added.rows
        stated, stating = statements_about(added)
        is_several = np.bincount(stating[:, 1], minlength=len(stated)) > 1
        known_to = np.zeros((len(self.known_to), n), dtype=np.bool_)
        known_to[:, : self.known_to.shape[1]] = self.known_to
        others = [part for source, part in graph.parts.items() if source != added.target]
        for mask, part in zip(known_to, others, strict=True):
            mask[rows] = np.isin(rows, part.entity_rows)
        degree = np.bincount(added.given[:, [0, 2]].ravel(), minlength=n)
        degree[: len(self.degree)] += self.degree
        return FactStatistics(
            own=self.own.extended(added.given, n),
            others=self.others.extended(stated, n),
            by_several=self.by_several.extended(stated[is_several]),
            domain=self.domain,
            known_to=known_to,
            degree=degree,
        )

    def knowing(self, heads: Ids, tails: Ids) -> Ids:
        """Return the number of other sources that have both ends of each fact, ``(N,)``."""
        number: Ids = (self.known_to[:, heads] & self.known_to[:, tails]).sum(axis=0)
        return number

    @cached_property
    def single_share(self) -> Floats:
        """Share of a relation's queries with one answer, ``(2 m,)``."""
        share: Floats = (self.own.single + 1) / (self.own.queries + 2)
        return share

    @cached_property
    def answers(self) -> Floats:
        """Mean number of answers of a relation's queries, ``(2 m,)``."""
        mean: Floats = (self.own.facts + 1) / (self.own.queries + 1)
        return mean

    @cached_property
    def answered(self) -> Floats:
        """Share of the queries about entities of a relation's domain that have one, ``(2 m,)``."""
        share: Floats = np.clip(self.own.queries / np.maximum(self.domain, 1), 0.01, 0.99)
        return share

    def asked_side(self) -> NDArray[np.bool_]:
        """Return the relations whose facts are asked for heads, bool ``(m,)``."""
        m = len(self.answers) // 2
        asked: NDArray[np.bool_] = self.answers[m:] < self.answers[:m]
        return asked
