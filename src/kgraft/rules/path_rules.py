"""Mining closed paths: ``relation(x, y) <= first(x, a), second(a, b), third(b, y)``.

A *grounding* of a body is one path of its relations, through entities of any kind; a *hit* is a
grounding that meets no entity twice and whose two ends are a fact; the *support* is the number of
different facts among the hits. A rule's confidence is its hits' share of the groundings, after
adding ``ADDED_WRONG`` that are wrong: so many of those that were looked at, so that what few seen
hits stand for is trusted no more than so few hits can be.

Hits are found by joins: edges are expanded from the ends of facts and looked up in between. What is
expanded is sampled at hubs, where hits are then weighted by what they stand for, so the work is
bounded by facts times samples. Groundings are counted in full, by multiplying degrees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import polars as pl

from kgraft.rules.edges import Edges, inverse, sample_per_group
from kgraft.settings import RuleSettings

ADDED_WRONG = 5
"""Wrong groundings that every rule is charged with (Meilicke et al., IJCAI 2019, section 4)."""

WEIGHT_UNIT = 1 << 20
"""Weights are added as whole multiples of one part in so many."""

MAX_JOINED_ROWS = 4_000_000
"""The most rows that a join of facts with the edges at their ends makes at once."""

UntilDeadline = Callable[[Iterable[pl.DataFrame]], Iterator[pl.DataFrame]]
"""Passes slices of facts on, in order, until the time for mining is over."""

SLICE_ROWS = 20_000
"""Rows that are joined at once where paths are counted."""


def path_rules(
    edges: Edges,
    facts: pl.DataFrame,
    settings: RuleSettings,
    seed: int,
    until_deadline: UntilDeadline,
) -> list[pl.DataFrame]:
    """Return the path rules of each length, up to the settings' longest.

    Args:
        edges: The graph.
        facts: The facts to explain, some of ``edges.facts``, with the ``weight`` of each.
        settings: Lengths, samples, and what a rule needs to be kept.
        seed: Seed of the samples.
        until_deadline: Passes slices of facts on until the time is over.
    """
    miners = (_mine_length_one, _mine_length_two, _mine_length_three)
    return [
        miner(edges, facts, settings, seed, until_deadline) for miner in miners[: settings.longest]
    ]


def confident_rules(
    counted: pl.DataFrame, groundings: pl.DataFrame, settings: RuleSettings
) -> pl.DataFrame:
    """Give rules their confidence and keep those that are sure enough.

    Args:
        counted: Rules with ``support``, ``seen`` hits, and ``hits`` that those stand for, these
            in parts of ``WEIGHT_UNIT``.
        groundings: ``groundings`` in all, by the columns of the body.
        settings: What a rule needs.
    """
    body = [name for name in groundings.columns if name != "groundings"]
    hits = pl.col("hits") / WEIGHT_UNIT
    # Estimated hits may be more than there are groundings; seen ones never are.
    right = pl.min_horizontal(hits, "groundings")
    share = right / (pl.col("groundings") + ADDED_WRONG * hits / pl.col("seen"))
    return (
        counted.filter(pl.col("support") >= settings.support)
        .join(groundings, on=body)
        .with_columns(confidence=share.clip(0.0, 1.0))
        .filter(pl.col("confidence") >= settings.confidence)
        .drop("hits", "seen", "groundings")
    )


def weight_sum(weight: pl.Expr) -> pl.Expr:
    """Add up weights so that the sum does not depend on their order."""
    return (weight * WEIGHT_UNIT).round().cast(pl.Int64).sum()


def _mine_length_one(
    edges: Edges,
    facts: pl.DataFrame,
    settings: RuleSettings,
    _seed: int,
    _until_deadline: UntilDeadline,
) -> pl.DataFrame:
    body = edges.frame.rename({"relation": "first"})
    found = facts.join(body, on=["x", "y"]).filter(pl.col("relation") != pl.col("first"))
    groundings = body.group_by("first").agg(groundings=pl.len())
    return confident_rules(
        _counted([_by_answer(found, ["first"])], ["first"]), groundings, settings
    )


def _mine_length_two(
    edges: Edges,
    facts: pl.DataFrame,
    settings: RuleSettings,
    seed: int,
    until_deadline: UntilDeadline,
) -> pl.DataFrame:
    body = ["first", "second"]
    first = sample_per_group(
        edges.frame.rename({"relation": "first", "y": "a"}), "x", settings.samples, seed
    )
    second = edges.frame.rename({"x": "a", "relation": "second"})

    def found(part: pl.DataFrame) -> pl.DataFrame:
        return (
            part.join(first, on="x", suffix="_x")
            .filter(pl.col("a") != pl.col("y"), pl.col("a") != pl.col("x"))
            .join(second, on=["a", "y"])
            .with_columns(weight=pl.col("weight") * pl.col("weight_x"))
        )

    lesser = _from_the_lesser_end(edges, facts)
    slices = until_deadline(_slices(lesser, settings.samples))
    parts = [_by_answer(found(part), body) for part in slices]
    counted = _counted([_forwards(part, body, edges.n_relations) for part in parts], body)
    return confident_rules(
        counted, _groundings_of_two(edges, counted.select(body).unique()), settings
    )


def _mine_length_three(
    edges: Edges,
    facts: pl.DataFrame,
    settings: RuleSettings,
    seed: int,
    until_deadline: UntilDeadline,
) -> pl.DataFrame:
    body = ["first", "second", "third"]
    few = max(1, settings.samples // 3)
    first = sample_per_group(edges.frame.rename({"relation": "first", "y": "a"}), "x", few, seed)
    third = sample_per_group(edges.frame.rename({"x": "b", "relation": "third"}), "y", few, seed)
    second = edges.frame.rename({"x": "a", "relation": "second", "y": "b"})

    def found(part: pl.DataFrame) -> pl.DataFrame:
        return (
            part.join(first, on="x", suffix="_x")
            .filter(pl.col("a") != pl.col("y"), pl.col("a") != pl.col("x"))
            .join(third, on="y", suffix="_y")
            .filter(
                pl.col("b") != pl.col("x"),
                pl.col("b") != pl.col("y"),
                pl.col("b") != pl.col("a"),
            )
            .join(second, on=["a", "b"])
        )

    slices = until_deadline(_slices(facts, few**2))
    counted = _counted([_by_answer(found(part), body) for part in slices], body)
    counted = counted.filter(pl.col("support") >= settings.support)
    return confident_rules(
        counted, _groundings_of_three(edges, counted.select(body).unique()), settings
    )


def _from_the_lesser_end(edges: Edges, facts: pl.DataFrame) -> pl.DataFrame:
    """Read each fact so that ``x`` is the end with fewer edges."""
    degree = edges.frame.group_by("x").agg(degree=pl.len())
    ends = facts.join(degree, on="x").join(degree.rename({"x": "y", "degree": "degree_y"}), on="y")
    straight = pl.col("degree") <= pl.col("degree_y")
    turned = ends.filter(~straight).select(
        relation=inverse(pl.col("relation"), edges.n_relations), x="y", y="x", weight="weight"
    )
    return pl.concat([ends.filter(straight).select(turned.columns), turned])


def _forwards(counted: pl.DataFrame, body: list[str], n_relations: int) -> pl.DataFrame:
    """Turn rules for inverse relations round: their body is read from its end."""
    back = pl.col("relation") >= n_relations
    turned = [
        pl.when(back).then(inverse(pl.col(other), n_relations)).otherwise(pl.col(own)).alias(own)
        for own, other in zip(body, reversed(body), strict=True)
    ]
    return counted.with_columns(pl.col("relation") % n_relations, *turned)


def _by_answer(found: pl.DataFrame, body: list[str]) -> pl.DataFrame:
    """Count the answers and the groundings of each rule among the paths of one slice."""
    answers = found.group_by("relation", *body, "x", "y").agg(
        hits=weight_sum(pl.col("weight")), seen=pl.len()
    )
    return answers.group_by("relation", *body).agg(pl.col("hits", "seen").sum(), support=pl.len())


def _counted(parts: list[pl.DataFrame], body: list[str]) -> pl.DataFrame:
    """Add up what slices have counted; no answer stands in two of them."""
    return pl.concat(parts).group_by("relation", *body).sum()


def _groundings_of_two(edges: Edges, bodies: pl.DataFrame) -> pl.DataFrame:
    return _sum_of_products(_arriving(edges, "a"), _leaving(edges, "a", "second"), "a", bodies)


def _groundings_of_three(edges: Edges, bodies: pl.DataFrame) -> pl.DataFrame:
    arriving, leaving = _arriving(edges, "a"), _leaving(edges, "b", "third")
    middle = edges.frame.rename({"x": "a", "relation": "second", "y": "b"})
    beginnings = bodies.select("first", "second").unique()
    parts = []
    for part in middle.iter_slices(SLICE_ROWS):
        reached = (
            part.join(arriving, on="a")
            .join(beginnings, on=["first", "second"], how="semi")
            .group_by("first", "second", "b")
            .agg(pl.col("arriving").sum())
        )
        parts.append(_sum_of_products(reached, leaving, "b", bodies))
    return pl.concat(parts).group_by("first", "second", "third").agg(pl.col("groundings").sum())


def _arriving(edges: Edges, at: str) -> pl.DataFrame:
    named = edges.frame.rename({"relation": "first", "y": at})
    return named.group_by(at, "first").agg(arriving=pl.len().cast(pl.Int64))


def _leaving(edges: Edges, at: str, relation: str) -> pl.DataFrame:
    named = edges.frame.rename({"relation": relation, "x": at})
    return named.group_by(at, relation).agg(leaving=pl.len().cast(pl.Int64))


def _sum_of_products(
    arriving: pl.DataFrame, leaving: pl.DataFrame, at: str, bodies: pl.DataFrame
) -> pl.DataFrame:
    """Count the paths of each body that pass an entity, from those to it and those from it."""
    parts = [
        part.join(leaving, on=at)
        .join(bodies, on=bodies.columns, how="semi")
        .group_by(bodies.columns)
        .agg(groundings=(pl.col("arriving") * pl.col("leaving")).sum())
        for part in arriving.iter_slices(SLICE_ROWS)
    ]
    empty = bodies.with_columns(groundings=pl.lit(0, pl.Int64)).clear()
    return pl.concat([empty, *parts]).group_by(bodies.columns).agg(pl.col("groundings").sum())


def _slices(facts: pl.DataFrame, paths: int) -> Iterator[pl.DataFrame]:
    """Cut facts into slices, each fact being joined with so many paths at most."""
    return facts.iter_slices(max(1, MAX_JOINED_ROWS // paths))
