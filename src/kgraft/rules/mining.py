"""Rule mining for the relations of a target, on its linked subgraph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import inf
from time import monotonic

import numpy as np
import polars as pl

from kgraft.graph.vocabulary import Rows
from kgraft.rules.constant_rules import constant_rules
from kgraft.rules.edges import Edges, sample_per_group
from kgraft.rules.path_rules import path_rules
from kgraft.rules.rules import Rules, rules_from
from kgraft.settings import RuleSettings


def mine_rules(
    edges: Edges,
    relations: Rows,
    settings: RuleSettings,
    *,
    seed: int = 0,
    advance: Callable[[int], None] = lambda _: None,
) -> Rules:
    """Mine rules bottom-up, from the facts that they explain.

    After Meilicke et al., "Anytime bottom-up rule learning for knowledge graph completion" (IJCAI
    2019): closed paths up to a length, and rules with constants of length one. The same seed gives
    the same rules with any number of threads, unless ``seconds`` run out. Loops are not explained.

    Counts are exact for relations of up to ``facts_per_relation`` facts, between entities of up to
    ``samples`` edges (a third of it for paths of three relations). Otherwise facts and edges are
    sampled: ``support`` is a lower bound, and hits are unbiased estimates. Groundings are always
    counted in full. A fact that is stated with a confidence counts as much in support and hits.

    Args:
        edges: The graph, all of which bodies may use.
        relations: The relations to explain, int64 ``(k,)``, without inverses.
        settings: Lengths, samples, minimum support and confidence.
        seed: Seed of the samples.
        advance: Receives the number of facts done; ``mining_facts`` returns their total.
    """
    explained = _explained(edges, relations)
    if explained.is_empty() or not settings.longest:
        return rules_from([], edges.n_relations)
    deadline = monotonic() + (settings.seconds or inf)

    def time_limit(parts: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        for part in parts:
            yield part
            advance(len(part))
            if monotonic() >= deadline:
                return

    # The random order gives all relations a share of the time, should it run out.
    facts = sample_per_group(explained, "relation", settings.facts_per_relation, seed)
    if edges.confidence is not None:
        facts = facts.join(
            edges.confidence, on=["x", "relation", "y"], how="left", maintain_order="left"
        ).with_columns(weight=pl.col("weight") * pl.col("confidence"))
    forward = facts.filter(pl.col("relation") < edges.n_relations)
    parts = path_rules(edges, forward, settings, seed, time_limit)
    parts += constant_rules(edges, facts, settings, seed, time_limit)
    return rules_from(parts, edges.n_relations)


def mining_facts(edges: Edges, relations: Rows, settings: RuleSettings) -> int:
    """Return the number of facts of ``mine_rules``, counted once for each kind of rule."""
    counts = _explained(edges, relations).group_by("relation").len()["len"]
    facts = int(counts.clip(upper_bound=settings.facts_per_relation).sum())
    return facts + facts // 2 * max(settings.longest - 1, 0)


def mining_work(edges: Edges, relations: Rows, settings: RuleSettings) -> float:
    """Estimate the number of rows that ``mine_rules`` joins, from the degrees of entities."""
    if not settings.longest:
        return 0.0
    facts = _explained(edges, relations).select(
        "relation", *(pl.len().over(end).alias(f"degree_{end}") for end in ("x", "y"))
    )
    samples = max(1, settings.samples // 3)
    of_two = pl.min_horizontal("degree_x", "degree_y", settings.samples)
    of_three = pl.min_horizontal("degree_x", samples) * pl.min_horizontal("degree_y", samples)
    of_constants = pl.min_horizontal("degree_x", settings.samples)
    # Each fact is an edge in both directions; paths are mined in one of them.
    work = of_constants + (of_two / 2 if settings.longest > 1 else 0)
    work = work + (of_three / 2 if settings.longest > 2 else 0)
    per_relation = facts.group_by("relation").agg(work=work.mean(), facts=pl.len())
    size = pl.col("facts").clip(upper_bound=settings.facts_per_relation)
    return float(per_relation.select((pl.col("work") * size).sum()).item() or 0.0)


def _explained(edges: Edges, relations: Rows) -> pl.DataFrame:
    """Return the edges along some relations, in both directions, without loops."""
    wanted = pl.Series(np.asarray(relations), dtype=pl.Int32).implode()
    return edges.frame.filter(
        (pl.col("relation") % edges.n_relations).is_in(wanted), pl.col("x") != pl.col("y")
    )
