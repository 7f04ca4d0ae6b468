"""The facts of a graph as edges in both directions, and sampling of edges per entity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.knowledge_graph import Triples
from kgraft.linking.joint_graph import JointGraph


@dataclass(frozen=True, eq=False)
class Edges:
    """Distinct facts, each once in either direction.

    Args:
        frame: int32 columns ``x``, ``relation`` and ``y``, sorted; relation ``r + n_relations``
            leads from tail to head of relation ``r``.
        n_relations: Number of relations, inverses not counted.
        confidence: The columns of ``frame`` and the highest ``confidence`` that a source states
            each fact with; None: all are 1.
    """

    frame: pl.DataFrame
    n_relations: int
    confidence: pl.DataFrame | None = None

    @classmethod
    def of(cls, graph: JointGraph) -> Edges:
        """Return the edges of all facts of a graph."""
        facts = pl.DataFrame(graph.triples, schema=["x", "relation", "y"]).cast(pl.Int32).unique()
        both = both_directions(facts, graph.n_relations)
        given = None
        if graph.confidence is not None:
            own = pl.DataFrame(graph.triples, schema=["x", "relation", "y"]).cast(pl.Int32)
            own = own.with_columns(confidence=pl.Series(graph.confidence))
            best = own.group_by("x", "relation", "y").agg(pl.col("confidence").max())
            given = both_directions(best, graph.n_relations)
        return cls(both.sort("x", "relation", "y"), graph.n_relations, given)

    def extended(self, facts: Triples, confidence: NDArray[np.float64] | None = None) -> Edges:
        """Return the edges with those of more facts, ``(n, 3)``; new ones come last, unsorted.

        Args:
            facts: The facts, some of which the graph may have.
            confidence: The confidence that each is stated with; by default 1.
        """
        columns = dict.fromkeys(("x", "relation", "y"), pl.Int32)
        more = pl.DataFrame(facts, schema=columns)
        heads = more["x"].unique().implode()
        known = self.frame.filter(pl.col("x").is_in(heads))
        given = self.confidence
        if given is not None:
            sure = np.ones(len(facts)) if confidence is None else confidence
            stated = more.with_columns(confidence=pl.Series(sure))
            given = pl.concat([given, both_directions(stated, self.n_relations)])
        new = more.unique().join(known, on=list(columns), how="anti")
        both = both_directions(new, self.n_relations)
        return Edges(pl.concat([self.frame, both]), self.n_relations, given)

    @property
    def facts(self) -> pl.DataFrame:
        """The edges from heads to tails."""
        return self.frame.filter(pl.col("relation") < self.n_relations)


def inverse(relation: pl.Expr, n_relations: int) -> pl.Expr:
    """Return the inverse relation."""
    there = relation < n_relations
    return pl.when(there).then(relation + n_relations).otherwise(relation - n_relations)


def both_directions(facts: pl.DataFrame, n_relations: int) -> pl.DataFrame:
    """Return facts, of columns ``x``, ``relation``, ``y`` and others, and then their inverses."""
    turned = inverse(pl.col("relation"), n_relations)
    return pl.concat([facts, facts.with_columns(x="y", relation=turned, y="x")])


def sample_per_group(frame: pl.DataFrame, by: str, limit: int, seed: int) -> pl.DataFrame:
    """Sample at most ``limit`` rows for each value of ``by``, uniformly.

    A column ``weight`` is added, the inverse of a row's sampling probability. The sample depends on
    the order of rows.
    """
    order = np.random.default_rng(seed).permutation(len(frame))
    size, place = pl.len().over(by), pl.int_range(pl.len()).over(by)
    shuffled = frame[order].with_columns(weight=pl.max_horizontal(size, limit) / limit, place=place)
    return shuffled.filter(pl.col("place") < limit).drop("place")
