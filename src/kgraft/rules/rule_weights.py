"""Rule weights, learned from held-out facts.

Rules are not independent: variants of a rule support the same answers, and a rule of low confidence
may discriminate between the answers of another. So every rule has a weight that is added to the log
odds of its answers (after Betz et al., "Supervised knowledge aggregation for knowledge graph
completion", ESWC 2022). The weights maximise the likelihood of facts held out of the graph, under
the softmax over all answers of the rules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.grouped_index import Ints, changes, spans
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.vocabulary import Rows
from kgraft.rules.edges import Edges, both_directions
from kgraft.rules.rule_answers import RuleApplier, by_answer, log_odds, noisy_or
from kgraft.rules.rules import Rules
from kgraft.system.threads import Map

MAX_FACTS = 5_000
"""The maximum number of held-out facts."""

MAX_FACTS_UPDATE = 2_500
"""The maximum number of held-out facts for rules that have weights already."""

FOLDS = 4
"""Folds of held-out facts; the others stay in the graph."""

BATCH_QUERIES = 250
"""Queries answered by rules at a time."""

EPOCHS, BATCH, RATE = 4, 256, 3.0
"""Passes over the queries, queries of a step, and step size; few passes regularise the weights."""


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
        rules: Rules mined on the whole graph, with initial weights.
        edges: The graph.
        facts: The target's facts, int64 ``(n, 3)``, of which some are held out.
        entities: The candidates, including both ends of the facts.
        seed: Seed of the choice of facts and their order.
        each: Maps over folds.
        advance: Receives the number of facts done; ``held_out_facts`` returns their total.
    """
    draw = np.random.default_rng(seed)
    start = rules.frame["weight"].to_numpy().astype(np.float64)
    chosen = draw.permutation(np.unique(facts, axis=0))[: held_out_facts(rules, len(facts))]
    folds = [held_out for held_out in np.array_split(chosen, FOLDS) if len(held_out)]
    parts = []
    ask = partial(_answer_held_out, rules, edges, entities)
    for held_out, found in zip(folds, each(ask, folds), strict=True):
        parts += found
        advance(len(held_out))
    if not parts:
        return rules.with_weights(start)
    columns = ([getattr(part, x.name) for part in parts] for x in fields(_LabelledAnswers))
    answers = _LabelledAnswers(*map(np.concatenate, columns))
    return rules.with_weights(_fit(answers, start, draw))


def held_out_facts(rules: Rules, n_facts: int) -> int:
    """Return the number of facts to hold out of ``n_facts``."""
    has_weights = (rules.frame["weight"] != 0).any()
    return min(n_facts, MAX_FACTS_UPDATE if has_weights else MAX_FACTS)


@dataclass(frozen=True, eq=False)
class _LabelledAnswers:
    """Labelled answers of rules to queries.

    Args:
        rule: Rules, by answer, ``(r,)``.
        rules: Number of rules of each answer, ``(a,)``.
        answers: Number of answers of each query, ``(q,)``.
        log_odds: Log odds of each answer by the confidence of its rules, float ``(a,)``.
        labels: True for answers that are held-out facts, bool ``(a,)``.
    """

    rule: NDArray[np.uint32]
    rules: Ints
    answers: Ints
    log_odds: NDArray[np.float64]
    labels: NDArray[np.bool_]


def _answer_held_out(
    rules: Rules, edges: Edges, candidates: Rows, held_out: Triples
) -> list[_LabelledAnswers]:
    """Answer the queries of held-out facts by rules on the rest of the graph, in batches."""
    facts = pl.DataFrame(held_out, schema=["x", "relation", "y"]).cast(pl.Int32)
    both = both_directions(facts, edges.n_relations)
    rest = edges.frame.join(both, on=both.columns, how="anti", maintain_order="left")
    applier = RuleApplier(rules, Edges(rest, edges.n_relations), candidates)
    queries = both.select("x", "relation").unique(maintain_order=True)
    key = ["x", "relation"]
    stated = rest.join(queries, on=key, how="semi").with_columns(right=False)
    known = pl.concat([both.with_columns(right=True), stated])
    return [
        _label(applier.answers(part), known.join(part, on=key, how="semi"))
        for part in queries.iter_slices(BATCH_QUERIES)
    ]


def _label(found: pl.DataFrame, known: pl.DataFrame) -> _LabelledAnswers:
    """Label answers by ``right`` facts; drop other known ones, and queries without a right one."""
    order, first = by_answer(found)
    rules = np.diff(first, append=len(order))
    answers = found[["x", "relation", "y"]][order[first]]
    joined = answers.join(known, on=answers.columns, how="left", maintain_order="left")["right"]
    right = joined.fill_null(value=False).to_numpy()
    asked = np.cumsum(changes(answers["x"].to_numpy(), answers["relation"].to_numpy())) - 1
    hits = np.bincount(asked, weights=right)
    labelled = (hits[asked] > 0) & (right | joined.is_null().to_numpy())
    row = order[np.repeat(labelled, rules)]
    of_row = found["confidence"].to_numpy()[row]
    rules = rules[labelled]
    return _LabelledAnswers(
        found["rule"].to_numpy()[row],
        rules,
        np.bincount(asked[labelled], minlength=len(hits))[hits > 0],
        log_odds(noisy_or(of_row, np.cumsum(rules) - rules)),
        right[labelled],
    )


def _fit(
    found: _LabelledAnswers, weights: NDArray[np.float64], draw: np.random.Generator
) -> NDArray[np.float64]:
    """Return weights ``(n_rules,)`` after some epochs of gradient descent."""
    weights = weights.copy()
    first_answer = np.cumsum(found.answers) - found.answers
    first_rule = np.cumsum(found.rules) - found.rules
    for _ in range(EPOCHS):
        order = draw.permutation(len(found.answers))
        for start in range(0, len(order), BATCH):
            query = order[start : start + BATCH]
            of_query, answer = spans(first_answer[query], found.answers[query])
            of_answer, row = spans(first_rule[answer], found.rules[answer])
            rule = found.rule[row]
            added = np.bincount(of_answer, weights=weights[rule], minlength=len(answer))
            right = found.labels[answer]
            slope = _softmax(found.log_odds[answer] + added, of_query)
            slope *= np.bincount(of_query, weights=right)[of_query]
            slope -= right
            step = np.bincount(rule, weights=slope[of_answer], minlength=len(weights))
            weights -= RATE / BATCH * step
    return weights


def _softmax(scores: NDArray[np.float64], query: Ints) -> NDArray[np.float64]:
    """Return the softmax of scores within each query; scores are sorted by query."""
    begins = np.flatnonzero(changes(query))
    exponentials = np.exp(scores - np.maximum.reduceat(scores, begins)[query])
    probabilities: NDArray[np.float64] = exponentials / np.add.reduceat(exponentials, begins)[query]
    return probabilities
