"""Rule weights, learned from held-out facts.

Rules overlap: three variants of one rule are one piece of evidence, and a rule of low confidence
may tell apart the answers of a surer one. So every rule has a weight that adds to the log odds of
its answers (after Betz et al., "Supervised knowledge aggregation for knowledge graph completion",
ESWC 2022): some facts are held out of the graph, and the weights maximise the likelihood of these
facts under the softmax over all answers of the rules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.grouped_index import Ints, changes, spans
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.vocabulary import Rows
from kgraft.rules.edges import Edges, inverse
from kgraft.rules.rule_answers import RuleApplier, by_answer, log_odds, noisy_or
from kgraft.rules.rules import Rules
from kgraft.system.threads import Map

MAX_FACTS = 10_000
"""The most facts that are held out."""

MAX_FACTS_UPDATE = 2_500
"""The same for rules that have weights already."""

FOLDS = 4
"""Parts in which they are held out, so that most facts are there to answer by."""

BATCH_QUERIES = 250
"""Queries answered at once."""

EPOCHS, BATCH, RATE = 4, 256, 3.0
"""Passes over the queries, queries a step, and step size; few passes regularise the weights."""


def fit_rule_weights(
    rules: Rules,
    edges: Edges,
    facts: Triples,
    entities: Rows,
    *,
    seed: int = 0,
    each: Map = map,
    advance: Callable[[int], None] = lambda _: None,
) -> Rules:
    """Return rules with weights, a pure function of the seed.

    Args:
        rules: Mined on the whole graph; weights that they have are the initial ones.
        edges: The graph.
        facts: Its facts to learn from, int64 ``(n, 3)``, those of the target.
        entities: The candidates, which both ends of the facts are among.
        seed: Seed of the choice of facts and their order.
        each: Maps over parts of the facts.
        advance: Receives the number of facts done; ``held_out_facts`` returns their total.
    """
    draw = np.random.default_rng(seed)
    start = rules.frame["weight"].to_numpy().astype(np.float64)
    chosen = draw.permutation(np.unique(facts, axis=0))[: held_out_facts(rules, len(facts))]
    folds = [held_out for held_out in np.array_split(chosen, FOLDS) if len(held_out)]
    parts = []
    ask = partial(_ask, rules, edges, entities)
    for held_out, found in zip(folds, each(ask, folds), strict=True):
        parts += found
        advance(len(held_out))
    return rules.with_weights(_fit(_concatenated(parts), start, draw) if parts else start)


def held_out_facts(rules: Rules, n_facts: int) -> int:
    """Return how many of so many facts are held out, at the most."""
    has_weights = (rules.frame["weight"] != 0).any()
    return min(n_facts, MAX_FACTS_UPDATE if has_weights else MAX_FACTS)


@dataclass(frozen=True, eq=False)
class _Answered:
    """Answers of rules to queries, labelled.

    Args:
        rule: The rules of the first answer, of the second, and so on.
        rules: Number of rules of each answer, ``(a,)``.
        answers: Number of answers of each query, ``(q,)``.
        log_odds: Of each answer by the confidence of its rules, float ``(a,)``.
        labels: Whether a held-out fact gives the answer, bool ``(a,)``.
    """

    rule: NDArray[np.uint32]
    rules: Ints
    answers: Ints
    log_odds: NDArray[np.float64]
    labels: NDArray[np.bool_]


def _concatenated(parts: list[_Answered]) -> _Answered:
    return _Answered(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("rule", "rules", "answers", "log_odds", "labels")
        )
    )


def _ask(rules: Rules, edges: Edges, candidates: Rows, held_out: Triples) -> list[_Answered]:
    """Answer the queries of held-out facts by the rest of the graph, some at a time."""
    there = pl.DataFrame(held_out, schema=["x", "relation", "y"]).cast(pl.Int32)
    turned = inverse(pl.col("relation"), edges.n_relations)
    both = pl.concat([there, there.select(x="y", relation=turned, y="x")])
    rest = edges.frame.join(both, on=both.columns, how="anti", maintain_order="left")
    applier = RuleApplier(rules, Edges(rest, edges.n_relations), candidates)
    queries = both.select("x", "relation").unique(maintain_order=True)
    key = ["x", "relation"]
    known = pl.concat(
        [
            both.with_columns(right=True),
            rest.join(queries, on=key, how="semi").with_columns(right=False),
        ]
    )
    return [
        _labelled(applier.answers(part), known.join(part, on=key, how="semi"))
        for part in queries.iter_slices(BATCH_QUERIES)
    ]


def _labelled(found: pl.DataFrame, known: pl.DataFrame) -> _Answered:
    """Label the answers, and leave out queries without a right one.

    Args:
        found: Answers of rules, rows of ``kgraft.rules.rule_answers.SCHEMA``.
        known: Facts that answer the queries; held-out ones are ``right``, others are left out.
    """
    order, first = by_answer(found)
    rules = np.diff(first, append=len(order))
    answers = found[["x", "relation", "y"]][order[first]]
    joined = answers.join(known, on=answers.columns, how="left", maintain_order="left")["right"]
    right = joined.fill_null(value=False).to_numpy()
    asked = np.cumsum(changes(answers["x"].to_numpy(), answers["relation"].to_numpy())) - 1
    hits = np.bincount(asked, weights=right)
    kept = (hits[asked] > 0) & (right | joined.is_null().to_numpy())
    row = order[np.repeat(kept, rules)]
    of_row = found["confidence"].to_numpy()[row]
    rules = rules[kept]
    return _Answered(
        found["rule"].to_numpy()[row],
        rules,
        np.bincount(asked[kept], minlength=len(hits))[hits > 0],
        log_odds(noisy_or(of_row, np.cumsum(rules) - rules)),
        right[kept],
    )


def _fit(
    asked: _Answered, weights: NDArray[np.float64], draw: np.random.Generator
) -> NDArray[np.float64]:
    """Return the rules' weights, ``(n_rules,)``, after some steps of gradient descent."""
    weights = weights.copy()
    first_answer = np.cumsum(asked.answers) - asked.answers
    first_rule = np.cumsum(asked.rules) - asked.rules
    for _ in range(EPOCHS):
        order = draw.permutation(len(asked.answers))
        for start in range(0, len(order), BATCH):
            query = order[start : start + BATCH]
            of_query, answer = spans(first_answer[query], asked.answers[query])
            of_answer, row = spans(first_rule[answer], asked.rules[answer])
            rule = asked.rule[row]
            added = np.bincount(of_answer, weights=weights[rule], minlength=len(answer))
            right = asked.labels[answer]
            slope = _softmax(asked.log_odds[answer] + added, of_query)
            slope *= np.bincount(of_query, weights=right)[of_query]
            slope -= right
            step = np.bincount(rule, weights=slope[of_answer], minlength=len(weights))
            weights -= RATE / BATCH * step
    return weights


def _softmax(scores: NDArray[np.float64], query: Ints) -> NDArray[np.float64]:
    """Return the softmax of scores within each query, whose scores are adjacent."""
    begins = np.flatnonzero(changes(query))
    raised = np.exp(scores - np.maximum.reduceat(scores, begins)[query])
    shares: NDArray[np.float64] = raised / np.add.reduceat(raised, begins)[query]
    return shares
