"""Source reliability: the probability that a target states the facts of other sources.

Sources describe the same things differently: one gives a birthplace as a town, another as a
country. Where several answers are stated, those that the target would state are to be learned.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import logit

from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.logistic_regression import fit_logistic_regression

Floats = NDArray[np.float64]

CONTEXTS = (["relation"], ["relation", "tail"])
"""Columns of facts with a common rate of agreement. Rivals, facts of the same head and relation,
have none: where the target states one of them it states no other."""

FOLDS = 5
"""Parts of the facts; rates of each are taken from the others."""

LARGEST = 20.0
"""Upper limit of a fact's weight relative to the mean; its inverse is the lower limit."""


def source_reliability(graph: JointGraph, target: str) -> Floats:
    """Estimate the probability that the target states each fact.

    A logistic regression over the facts of other sources; their labels are if the target's
    training facts hold them too. Its features are the sources that state a fact, the number of its
    rivals, and the target's rate of agreement with other facts of the same relation, and of the
    same relation and tail.

    Args:
        graph: The target joined with other sources.
        target: The target's name.

    Returns:
        The probability of each of the graph's facts, ``(n,)``; 1 for those that the target states,
        and for those of relations or entities that it does not use.
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
    shared = stated.filter(
        pl.col("relation").is_in(used),
        pl.col("head").is_in(entities),
        pl.col("tail").is_in(entities),
        pl.any_horizontal(pl.lit(False), *(pl.col(f"by {x}") > 0 for x in others)),
    )
    if shared["agreed"].n_unique() < 2:  # Nothing to learn from.
        return np.ones(len(facts))
    shared = shared.sort(key)
    features = _features(shared, [f"by {x}" for x in others])
    probabilities = fit_logistic_regression(features, shared["agreed"].to_numpy()).probabilities(
        features
    )
    found = facts.join(
        shared.select(*key, "agreed", probability=pl.Series(probabilities)),
        on=key,
        how="left",
        maintain_order="left",
    )
    own_fact = pl.col("agreed").is_null() | (pl.col("agreed") > 0)
    probability = pl.when(own_fact).then(1.0).otherwise("probability")
    of_all: Floats = found.select(probability).to_series().to_numpy()
    return of_all


def fact_weights(
    probabilities: Floats,
    sharpness: float,
    learned: NDArray[np.bool_],
    confidence: Floats | float = 1.0,
) -> Floats:
    """Return the weight of each fact: 1 in the mean of those that are learned, else 0.

    Args:
        probabilities: Source reliability, ``(n,)``.
        sharpness: Exponent of the probability in a background fact's weight; 0 for equal weights.
        learned: Mask of the facts that are learned, ``(n,)``.
        confidence: Link confidence of each fact, ``(n,)``.
    """
    background = learned & (probabilities < 1)
    counts = learned.astype(np.float64)
    if background.any():
        relative = (probabilities[background] / probabilities[background].mean()) ** sharpness
        counts[background] = np.clip(relative, 1 / LARGEST, LARGEST)
    counts *= confidence
    if learned.any():
        counts /= counts[learned].mean()
    return counts


def _features(shared: pl.DataFrame, sources: Sequence[str]) -> Floats:
    """Return the features of each fact, ``(n, f)``."""
    share = shared["agreed"].mean()
    folds = np.random.default_rng(0).integers(FOLDS, size=len(shared))
    shared = shared.with_columns(fold=pl.Series(folds))
    columns = [pl.col(name) for name in sources]
    columns.append((pl.sum_horizontal(sources) > 1).cast(pl.Float64).alias("several"))
    for context in CONTEXTS:
        # Rates of the other folds: leaving out the fact alone would give away its label.
        fold = [*context, "fold"]
        agreed = pl.col("agreed").sum().over(context) - pl.col("agreed").sum().over(fold)
        size = pl.len().over(context) - pl.len().over(fold)
        columns.append(((agreed + share) / (size + 1)).alias(f"agreed {context}"))
    columns.append((pl.len().over("head", "relation") - 1).cast(pl.Float64).log1p().alias("rivals"))
    features: Floats = shared.select(columns).to_numpy(writable=True)
    shares = slice(len(sources) + 1, len(sources) + 1 + len(CONTEXTS))
    features[:, shares] = logit(np.clip(features[:, shares], 1e-3, 1 - 1e-3))
    return features
