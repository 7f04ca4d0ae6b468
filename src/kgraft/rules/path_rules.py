"""Path rules, mined as closed paths: ``relation(x, y) <= first(x, a), second(a, b), third(b, y)``.

A *grounding* of a body is a path of its relations, through entities of any type; a *hit* is a
grounding without repeated entities whose ends are a fact; the *support* is the number of different
facts among the hits. The confidence is the number of hits, divided by the number of groundings plus
``ADDED_WRONG``. Where edges are sampled, hits are weighted, and ``ADDED_WRONG`` is scaled by their
mean weight, so that estimates from few sampled hits are as cautious as counts of few hits. A fact
that is stated with a confidence is that part of a hit and of the support, which is rounded.

Hits are found by joining facts with the edges at their ends and the edges between those. Edges of
hubs are sampled, so the work is bounded by facts times samples. Groundings are counted in full, by
multiplying degrees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import polars as pl

from kgraft.rules.edges import Edges, inverse, sample_per_group
from kgraft.settings import RuleSettings

ADDED_WRONG = 5
"""Wrong groundings added to those of every rule (Meilicke et al., IJCAI 2019, section 4)."""

WEIGHT_UNIT = 1 << 20
"""Fixed-point scale of weights: integer sums do not depend on the order of addition."""

MAX_JOINED_ROWS = 4_000_000
"""The maximum number of rows of a join of facts with the edges at their ends."""

SLICE_ROWS = 20_000
"""Rows of a slice where groundings are counted."""

TimeLimit = Callable[[Iterable[pl.DataFrame]], Iterator[pl.DataFrame]]
"""Yields slices of facts in order, until the time for mining is over."""


def path_rules(
    edges: Edges, facts: pl.DataFrame, settings: RuleSettings, seed: int, time_limit: TimeLimit
) -> list[pl.DataFrame]:
    """Return the path rules of each length, up to the settings' longest.

    Args:
        edges: The graph.
        facts: Edges to explain, some of ``edges.facts``, with the ``weight`` of each, and perhaps
            its ``confidence``, which the weight includes.
        settings: Lengths, samples, minimum support and confidence.
        seed: Seed of the samples.
        time_limit: Yields slices of facts until the time is over.
    """
    miners = (_mine_length_one, _mine_length_two, _mine_length_three)[: settings.longest]
    return [miner(edges, facts, settings, seed, time_limit) for miner in miners]


def confident_rules(
    counted: pl.DataFrame, groundings: pl.DataFrame, settings: RuleSettings
) -> pl.DataFrame:
    """Add the confidence of rules, and drop those below the settings' minima.

    Args:
        counted: Rules with ``support``, number ``seen`` of sampled hits, and ``hits``, their
            summed weights in multiples of ``1 / WEIGHT_UNIT``.
        groundings: Number of ``groundings``, by the columns of the body.
        settings: Minimum support and confidence.
    """
    body = [name for name in groundings.columns if name != "groundings"]
    hits = pl.col("hits") / WEIGHT_UNIT
    # An estimated number of hits may exceed the number of groundings.
    right = pl.min_horizontal(hits, "groundings")
    # The mean weight is below 1 only where facts are stated with a confidence.
    added = pl.max_horizontal(ADDED_WRONG * hits / pl.col("seen"), float(ADDED_WRONG))
    share = right / (pl.col("groundings") + added)
    return (
        counted.filter(pl.col("support") >= settings.support)
        .join(groundings, on=body)
        .with_columns(confidence=share.clip(0.0, 1.0))
        .filter(pl.col("confidence") >= settings.confidence)
        .drop("hits", "seen", "groundings")
    )


def weight_sum(weight: pl.Expr) -> pl.Expr:
    """Sum weights in fixed point, in multiples of ``1 / WEIGHT_UNIT``."""
    return (weight * WEIGHT_UNIT).round().cast(pl.Int64).sum()


def support_sums(facts: pl.DataFrame) -> list[pl.Expr]:
    """Count facts as ``support``, and sum their confidences where they have some."""
    found = [pl.len().alias("support")]
    if "confidence" in facts.columns:
        found.append(weight_sum(pl.col("confidence")).alias("certain"))
    return found


def certain_support(counted: pl.DataFrame) -> pl.DataFrame:
    """Replace the support of rules by the sum of their facts' confidences, rounded, if given."""
    if "certain" not in counted.columns:
        return counted
    certain = (pl.col("certain") / WEIGHT_UNIT).round().cast(pl.UInt32)
    return counted.with_columns(support=certain).drop("certain")


def _mine_length_one(
    edges: Edges, facts: pl.DataFrame, settings: RuleSettings, _seed: int, _: TimeLimit
) -> pl.DataFrame:
    body = edges.frame.rename({"relation": "first"})
    found = facts.join(body, on=["x", "y"]).filter(pl.col("relation") != pl.col("first"))
    counted = _sum_counts([_count_hits(found, ["first"])], ["first"])
    return confident_rules(counted, body.group_by("first").agg(groundings=pl.len()), settings)


def _mine_length_two(
    edges: Edges, facts: pl.DataFrame, settings: RuleSettings, seed: int, time_limit: TimeLimit
) -> pl.DataFrame:
    body, samples = ["first", "second"], settings.samples
    first = edges.frame.rename({"relation": "first", "y": "a"})
    first = sample_per_group(first, "x", samples, seed)
    second = edges.frame.rename({"x": "a", "relation": "second"})

    def hits(part: pl.DataFrame) -> pl.DataFrame:
        return (
            part.join(first, on="x", suffix="_x")
            .filter(pl.col("a") != pl.col("y"), pl.col("a") != pl.col("x"))
            .join(second, on=["a", "y"])
            .with_columns(weight=pl.col("weight") * pl.col("weight_x"))
        )

    slices = time_limit(_slices(_from_smaller_end(edges, facts), samples))
    parts = [_count_hits(hits(part), body) for part in slices]
    counted = _sum_counts([_forward(part, body, edges.n_relations) for part in parts], body)
    ends = _arriving(edges, "a"), _leaving(edges, "a", "second")
    bodies = counted.select(body).unique()
    number = packed(*body, size=2 * edges.n_relations)
    bodies = bodies.with_columns(body=number)
    groundings = _count_groundings(*ends, "a", number, bodies["body"])
    return confident_rules(counted, bodies.join(groundings, on="body").drop("body"), settings)


def _mine_length_three(
    edges: Edges, facts: pl.DataFrame, settings: RuleSettings, seed: int, time_limit: TimeLimit
) -> pl.DataFrame:
    body = ["first", "second", "third"]
    samples = max(1, settings.samples // 3)
    first = edges.frame.rename({"relation": "first", "y": "a"})
    first = sample_per_group(first, "x", samples, seed)
    third = edges.frame.rename({"x": "b", "relation": "third"})
    third = sample_per_group(third, "y", samples, seed)
    second = edges.frame.rename({"x": "a", "relation": "second", "y": "b"})
    pair = packed("a", "b", size=_size(edges))
    second = second.select("second", pair=pair)

    def hits(part: pl.DataFrame) -> pl.DataFrame:
        return (
            part.join(first, on="x", suffix="_x")
            .filter(pl.col("a") != pl.col("y"), pl.col("a") != pl.col("x"))
            .join(third, on="y", suffix="_y")
            .filter(*(pl.col("b") != pl.col(other) for other in ("x", "y", "a")))
            .with_columns(pair=pair)
            .join(second, on="pair")
        )

    slices = time_limit(_slices(facts, samples**2))
    counted = _sum_counts([_count_hits(hits(part), body) for part in slices], body)
    counted = counted.filter(pl.col("support") >= settings.support)
    groundings = _groundings_of_three(edges, counted.select(body).unique())
    return confident_rules(counted, groundings, settings)


def _from_smaller_end(edges: Edges, facts: pl.DataFrame) -> pl.DataFrame:
    """Direct each fact so that ``x`` is the end with fewer edges."""
    degree = edges.frame.group_by("x").agg(degree=pl.len())
    ends = facts.join(degree, on="x").join(degree.rename({"x": "y", "degree": "degree_y"}), on="y")
    straight = pl.col("degree") <= pl.col("degree_y")
    turned = ends.filter(~straight).select(
        pl.exclude("relation", "x", "y", "degree", "degree_y"),
        relation=inverse(pl.col("relation"), edges.n_relations),
        x="y",
        y="x",
    )
    return pl.concat([ends.filter(straight).select(turned.columns), turned])


def _forward(counted: pl.DataFrame, body: list[str], n_relations: int) -> pl.DataFrame:
    """Replace rules for inverse relations by those for the relations, with reversed bodies."""
    back = pl.col("relation") >= n_relations
    turned = [
        pl.when(back).then(inverse(pl.col(other), n_relations)).otherwise(pl.col(own)).alias(own)
        for own, other in zip(body, reversed(body), strict=True)
    ]
    return counted.with_columns(pl.col("relation") % n_relations, *turned)


def _count_hits(hits: pl.DataFrame, body: list[str]) -> pl.DataFrame:
    """Count the facts and the hits of each rule in one slice."""
    given = [pl.col("confidence").first()] if "confidence" in hits.columns else []
    by_fact = hits.group_by("relation", *body, "x", "y").agg(
        *given, hits=weight_sum(pl.col("weight")), seen=pl.len()
    )
    counts = [pl.col("hits", "seen").sum(), *support_sums(by_fact)]
    return by_fact.group_by("relation", *body).agg(counts)


def _sum_counts(parts: list[pl.DataFrame], body: list[str]) -> pl.DataFrame:
    """Sum the counts of slices, which have no fact in common."""
    return certain_support(pl.concat(parts).group_by("relation", *body).sum())


def _groundings_of_three(edges: Edges, bodies: pl.DataFrame) -> pl.DataFrame:
    arriving, leaving = _arriving(edges, "a"), _leaving(edges, "b", "third")
    middle = edges.frame.rename({"x": "a", "relation": "second", "y": "b"})
    size = 2 * edges.n_relations
    both = packed("first", "second", size=size)
    beginnings = bodies.select(both=both).unique()
    reached = []
    for part in middle.iter_slices(SLICE_ROWS):
        found = (
            part.join(arriving, on="a")
            .with_columns(both=both)
            .join(beginnings, on="both", how="semi")
            .select("arriving", at=packed("both", "b", size=_size(edges)))
        )
        reached.append(found.group_by("at").agg(pl.col("arriving").sum()))
    middle = pl.concat(reached).group_by("at").agg(pl.col("arriving").sum())
    middle = middle.select(
        "arriving",
        both=pl.col("at") // _size(edges),
        b=(pl.col("at") % _size(edges)).cast(pl.Int32),
    )
    body = packed("both", "third", size=size)
    wanted = bodies.with_columns(both=both).select(*bodies.columns, body=body)
    found = _count_groundings(middle, leaving, "b", body, wanted["body"])
    return wanted.join(found, on="body").drop("body")


def _arriving(edges: Edges, at: str) -> pl.DataFrame:
    named = edges.frame.rename({"relation": "first", "y": at})
    return named.group_by(at, "first").agg(arriving=pl.len().cast(pl.Int64))


def _leaving(edges: Edges, at: str, relation: str) -> pl.DataFrame:
    named = edges.frame.rename({"relation": relation, "x": at})
    return named.group_by(at, relation).agg(leaving=pl.len().cast(pl.Int64))


def _count_groundings(
    arriving: pl.DataFrame, leaving: pl.DataFrame, at: str, body: pl.Expr, bodies: pl.Series
) -> pl.DataFrame:
    """Sum over entities: the number of paths to an entity times that of paths from it.

    Args:
        arriving: Number of paths ``arriving`` at each entity.
        leaving: Number of paths ``leaving`` it.
        at: The column of the entity.
        body: The number of the body that both together are.
        bodies: The bodies to count.

    Returns:
        ``body`` and ``groundings``.
    """
    wanted = pl.DataFrame({"body": bodies}).unique()
    parts = [
        part.join(leaving, on=at)
        .select(body=body, groundings=pl.col("arriving") * pl.col("leaving"))
        .join(wanted, on="body", how="semi")
        .group_by("body")
        .agg(pl.col("groundings").sum())
        for part in arriving.iter_slices(SLICE_ROWS)
    ]
    empty = pl.DataFrame(schema={"body": pl.Int64, "groundings": pl.Int64})
    return pl.concat([empty, *parts]).group_by("body").agg(pl.col("groundings").sum())


def _size(edges: Edges) -> int:
    """Return the exclusive upper limit of entities."""
    return int(edges.frame.select(pl.max_horizontal(pl.col("x", "y").max())).item() or 0) + 1


def packed(*columns: str, size: int) -> pl.Expr:
    """Return one number for columns of numbers, the later ones below ``size``.

    Joins and groups by one number take a fraction of the time of those by several.
    """
    first, *others = columns
    number = pl.col(first).cast(pl.Int64)
    for other in others:
        number = number * size + pl.col(other)
    return number


def _slices(facts: pl.DataFrame, paths_per_fact: int) -> Iterator[pl.DataFrame]:
    return facts.iter_slices(max(1, MAX_JOINED_ROWS // paths_per_fact))
