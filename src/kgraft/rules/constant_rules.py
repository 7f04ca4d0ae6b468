"""Mining rules with constants: ``relation(x, answer) <= first(x, entity)``, or ``first(x, _)``.

They say what entities that share a property have in common, in both directions of each relation.
Answers are handled in slices, so that a rule is counted whole in one of them and most are dropped
at once. Of an entity at most ``samples`` properties that others share are looked at, and hits are
weighted by what they stand for; rules about anything, and all groundings, are counted in full.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from kgraft.rules.edges import Edges, sample_per_group
from kgraft.rules.path_rules import UntilDeadline, confident_rules, weight_sum
from kgraft.settings import RuleSettings

SLICE_FACTS = 10_000
"""About the most facts that are joined at once; those of one answer are never parted."""


def constant_rules(
    edges: Edges,
    facts: pl.DataFrame,
    settings: RuleSettings,
    seed: int,
    until_deadline: UntilDeadline,
) -> list[pl.DataFrame]:
    """Return the rules with constants.

    Args:
        edges: The graph.
        facts: The edges to explain, in both directions, with the ``weight`` of each.
        settings: Samples, and what a rule needs to be kept.
        seed: Seed of the samples.
        until_deadline: Passes slices of facts on until the time is over.
    """
    properties = edges.frame.rename({"relation": "first", "y": "entity"})
    values = properties.group_by("first", "entity").agg(groundings=pl.len())
    kinds = properties.select("x", "first").unique()
    common = properties.filter(pl.len().over("first", "entity") >= settings.support)
    held = sample_per_group(common, "x", settings.samples, seed)
    anything = kinds.group_by("first").agg(groundings=pl.len())
    special, general = [], []
    for part in until_deadline(_by_answer(facts, settings.support)):
        of_values = part.join(held, on="x", suffix="_x").filter(
            (pl.col("relation") != pl.col("first")) | (pl.col("answer") != pl.col("entity"))
        )
        special.append(_kept(of_values, values, settings))
        of_kinds = part.join(kinds, on="x").filter(pl.col("relation") != pl.col("first"))
        general.append(_kept(of_kinds.with_columns(weight_x=pl.lit(1.0)), anything, settings))
    return _without_specialisations(special, general) if general else []


def _by_answer(facts: pl.DataFrame, support: int) -> Iterator[pl.DataFrame]:
    """Cut facts into slices that hold all facts of an answer, leaving out rare answers."""
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


def _kept(found: pl.DataFrame, groundings: pl.DataFrame, settings: RuleSettings) -> pl.DataFrame:
    body = [name for name in groundings.columns if name != "groundings"]
    counted = found.group_by("relation", "answer", *body).agg(
        support=pl.len(), seen=pl.len(), hits=weight_sum(pl.col("weight") * pl.col("weight_x"))
    )
    return confident_rules(counted, groundings, settings)


def _without_specialisations(
    special: list[pl.DataFrame], general: list[pl.DataFrame]
) -> list[pl.DataFrame]:
    """Drop rules about one entity that are no surer than the same about anything."""
    key = ["relation", "answer", "first"]
    anything = pl.concat(general)
    known = anything.select(*key, general="confidence")
    surer = pl.col("general").is_null() | (pl.col("confidence") > pl.col("general"))
    return [
        anything,
        pl.concat(special).join(known, on=key, how="left").filter(surer).drop("general"),
    ]
