"""Mining the rules that explain a target's relations, on its linked subgraph."""

from __future__ import annotations

from math import inf
from time import monotonic

import numpy as np
import polars as pl

from kgraft.graph.vocabulary import Rows
from kgraft.rules.constant_rules import constant_rules
from kgraft.rules.edges import Edges, sampled
from kgraft.rules.path_rules import path_rules
from kgraft.rules.rules import Rules, together
from kgraft.settings import RuleSettings


def mine_rules(edges: Edges, relations: Rows, settings: RuleSettings, *, seed: int = 0) -> Rules:
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
        seed: Seeds what is sampled at hubs and of frequent relations.
    """
    wanted = pl.Series(np.asarray(relations), dtype=pl.Int32).implode()
    explained = edges.frame.filter(
        (pl.col("relation") % edges.n_relations).is_in(wanted), pl.col("x") != pl.col("y")
    )
    if explained.is_empty() or not settings.longest:
        return together([], edges.n_relations)
    limit = settings.facts_per_relation
    # In no order, so that where time runs out all relations have had their share of it.
    facts = sampled(explained, "relation", limit, seed)
    forward = facts.filter(pl.col("relation") < edges.n_relations)
    deadline = monotonic() + (settings.seconds or inf)
    parts = path_rules(edges, forward, settings, seed, deadline)
    parts += constant_rules(edges, facts, settings, seed, deadline)
    return together(parts, edges.n_relations)
