"""Rules with constants: ``relation(x, answer) <= first(x, entity)``, or ``first(x, _)``.

They state a common property of entities, in both directions of each relation. Facts are processed
in slices that hold all facts of an answer, so that each rule is counted in one of them. Of an
entity at most ``samples`` shared properties are used, and hits are weighted accordingly; rules with
an unbound entity, and all groundings, are counted in full.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from kgraft.rules.edges import Edges, sample_per_group
from kgraft.rules.path_rules import (
    TimeLimit,
    certain_support,
    confident_rules,
    support_sums,
    weight_sum,
)
from kgraft.settings import RuleSettings

SLICE_FACTS = 10_000
"""Target number of facts in a slice."""


def constant_rules(
    edges: Edges, facts: pl.DataFrame, settings: RuleSettings, seed: int, time_limit: TimeLimit
) -> list[pl.DataFrame]:
    """Return the rules with constants, for ``facts`` in both directions; see ``path_rules``."""
    properties = edges.frame.rename({"relation": "first", "y": "entity"})
    bound_groundings = properties.group_by("first", "entity").agg(groundings=pl.len())
    ends = properties.select("x", "first").unique()
    unbound_groundings = ends.group_by("first").agg(groundings=pl.len())
    shared = properties.filter(pl.len().over("first", "entity") >= settings.support)
    sample = sample_per_group(shared, "x", settings.samples, seed)
    bound, unbound = [], []
    for part in time_limit(_by_answer(facts, settings.support)):
        hits = part.join(sample, on="x", suffix="_x").filter(
            (pl.col("relation") != pl.col("first")) | (pl.col("answer") != pl.col("entity"))
        )
        bound.append(_rules(hits, bound_groundings, settings))
        hits = part.join(ends, on="x").filter(pl.col("relation") != pl.col("first"))
        unbound.append(_rules(hits.with_columns(weight_x=1.0), unbound_groundings, settings))
    return _without_specialisations(bound, unbound) if unbound else []


def _by_answer(facts: pl.DataFrame, support: int) -> Iterator[pl.DataFrame]:
    """Yield slices with all facts of an answer, leaving out answers of fewer than ``support``."""
    answer = ["relation", "answer"]
    frequent = (
        facts.rename({"y": "answer"})
        .filter(pl.len().over(answer) >= support)
        .sort(*answer, "x")
        .with_row_index("row")
    )
    begins = frequent.select(pl.col("row").min().over(answer) // SLICE_FACTS).to_series()
    for _, part in frequent.drop("row").group_by(begins, maintain_order=True):
        yield part


def _rules(hits: pl.DataFrame, groundings: pl.DataFrame, settings: RuleSettings) -> pl.DataFrame:
    body = [name for name in groundings.columns if name != "groundings"]
    counted = hits.group_by("relation", "answer", *body).agg(
        *support_sums(hits),
        seen=pl.len(),
        hits=weight_sum(pl.col("weight") * pl.col("weight_x")),
    )
    return confident_rules(certain_support(counted), groundings, settings)


def _without_specialisations(
    bound: list[pl.DataFrame], unbound: list[pl.DataFrame]
) -> list[pl.DataFrame]:
    """Drop rules about one entity that are no more confident than the rule about any entity."""
    key = ["relation", "answer", "first"]
    general = pl.concat(unbound)
    known = general.select(*key, general="confidence")
    better = pl.col("general").is_null() | (pl.col("confidence") > pl.col("general"))
    return [
        general,
        pl.concat(bound).join(known, on=key, how="left").filter(better).drop("general"),
    ]
