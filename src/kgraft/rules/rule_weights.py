"""Learning what rules are worth beside each other, from facts held out.

Rules overlap: three that say one thing in different words are one piece of evidence, and a rule of
little confidence may be what tells the right one of a surer rule's answers. So every rule has a
weight that adds to the log odds of its answers, learned where the answers are known (after Betz et
al., "Supervised knowledge aggregation for knowledge graph completion", ESWC 2022): some facts are
taken out of the graph and asked for, by the softmax over all that the rules then answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.grouped_index import Ints, changes, spans
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.vocabulary import Rows
from kgraft.rules.edges import Edges, inverse
from kgraft.rules.rule_answers import Answerer, by_answer, noisy_or, prior
from kgraft.rules.rules import Rules
from kgraft.system.threads import Map

MOST = 10_000
"""Facts that are asked for, at the most."""

MOST_AGAIN = 2_500
"""The same where rules have weights already."""

FOLDS = 4
"""Parts in which they are taken out of the graph, so that most facts are there to answer by."""

AT_ONCE = 250
"""Queries answered at once."""

EPOCHS, BATCH, RATE = 4, 256, 3.0
"""Passes over the queries, queries a step, and step size. Few passes keep weights near 0."""


def fit_rule_weights(
    rules: Rules,
    edges: Edges,
    facts: Triples,
    entities: Rows,
    *,
    seed: int = 0,
    each: Map = map,
) -> Rules:
    """Return rules with weights. The same seed gives the same weights.

    Args:
        rules: Mined on the whole graph; weights that they have are gone on from.
        edges: The graph.
        facts: The facts of it to ask for, int64 ``(n, 3)``, those of the target.
        entities: The candidates, which both ends of the facts are among.
        seed: Seeds which facts are asked for, and in what order.
        each: Asks for parts of the facts.
    """
    draw = np.random.default_rng(seed)
    start = rules.frame["weight"].to_numpy().astype(np.float64)
    most = MOST_AGAIN if start.any() else MOST
    chosen = draw.permutation(np.unique(facts, axis=0))[:most]
    folds = [held for held in np.array_split(chosen, FOLDS) if len(held)]
    parts = [
        part for asked in each(partial(_asked, rules, edges, entities), folds) for part in asked
    ]
    weights = _fitted(_together(parts), start, draw) if parts else start
    weight = pl.Series(weights, dtype=pl.Float32)
    return replace(rules, frame=rules.frame.with_columns(weight=weight))


@dataclass(frozen=True, eq=False)
class _Asked:
    """What rules answer to queries, of which some answers are right.

    Args:
        rule: The rules of the first answer, of the second, and so on.
        rules: How many rules each answer has, ``(a,)``.
        answers: How many answers each query has, ``(q,)``.
        prior: How likely each answer is by the confidence of its rules, float ``(a,)``.
        right: Whether a held-out fact gives the answer, bool ``(a,)``.
    """

    rule: NDArray[np.uint32]
    rules: Ints
    answers: Ints
    prior: NDArray[np.float64]
    right: NDArray[np.bool_]


def _together(parts: list[_Asked]) -> _Asked:
    return _Asked(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("rule", "rules", "answers", "prior", "right")
        )
    )


def _asked(rules: Rules, edges: Edges, candidates: Rows, held: Triples) -> list[_Asked]:
    """Ask for facts that are taken out of the graph, some queries at a time."""
    there = pl.DataFrame(held, schema=["x", "relation", "y"]).cast(pl.Int32)
    turned = inverse(pl.col("relation"), edges.n_relations)
    both = pl.concat([there, there.select(x="y", relation=turned, y="x")])
    rest = edges.frame.join(both, on=both.columns, how="anti", maintain_order="left")
    answerer = Answerer(rules, Edges(rest, edges.n_relations), candidates)
    queries = both.select("x", "relation").unique(maintain_order=True)
    key = ["x", "relation"]
    known = pl.concat(
        [
            both.with_columns(right=True),
            rest.join(queries, on=key, how="semi").with_columns(right=False),
        ]
    )
    return [
        _judged(answerer.answers(part), known.join(part, on=key, how="semi"))
        for part in queries.iter_slices(AT_ONCE)
    ]


def _judged(found: pl.DataFrame, known: pl.DataFrame) -> _Asked:
    """Tell right answers from wrong ones, and leave out the queries without a right one.

    Args:
        found: What rules answer, with the columns of ``kgraft.rules.rule_answers.SCHEMA``.
        known: Facts that answer the queries, and whether each is a ``right`` answer, one that has
            been taken out of the graph; the others are no answers.
    """
    order, first = by_answer(found)
    rules = np.diff(first, append=len(order))
    answers = found[["x", "relation", "y"]][order[first]]
    said = answers.join(known, on=answers.columns, how="left", maintain_order="left")["right"]
    right = said.fill_null(value=False).to_numpy()
    asked = np.cumsum(changes(answers["x"].to_numpy(), answers["relation"].to_numpy())) - 1
    hits = np.bincount(asked, weights=right)
    kept = (hits[asked] > 0) & (right | said.is_null().to_numpy())
    row = order[np.repeat(kept, rules)]
    of_row = found["confidence"].to_numpy()[row]
    rules = rules[kept]
    return _Asked(
        found["rule"].to_numpy()[row],
        rules,
        np.bincount(asked[kept], minlength=len(hits))[hits > 0],
        prior(noisy_or(of_row, np.cumsum(rules) - rules)),
        right[kept],
    )


def _fitted(
    asked: _Asked, weights: NDArray[np.float64], draw: np.random.Generator
) -> NDArray[np.float64]:
    """Go on from the rules' weights, ``(n_rules,)``, to where right answers are likelier."""
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
            right = asked.right[answer]
            slope = _chances(asked.prior[answer] + added, of_query)
            slope *= np.bincount(of_query, weights=right)[of_query]
            slope -= right
            step = np.bincount(rule, weights=slope[of_answer], minlength=len(weights))
            weights -= RATE / BATCH * step
    return weights


def _chances(scores: NDArray[np.float64], query: Ints) -> NDArray[np.float64]:
    """Return the softmax of scores among those of the same query, which stand together."""
    begins = np.flatnonzero(changes(query))
    raised = np.exp(scores - np.maximum.reduceat(scores, begins)[query])
    shares: NDArray[np.float64] = raised / np.add.reduceat(raised, begins)[query]
    return shares
