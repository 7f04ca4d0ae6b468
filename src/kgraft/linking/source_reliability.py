"""How likely a target is to state what other sources state.

Sources that speak of the same things choose differently what to say of them: one names a birthplace
by the town, another by the country. Where several answers are stated, those that the target would
state are the ones to learn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import logit

from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.logistic_regression import regression

Floats = NDArray[np.float64]

CONTEXTS = (["relation"], ["relation", "tail"])
"""What facts share that the target agrees with alike. Rivals, facts of the same head and relation,
are no such context: that the target states one of them would say that it states no other."""

FOLDS = 5
"""Parts of the facts; each is judged by the others."""

LARGEST = 20.0
"""A fact counts at most so many times as much as the mean, and at least so small a part of it."""


def source_reliability(graph: JointGraph, target: str) -> Floats:
    """Estimate the chance that the target states each fact.

    A logistic regression over the facts that other sources state; whether the target's training
    facts hold them too is what it learns from. It goes by which sources state a fact, by how many
    rivals it has, and by how often the target agrees with other facts of the same relation, and of
    the same relation and tail.

    Args:
        graph: The target joined with other sources.
        target: The target's name.

    Returns:
        A chance for each of the graph's facts, ``(n,)``; 1 for those that the target states, and
        for those of relations or entities that it does not use: they are no answers of its own.
    """
    own = graph.sources.index(target)
    facts = pl.DataFrame(graph.triples, schema=["head", "relation", "tail"]).with_columns(
        source=pl.Series(graph.triple_sources)
    )
    key = ["head", "relation", "tail"]
    others = [place for place in range(len(graph.sources)) if place != own]
    stated = facts.group_by(key).agg(
        (pl.col("source") == own).any().cast(pl.Float64).alias("agreed"),
        *((pl.col("source") == x).any().cast(pl.Float64).alias(f"by {x}") for x in others),
    )
    used = facts.filter(pl.col("source") == own)["relation"].unique().implode()
    entities = pl.Series(graph.part(target).entity_rows).implode()
    taken = stated.filter(
        pl.col("relation").is_in(used),
        pl.col("head").is_in(entities),
        pl.col("tail").is_in(entities),
        pl.any_horizontal(pl.lit(False), *(pl.col(f"by {x}") > 0 for x in others)),
    )
    if taken["agreed"].n_unique() < 2:
        # Nothing to learn from: the target states none of it, or all of it.
        return np.ones(len(facts))
    taken = taken.sort(key)
    features = _features(taken, [f"by {x}" for x in others])
    chances = regression(features, taken["agreed"].to_numpy()).chances(features)
    found = facts.join(
        taken.select(*key, "agreed", chance=pl.Series(chances)),
        on=key,
        how="left",
        maintain_order="left",
    )
    own_fact = pl.col("agreed").is_null() | (pl.col("agreed") > 0)
    chance = pl.when(own_fact).then(1.0).otherwise("chance")
    chances_of_all: Floats = found.select(chance).to_series().to_numpy()
    return chances_of_all


def fact_weights(
    chances: Floats,
    sharpness: float,
    learned: NDArray[np.bool_],
    trusted: Floats | float = 1.0,
) -> Floats:
    """Return how much each fact counts: 1 in the mean of those that are learned, else 0.

    Args:
        chances: What ``source_reliability`` returns, ``(n,)``.
        sharpness: 0 lets all facts count alike; with 1 a background fact counts by its chance.
        learned: Which facts are learned at all, ``(n,)``.
        trusted: How far each is about what it seems to be, ``(n,)``.
    """
    background = learned & (chances < 1)
    counts = learned.astype(np.float64)
    if background.any():
        relative = (chances[background] / chances[background].mean()) ** sharpness
        counts[background] = np.clip(relative, 1 / LARGEST, LARGEST)
    counts *= trusted
    if learned.any():
        counts /= counts[learned].mean()
    return counts


def _features(taken: pl.DataFrame, sources: Sequence[str]) -> Floats:
    """Return a row for each fact: its sources, and the agreement with what is like it."""
    share = taken["agreed"].mean()
    folds = np.random.default_rng(0).integers(FOLDS, size=len(taken))
    taken = taken.with_columns(fold=pl.Series(folds))
    columns = [pl.col(name) for name in sources]
    columns.append((pl.sum_horizontal(sources) > 1).cast(pl.Float64).alias("several"))
    for context in CONTEXTS:
        # Judged by the other folds: to leave out the fact itself alone would tell which way it
        # was decided.
        fold = [*context, "fold"]
        agreed = pl.col("agreed").sum().over(context) - pl.col("agreed").sum().over(fold)
        size = pl.len().over(context) - pl.len().over(fold)
        columns.append(((agreed + share) / (size + 1)).alias(f"agreed {context}"))
    columns.append((pl.len().over("head", "relation") - 1).cast(pl.Float64).log1p().alias("rivals"))
    features: Floats = taken.select(columns).to_numpy(writable=True)
    shares = slice(len(sources) + 1, len(sources) + 1 + len(CONTEXTS))
    features[:, shares] = logit(np.clip(features[:, shares], 1e-3, 1 - 1e-3))
    return features
