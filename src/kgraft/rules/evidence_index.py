"""An index of evidence: rules that infer an answer, and sources that state it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.grouped_index import GroupedIndex
from kgraft.linking.joint_graph import JointGraph
from kgraft.rules.edges import Edges, inverse
from kgraft.rules.entity_frequencies import EntityFrequencies
from kgraft.rules.rule_answers import RuleApplier, combine_rules
from kgraft.rules.rules import Rules

BATCH_QUERIES = 500
"""Queries answered at once."""


class EvidenceSource(Protocol):
    """Answers to distinct queries, int32 ``x`` and ``relation``; inverses ask for heads.

    Both methods return ``x``, ``relation``, ``y`` and ``confidence``, a probability.
    """

    @property
    def frequencies(self) -> EntityFrequencies:
        """Frequencies and degrees of entities."""
        ...

    def inferred(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Return the answers of rules, and the probability of each."""
        ...

    def stated(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Return the answers of other sources, and the reliability of each."""
        ...


class EvidenceIndex:
    """Rules and the statements of other sources, by query.

    Args:
        graph: The target joined with other sources.
        target: The target's name.
        rules: Rules for the target's relations.
        reliability: Probability that the target would state each of the graph's facts, ``(n,)``.
        edges: The graph's facts in both directions; by default made here.

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
        """Return the answers of rules.

        Args:
            asked: Distinct queries, int32 ``x`` and ``relation``; inverses ask for heads.

        Returns:
            ``x``, ``relation``, ``y`` and ``confidence``: the rules' probability of each answer.
        """
        parts = [_inferred(self._applier.answers(x)) for x in asked.iter_slices(BATCH_QUERIES)]
        return pl.concat(parts or [_inferred(self._applier.answers(asked))])

    def scores_of(self, asked: pl.DataFrame) -> EvidenceScores:
        """Return all evidence about a few queries, rule by rule."""
        return EvidenceScores(self._applier.answers(asked), self.stated(asked), self.frequencies)

    def stated(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Return the answers of other sources, in the form of ``inferred``.

        An answer's confidence is its reliability. What the target states itself is no evidence for
        what else it might state, and is left out.
        """
        _, row = self._by_query.rows(*(asked[name].to_numpy() for name in ("x", "relation")))
        return self._statements[row]


@dataclass(frozen=True, eq=False)
class EvidenceScores:
    """Evidence about a few queries, of which parts can be taken away.

    Args:
        by_rules: Rows of ``kgraft.rules.rule_answers.SCHEMA``.
        by_sources: Rows of ``EvidenceIndex.stated``.
        frequencies: Frequencies and degrees of entities.
    """

    by_rules: pl.DataFrame
    by_sources: pl.DataFrame
    frequencies: EntityFrequencies

    def inferred(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Return the answers of rules, as ``EvidenceIndex`` does."""
        return _inferred(self.by_rules.join(asked, on=["x", "relation"], how="semi"))

    def stated(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Return the answers of other sources, as ``EvidenceIndex`` does."""
        return self.by_sources.join(asked, on=["x", "relation"], how="semi")

    def without_rules(self, rules: Sequence[int], y: int) -> EvidenceScores:
        """Return the evidence if some rules did not infer an answer."""
        taken = pl.col("rule").is_in(list(rules)) & (pl.col("y") == y)
        return replace(self, by_rules=self.by_rules.filter(~taken))

    def without_statement(self, y: int) -> EvidenceScores:
        """Return the evidence if no source stated an answer."""
        return replace(self, by_sources=self.by_sources.filter(pl.col("y") != y))


def _inferred(found: pl.DataFrame) -> pl.DataFrame:
    """Return the probability of each answer of rules."""
    answers = combine_rules(found)
    return answers[["x", "relation", "y"]].hstack([answers["probability"].alias("confidence")])


def _statements(graph: JointGraph, target: str, reliability: NDArray[np.float64]) -> pl.DataFrame:
    """Return the other sources' statements about the target's entities, in both directions."""
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
    turned = inverse(pl.col("relation"), graph.n_relations)
    back = others.select(x="y", relation=turned, y="x", confidence="confidence")
    return pl.concat([others, back])
