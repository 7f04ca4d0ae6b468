"""An index of evidence for answers: rules that infer them, and sources that state them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.grouped_index import GroupedIndex, Ints, quotient_and_rest, smallest_ints
from kgraft.linking.added_facts import AddedFacts, statements_about
from kgraft.linking.joint_graph import JointGraph
from kgraft.rules.answer_cache import AnswerCache, Answers
from kgraft.rules.edges import Edges, both_directions
from kgraft.rules.entity_frequencies import EntityFrequencies
from kgraft.rules.rule_answers import QueryAnswers, RuleApplier, combine_rules
from kgraft.rules.rules import Rules

BATCH_QUERIES = 500
"""Queries answered by rules at a time."""

CACHE_BYTES = 64 * 2**20
"""Memory for answers of rules that may be asked for again."""


class EvidenceSource(Protocol):
    """Answers of rules and sources to queries.

    A query is an entity and a relation, int64 ``(n,)`` each; inverses ask for heads.
    """

    @property
    def frequencies(self) -> EntityFrequencies:
        """Frequencies and degrees of entities."""
        ...

    def inferred(self, entities: Ints, relations: Ints) -> QueryAnswers:
        """Return the answers of rules."""
        ...

    def stated(self, entities: Ints, relations: Ints) -> QueryAnswers:
        """Return the answers of other sources, with their reliability."""
        ...


class EvidenceIndex:
    """Rules and the statements of other sources, by query.

    Args:
        graph: The target joined with other sources.
        target: The target's name.
        rules: Rules for the target's relations.
        reliability: Probability that the target would state each of the graph's facts, ``(n,)``.
        edges: The graph's facts in both directions; by default ``Edges.of(graph)``.

    Attributes:
        edges: The graph's facts in both directions.
        frequencies: Frequencies and degrees of entities.
    """

    def __init__(
        self,
        graph: JointGraph,
        target: str,
        rules: Rules,
        reliability: NDArray[np.float64],
        edges: Edges | None = None,
    ) -> None:
        self.edges = Edges.of(graph) if edges is None else edges
        self._applier = RuleApplier(rules, self.edges, graph.part(target).entity_rows)
        self.frequencies = EntityFrequencies(graph, target, self._applier.graph)
        self._statements = _AnswerTable(_statements(graph, target, reliability))
        self._width = 2 * graph.n_relations
        self._kept = AnswerCache(CACHE_BYTES)

    def extended(self, added: AddedFacts, reliability: NDArray[np.float64]) -> EvidenceIndex:
        """Return the index of a graph with a few more facts and entities.

        Args:
            added: The facts.
            reliability: As in the class, for all facts of the graph with them.
        """
        found = EvidenceIndex.__new__(EvidenceIndex)
        graph, facts = added.graph, added.facts
        m, count = graph.n_relations, len(facts)
        confidence = graph.confidence
        given = None if confidence is None or not count else confidence[-count:]
        found.edges = self.edges.extended(facts, given)
        heads, relations, tails = facts.T
        along = np.concatenate([relations, relations + m])
        ends = np.concatenate([heads, tails]), np.concatenate([tails, heads])
        adjacency = self._applier.graph.extended(ends[0], along, ends[1])
        found._applier = self._applier.extended(found.edges, adjacency, added.rows)
        found.frequencies = self.frequencies.extended(added, adjacency)
        found._statements = self._statements.extended(_new_statements(added, reliability))
        found._width = self._width
        found._kept = AnswerCache(CACHE_BYTES)
        return found

    def inferred(self, entities: Ints, relations: Ints) -> QueryAnswers:
        """Return the answers of rules, see ``EvidenceSource``; the last ones are cached."""
        asked, place = np.unique(entities * self._width + relations, return_inverse=True)
        of_each = self._inferred(asked)
        found = [of_each[at] for at in place.tolist()]
        none = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        entity, probability = (np.concatenate(x) for x in zip(none, *found, strict=True))
        sizes = np.array([len(entities) for entities, _ in found], dtype=np.int64)
        return QueryAnswers(np.repeat(np.arange(len(found)), sizes), entity, probability)

    def _inferred(self, asked: Ints) -> list[Answers]:
        """Return the answers of distinct queries, numbered by entity and relation."""
        found = self._kept.get(asked.tolist())
        missing = np.flatnonzero([answers is None for answers in found])
        for start in range(0, len(missing), BATCH_QUERIES):
            block = missing[start : start + BATCH_QUERIES]
            new = self._applied(asked[block])
            self._kept.put(zip(asked[block].tolist(), new, strict=True))
            for at, answers in zip(block.tolist(), new, strict=True):
                found[at] = answers
        return [answers for answers in found if answers is not None]

    def _applied(self, asked: Ints) -> list[Answers]:
        """Apply the rules to such queries."""
        found = self._applier.probabilities(*quotient_and_rest(asked, self._width))
        ends = np.searchsorted(found.query, np.arange(len(asked) + 1)).tolist()
        entity = found.entity.astype(smallest_ints(len(self.frequencies.degree)))
        parts = [slice(*ends) for ends in pairwise(ends)]
        # Copies, since a part of an array keeps all of it in memory.
        return [(entity[part].copy(), found.probability[part].copy()) for part in parts]

    def scores_of(self, asked: pl.DataFrame) -> EvidenceScores:
        """Return all evidence for a few queries, rule by rule.

        Args:
            asked: Distinct int32 ``x`` and ``relation``.
        """
        stated = self._statements.rows(asked["x"].to_numpy(), asked["relation"].to_numpy())
        return EvidenceScores(self._applier.answers(asked), stated, self.frequencies)

    def stated(self, entities: Ints, relations: Ints) -> QueryAnswers:
        """Return the answers of sources, see ``EvidenceSource``, except those the target states."""
        return self._statements.answers(entities, relations)


@dataclass(frozen=True, eq=False)
class EvidenceScores:
    """Evidence for a few queries, from which parts can be removed.

    Args:
        by_rules: Rows of ``kgraft.rules.rule_answers.SCHEMA``.
        by_sources: Statements: ``x``, ``relation``, ``y``, and their reliability ``confidence``.
        frequencies: Frequencies and degrees of entities.
    """

    by_rules: pl.DataFrame
    by_sources: pl.DataFrame
    frequencies: EntityFrequencies

    def inferred(self, entities: Ints, relations: Ints) -> QueryAnswers:
        """Return the answers of rules, see ``EvidenceSource``."""
        combined = combine_rules(self.by_rules).select("x", "relation", "y", "probability")
        return _AnswerTable(combined).answers(entities, relations)

    def stated(self, entities: Ints, relations: Ints) -> QueryAnswers:
        """Return the answers of other sources, see ``EvidenceSource``."""
        return _AnswerTable(self.by_sources).answers(entities, relations)

    def without_rules(self, rules: Sequence[int], y: int) -> EvidenceScores:
        """Return the evidence without some rules for an answer."""
        removed = pl.col("rule").is_in(list(rules)) & (pl.col("y") == y)
        return replace(self, by_rules=self.by_rules.filter(~removed))

    def without_statement(self, y: int) -> EvidenceScores:
        """Return the evidence without the statements of an answer."""
        return replace(self, by_sources=self.by_sources.filter(pl.col("y") != y))


class _AnswerTable:
    """Rows of entity, relation, answer, and probability, indexed by entity and relation."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame.rechunk()
        entities, relations, self._answer, self._probability = (
            column.to_numpy() for column in self._frame
        )
        self._index = GroupedIndex.of(entities, relations)

    def extended(self, frame: pl.DataFrame) -> _AnswerTable:
        """Return the table with more rows, about queries that may have some already."""
        if not len(frame):
            return self
        found = _AnswerTable.__new__(_AnswerTable)
        found._frame = pl.concat([self._frame, frame])
        entities, relations, answers, probabilities = (column.to_numpy() for column in frame)
        found._answer = np.concatenate([self._answer, answers])
        found._probability = np.concatenate([self._probability, probabilities])
        rows = np.arange(len(self._frame), len(found._frame))
        found._index = self._index.extended(entities, relations, values=rows)
        return found

    def answers(self, entities: Ints, relations: Ints) -> QueryAnswers:
        """Return the answers of queries."""
        query, row = self._index.rows(entities, relations)
        return QueryAnswers(query, self._answer[row], self._probability[row])

    def rows(self, entities: Ints, relations: Ints) -> pl.DataFrame:
        """Return the rows of queries."""
        return self._frame[self._index.rows(entities, relations)[1]]


def _new_statements(added: AddedFacts, reliability: NDArray[np.float64]) -> pl.DataFrame:
    """Return the statements about new entities, in both directions."""
    facts, stating = statements_about(added)
    best = np.zeros(len(facts), dtype=np.float32)
    np.maximum.at(best, stating[:, 1], reliability[stating[:, 0]].astype(np.float32))
    frame = pl.DataFrame(facts, schema=dict.fromkeys(("x", "relation", "y"), pl.Int32))
    return both_directions(
        frame.with_columns(confidence=pl.Series(best, dtype=pl.Float32)), added.graph.n_relations
    )


def _statements(graph: JointGraph, target: str, reliability: NDArray[np.float64]) -> pl.DataFrame:
    """Return statements of other sources between the target's entities, in both directions."""
    key = ["x", "relation", "y"]
    entities = pl.Series(graph.part(target).entity_rows, dtype=pl.Int32).implode()
    facts = pl.DataFrame(graph.triples, schema=dict.fromkeys(key, pl.Int32)).with_columns(
        own=pl.Series(graph.triple_sources) == graph.sources.index(target),
        confidence=pl.Series(reliability, dtype=pl.Float32),
    )
    others = (
        facts.filter(pl.col("x").is_in(entities), pl.col("y").is_in(entities))
        .filter(~pl.col("own").any().over(key))
        .group_by(key, maintain_order=True)
        .agg(pl.col("confidence").max())
    )
    return both_directions(others, graph.n_relations)
