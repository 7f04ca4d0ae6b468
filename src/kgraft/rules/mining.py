"""Rule mining: the rules that explain a target's relations, on its linked subgraph."""

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
    the same rules, however many threads there are, unless ``seconds`` run out. Facts about an
    entity and itself are not explained: no path away from it answers them.

    Exact where nothing is sampled: a relation of up to ``facts_per_relation`` facts, between
    entities of up to ``samples`` edges (a third of it for paths of three relations). Beyond that
    ``support`` counts what the samples show, a lower bound, and hits are estimated from them
    without bias. Groundings are always counted in full.

    Args:
        edges: The graph; bodies may use all of it.
        relations: The relations to explain, int64 ``(k,)``, inverses not among them.
        settings: Lengths, samples, and what a rule needs to be kept.
        seed: Seed of what is sampled at hubs and of frequent relations.
        advance: Receives the number of facts done; ``mining_facts`` returns their total.
    """
    explained = _explained(edges, relations)
    if explained.is_empty() or not settings.longest:
        return rules_from([], edges.n_relations)
    deadline = monotonic() + (settings.seconds or inf)

    def until_deadline(parts: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        for part in parts:
            yield part
            advance(len(part))
            if monotonic() >= deadline:
                return

    # In random order, so that if time runs out all relations have had their share of it.
    facts = sample_per_group(explained, "relation", settings.facts_per_relation, seed)
    forward = facts.filter(pl.col("relation") < edges.n_relations)
    parts = path_rules(edges, forward, settings, seed, until_deadline)
    parts += constant_rules(edges, facts, settings, seed, until_deadline)
    return rules_from(parts, edges.n_relations)


def mining_facts(edges: Edges, relations: Rows, settings: RuleSettings) -> int:
    """Return how many facts ``mine_rules`` goes through, once for each kind of rule."""
    counts = _explained(edges, relations).group_by("relation").len()["len"]
    facts = int(counts.clip(upper_bound=settings.facts_per_relation).sum())
    return facts + facts // 2 * max(settings.longest - 1, 0)


def mining_work(edges: Edges, relations: Rows, settings: RuleSettings) -> float:
    """Return about how many rows ``mine_rules`` joins, from the degrees of entities alone."""
    if not settings.longest:
        return 0.0
    facts = _explained(edges, relations).select(
        "relation", *(pl.len().over(end).alias(f"degree_{end}") for end in ("x", "y"))
    )
    few = max(1, settings.samples // 3)
    of_two = pl.min_horizontal("degree_x", "degree_y", settings.samples)
    of_three = pl.col("degree_x").clip(upper_bound=few) * pl.col("degree_y").clip(upper_bound=few)
    of_constants = pl.col("degree_x").clip(upper_bound=settings.samples)
    # Each fact is an edge in both directions, and paths are mined from one of them.
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
