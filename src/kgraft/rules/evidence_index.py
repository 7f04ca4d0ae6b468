"""What speaks for an answer besides vectors: rules that infer it, and sources that state it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.grouped_index import GroupedIndex
from kgraft.linking.joint_graph import JointGraph
from kgraft.rules.answer_frequencies import EntityFrequencies
from kgraft.rules.edges import Edges, inverse
from kgraft.rules.rule_answers import Answerer, combined
from kgraft.rules.rules import Rules

AT_ONCE = 500
"""Queries answered at once."""


class EvidenceSource(Protocol):
    """What witnesses say of distinct queries, int32 ``x`` and ``relation``; inverses ask for heads.

    Both answer with ``x``, ``relation``, ``y`` and ``confidence``.
    """

    @property
    def connections(self) -> EntityFrequencies:
        """How entities are connected, whoever says so."""
        ...

    def inferred(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Return what rules answer, and the chance of each answer."""
        ...

    def stated(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Return what other sources answer, and the chance that the target agrees."""
        ...


class EvidenceIndex:
    """Rules and other sources, ready to be asked.

    Args:
        graph: The target joined with other sources.
        target: The target's name.
        rules: Rules for the target's relations.
        agreement: The chance that the target would state each of the graph's facts, ``(n,)``.

    Attributes:
        edges: The graph's facts in both directions.
        connections: How they connect entities.
    """

    def __init__(
        self, graph: JointGraph, target: str, rules: Rules, agreement: NDArray[np.float64]
    ) -> None:
        self.edges = Edges.of(graph)
        self._answerer = Answerer(rules, self.edges, graph.part(target).entity_rows)
        self.connections = EntityFrequencies(graph, target, self._answerer.graph)
        self._statements = _statements(graph, target, agreement)
        self._by_query = GroupedIndex.of(
            *(self._statements[name].to_numpy() for name in ("x", "relation"))
        )

    def inferred(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Return what rules answer.

        Args:
            asked: Distinct queries, int32 ``x`` and ``relation``; inverses ask for heads.

        Returns:
            ``x``, ``relation``, ``y`` and ``confidence``: the rules' chance of each answer.
        """
        parts = [_inferred(self._answerer.answers(x)) for x in asked.iter_slices(AT_ONCE)]
        return pl.concat(parts or [_inferred(self._answerer.answers(asked))])

    def testimony(self, asked: pl.DataFrame) -> EvidenceScores:
        """Return all that is said of a few queries, rule by rule."""
        return EvidenceScores(self._answerer.answers(asked), self.stated(asked), self.connections)

    def stated(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Return what other sources answer, in the form of ``inferred``.

        An answer's confidence is the chance that the target agrees. What the target states itself
        is no evidence for what else it might state, and is left out.
        """
        _, row = self._by_query.rows(*(asked[name].to_numpy() for name in ("x", "relation")))
        return self._statements[row]


@dataclass(frozen=True, eq=False)
class EvidenceScores:
    """What is said of a few queries, and what would be said if a witness were not there.

    Args:
        by_rules: Rows of ``kgraft.rules.rule_answers.SCHEMA``.
        by_sources: What ``EvidenceIndex.stated`` returns.
        connections: How entities are connected, whoever says so.
    """

    by_rules: pl.DataFrame
    by_sources: pl.DataFrame
    connections: EntityFrequencies

    def inferred(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Return what rules answer, as ``EvidenceIndex`` do."""
        return _inferred(self.by_rules.join(asked, on=["x", "relation"], how="semi"))

    def stated(self, asked: pl.DataFrame) -> pl.DataFrame:
        """Return what other sources answer, as ``EvidenceIndex`` do."""
        return self.by_sources.join(asked, on=["x", "relation"], how="semi")

    def without_rules(self, rules: Sequence[int], y: int) -> EvidenceScores:
        """Return what is said if some rules do not infer an answer."""
        said = pl.col("rule").is_in(list(rules)) & (pl.col("y") == y)
        return replace(self, by_rules=self.by_rules.filter(~said))

    def without_statement(self, y: int) -> EvidenceScores:
        """Return what is said if no source states an answer."""
        return replace(self, by_sources=self.by_sources.filter(pl.col("y") != y))


def _inferred(found: pl.DataFrame) -> pl.DataFrame:
    """Return the chance of each answer that rules give."""
    answers = combined(found)
    return answers[["x", "relation", "y"]].hstack([answers["chance"].alias("confidence")])


def _statements(graph: JointGraph, target: str, agreement: NDArray[np.float64]) -> pl.DataFrame:
    """Return the other sources' statements about the target's entities, in both directions."""
    key = ["x", "relation", "y"]
    entities = pl.Series(graph.part(target).entity_rows, dtype=pl.Int32).implode()
    facts = pl.DataFrame(graph.triples, schema=dict.fromkeys(key, pl.Int32)).with_columns(
        own=pl.Series(graph.triple_sources) == graph.sources.index(target),
        confidence=pl.Series(agreement, dtype=pl.Float32),
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
