"""An index of evidence for answers: rules that infer them, and sources that state them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.grouped_index import GroupedIndex
from kgraft.linking.joint_graph import JointGraph
from kgraft.rules.edges import Edges, both_directions
from kgraft.rules.entity_frequencies import EntityFrequencies
from kgraft.rules.rule_answers import RuleApplier, combine_rules
from kgraft.rules.rules import Rules

BATCH_QUERIES = 500
"""Queries answered by rules at a time."""


class EvidenceSource(Protocol):
    """Answers of rules and sources to queries.

    Queries are distinct rows of int32 ``x`` and ``relation``; inverses ask for heads. Answers are
    rows of ``x``, ``relation``, ``y`` and ``confidence``, a probability.
    """

    @property
    def frequencies(self) -> EntityFrequencies:
        """Frequencies and degrees of entities."""
        ...

    def inferred(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Return the answers of rules."""
        ...

    def stated(self, asked: pl.DataFrame) -> pl.DataFrame:
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
        self._statements = _statements(graph, target, reliability)
        self._by_query = GroupedIndex.of(
            *(self._statements[name].to_numpy() for name in ("x", "relation"))
        )

    def inferred(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Return the answers of rules, see ``EvidenceSource``."""
        parts = [_inferred(self._applier.answers(x)) for x in asked.iter_slices(BATCH_QUERIES)]
        return pl.concat(parts or [_inferred(self._applier.answers(asked))])

    def scores_of(self, asked: pl.DataFrame) -> EvidenceScores:
        """Return all evidence for a few queries, rule by rule."""
        return EvidenceScores(self._applier.answers(asked), self.stated(asked), self.frequencies)

    def stated(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Return the answers of sources, see ``EvidenceSource``, except those the target states."""
        _, row = self._by_query.rows(*(asked[name].to_numpy() for name in ("x", "relation")))
        return self._statements[row]


@dataclass(frozen=True, eq=False)
class EvidenceScores:
    """Evidence for a few queries, from which parts can be removed.

    Args:
        by_rules: Rows of ``kgraft.rules.rule_answers.SCHEMA``.
        by_sources: Rows of ``EvidenceIndex.stated``.
        frequencies: Frequencies and degrees of entities.
    """

    by_rules: pl.DataFrame
    by_sources: pl.DataFrame
    frequencies: EntityFrequencies

    def inferred(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Return the answers of rules, see ``EvidenceSource``."""
        return _inferred(self.by_rules.join(asked, on=["x", "relation"], how="semi"))

    def stated(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Return the answers of other sources, see ``EvidenceSource``."""
        return self.by_sources.join(asked, on=["x", "relation"], how="semi")

    def without_rules(self, rules: Sequence[int], y: int) -> EvidenceScores:
        """Return the evidence without some rules for an answer."""
        removed = pl.col("rule").is_in(list(rules)) & (pl.col("y") == y)
        return replace(self, by_rules=self.by_rules.filter(~removed))

    def without_statement(self, y: int) -> EvidenceScores:
        """Return the evidence without the statements of an answer."""
        return replace(self, by_sources=self.by_sources.filter(pl.col("y") != y))


def _inferred(found: pl.DataFrame) -> pl.DataFrame:
    """Return the answers of rules, with their probability as confidence."""
    answers = combine_rules(found)
    return answers[["x", "relation", "y"]].hstack([answers["probability"].alias("confidence")])


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
