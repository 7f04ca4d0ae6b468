"""The facts of a graph as edges in both directions, and sampling of edges per entity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from kgraft.linking.joint_graph import JointGraph


@dataclass(frozen=True, eq=False)
class Edges:
    """Distinct facts, each once in either direction.

    Args:
        frame: int32 columns ``x``, ``relation`` and ``y``, sorted; relation ``r + n_relations``
            leads from tail to head of relation ``r``.
        n_relations: Number of relations, inverses not counted.
    """

    frame: pl.DataFrame
    n_relations: int

    @classmethod
    def of(cls, graph: JointGraph) -> Edges:
        """Return the edges of all facts of a graph."""
        facts = pl.DataFrame(graph.triples, schema=["x", "relation", "y"]).cast(pl.Int32).unique()
        back = facts.select(x="y", relation=inverse(pl.col("relation"), graph.n_relations), y="x")
        return cls(pl.concat([facts, back]).sort("x", "relation", "y"), graph.n_relations)

    @property
    def facts(self) -> pl.DataFrame:
        """The edges from heads to tails."""
        return self.frame.filter(pl.col("relation") < self.n_relations)


def inverse(relation: pl.Expr, n_relations: int) -> pl.Expr:
    """Return the inverse relation."""
    there = relation < n_relations
    return pl.when(there).then(relation + n_relations).otherwise(relation - n_relations)


def sample_per_group(frame: pl.DataFrame, by: str, limit: int, seed: int) -> pl.DataFrame:
    """Sample at most ``limit`` rows for each value of ``by``, uniformly.

    A column ``weight`` is added, the inverse of a row's sampling probability. The sample depends on
    the order of rows.
    """
    order = np.random.default_rng(seed).permutation(len(frame))
    size, place = pl.len().over(by), pl.int_range(pl.len()).over(by)
    shuffled = frame[order].with_columns(weight=pl.max_horizontal(size, limit) / limit, place=place)
    return shuffled.filter(pl.col("place") < limit).drop("place")
