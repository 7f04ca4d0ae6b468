"""Fitting of the probability of facts to held-out facts, over all queries of the target.

Shapes: N candidates, F features, m relations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from kgraft.errors import SettingsError
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import Ids, KnownFacts, Side
from kgraft.linking.completeness import SHARES, STRENGTH, Completeness, SplitSizes
from kgraft.linking.joint_graph import JointSource
from kgraft.model.fact_probability import (
    CLIP,
    DEGREES,
    LIKELY,
    FactProbability,
    LabelCheck,
    along_curve,
)
from kgraft.model.fact_scores import BY_ONE, BY_SEVERAL, Described, FactScorer
from kgraft.pipeline.candidate_lists import AT_ONCE, FOLDS, folds
from kgraft.pipeline.fit_ensemble import HeldOutWeights
from kgraft.pipeline.positive_unlabelled import Likelihood, fit_curve, fit_odds
from kgraft.system.memory import giving_back
from kgraft.system.threads import thread_map

Floats = NDArray[np.float64]

MAX_QUERIES = 3_000
"""Queries with a validation answer that are taken, and as many of the others."""

CANDIDATES = 50
"""The best candidates of a query, which a proposal is among."""

ALL_TAKEN, ONE_OF = 3, 10
"""The best candidates that are all taken; of the others one in so many, for as many."""

STATED = 0.1
"""Weight of a statement by another source, true with the sources' accuracy, against a label."""

MIN_LABELS = 20
"""Validation answers among the candidates from which on there is a curve."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Candidates of queries, labelled by validation facts.

    Args:
        facts: The candidates.
        labels: Whether a validation fact states the candidate, bool ``(N,)``.
        false: Whether the target knows it to be false, bool ``(N,)``.
        weights: Number of candidates that each one stands for, ``(N,)``.
        fold: Fold of the query, ``(N,)``.
    """

    facts: Described
    labels: NDArray[np.bool_]
    false: NDArray[np.bool_]
    weights: Floats
    fold: Ids


def draw_examples(
    scorer: FactScorer,
    queries: dict[Side, Triples],
    valid: Triples,
    known_false: Triples,
    held_out: HeldOutWeights | None,
    *,
    seed: int,
    advance: Callable[[int], None] = lambda _: None,
) -> Examples | None:
    """Score a sample of queries, and draw examples from their best candidates, if there are any.

    Args:
        scorer: Scores candidates.
        queries: The queries of each side, relation and entity.
        valid: Validation facts, ``(n, 3)``.
        known_false: Facts that the target knows to be false, ``(n, 3)``.
        held_out: Weights of the ensemble that were not fitted to a query; by default its own.
        seed: Seed of the draws.
        advance: Receives the number of queries done.
    """
    labels, false_facts = KnownFacts(valid), KnownFacts(known_false)
    fold_of = folds(scorer.scorer.n_entities)
    draw = np.random.default_rng(seed)
    blocks = list(_blocks(queries, labels, draw))

    def describe(block: tuple[Side, Triples, Floats, int]) -> Examples:
        side, asked, stands_for, number = block
        relations, anchors = asked.T.copy()
        fold = fold_of[anchors]
        along = relations + (scorer.scorer.n_relations if side == "head" else 0)
        weights = None if held_out is None else held_out.both[fold, along]
        scored = scorer.score(anchors, relations, side, weights)
        best = scored.unknown.topk(min(CANDIDATES, scored.unknown.shape[1]))
        query, rank = np.nonzero(np.isfinite(best.values.numpy()))
        column = best.indices.numpy()[query, rank]
        facts = np.stack([anchors[query], relations[query], scorer.candidates[column]], axis=1)
        if side == "head":
            facts = facts[:, [2, 1, 0]]
        is_true, is_false = labels.contains(facts), false_facts.contains(facts)
        stated = scored.features.stated.numpy()[query, column] > 0
        certain = (rank < ALL_TAKEN) | is_true | is_false | stated
        own_draw = np.random.default_rng([seed, number])
        taken = certain | (own_draw.random(len(query)) < 1 / ONE_OF)
        weight = stands_for[query] * np.where(certain, 1, ONE_OF)
        query, column = query[taken], column[taken]
        described = scorer.describe(scored, query, column)
        labelled = is_true[taken], is_false[taken]
        return Examples(described, *labelled, weight[taken], fold[query])

    parts = []
    with thread_map() as each:
        for block, part in zip(blocks, giving_back(each(describe, blocks)), strict=True):
            parts.append(part)
            advance(len(block[1]))
    if not sum(len(part.labels) for part in parts):
        return None
    described = zip(*(part.facts for part in parts), strict=True)
    return Examples(
        Described(*(np.concatenate(column) for column in described)),
        *(
            np.concatenate([getattr(x, name) for x in parts])
            for name in ("labels", "false", "weights", "fold")
        ),
    )


def _blocks(
    queries: dict[Side, Triples], labels: KnownFacts, draw: np.random.Generator
) -> Iterator[tuple[Side, Triples, Floats, int]]:
    """Yield drawn queries in blocks, each query with the number of queries that it stands for."""
    pools: list[list[tuple[Side, Triples]]] = [[], []]
    for side, pairs in queries.items():
        answered = np.zeros(len(pairs), dtype=np.bool_)
        answered[labels.answers(pairs[:, 1], pairs[:, 0], side)[0]] = True
        pools[0].append((side, pairs[answered]))
        pools[1].append((side, pairs[~answered]))
    number = 0
    for pool in pools:
        total = sum(len(pairs) for _, pairs in pool)
        share = min(1.0, MAX_QUERIES / max(total, 1))
        for side, pairs in pool:
            size = round(share * len(pairs))
            chosen = pairs[np.sort(draw.permutation(len(pairs))[:size])]
            for block in np.array_split(chosen, -(-size // AT_ONCE)) if size else []:
                yield side, block, np.full(len(block), len(pairs) / size), number
                number += 1


def given_completeness(part: JointSource, given: Mapping[str, float]) -> dict[int, float]:
    """Return the completeness that the user has given, by the graph's rows of relations.

    Args:
        part: The target.
        given: Shares by relation; ``*`` for all others.

    Raises:
        SettingsError: If the target has no such relation.
    """
    unknown = [name for name in given if name not in part.relations and name != "*"]
    if unknown:
        raise SettingsError(
            f"facts.completeness: the target has no relation {unknown[0]!r}; its relations are "
            f"such as {part.relations.name(0)!r}"
        )
    rows = dict.fromkeys(part.relation_rows.tolist(), given["*"]) if "*" in given else {}
    own = {name: share for name, share in given.items() if name != "*"}
    return rows | {int(part.relation_rows[part.relations.row(x)]): own[x] for x in own}


def n_drawn(queries: dict[Side, Triples]) -> int:
    """Return an upper bound of the number of queries that are drawn."""
    return min(sum(map(len, queries.values())), 2 * MAX_QUERIES)


def fit_fact_probability(
    examples: Examples,
    completeness: Completeness,
    sizes: SplitSizes,
    asks_heads: NDArray[np.bool_],
    validation_share: Floats,
) -> FactProbability:
    """Fit the probability of facts to examples.

    The curve is fitted to odds from regressions that were fitted to other queries, and they are
    checked by the number of labels among the likely candidates.

    Args:
        examples: Labelled candidates.
        completeness: Of the target.
        sizes: Numbers of the target's facts.
        asks_heads: The relations whose facts are judged as answers to a query for heads.
        validation_share: Share of validation facts by degree.
    """
    weights = examples.weights
    mean = np.average(examples.facts.features, axis=0, weights=weights)
    std = np.sqrt(np.average((examples.facts.features - mean) ** 2, axis=0, weights=weights))
    unfitted = FactProbability(
        mean.astype(np.float64),
        np.where(std > 0, std, 1.0).astype(np.float64),
        np.zeros(0),
        np.zeros(0),
        ((-CLIP, -CLIP), (CLIP, CLIP)),
        asks_heads,
        completeness,
        sizes,
        validation_share,
    )
    rows = unfitted.standardised(examples.facts.features)
    rows = np.column_stack([np.ones(len(rows)), rows])
    likelihood, relations = likelihood_of(examples, unfitted), examples.facts.relations
    m = len(asks_heads)
    coefficients, of_relation = fit_odds(rows, relations, likelihood, m)
    curve, checks = unfitted.curve, tuple[LabelCheck, ...]()
    if examples.labels.sum() >= MIN_LABELS:
        odds = np.empty(len(rows))
        for number in range(FOLDS):
            own = examples.fold == number
            other = rows[~own], relations[~own], likelihood.where(~own)
            slopes, added = fit_odds(*other, m)
            odds[own] = rows[own] @ slopes + added[relations[own]]
        curve = fit_curve(odds, likelihood)
        true = expit(along_curve(odds, curve))
        checks = tuple(_checked(examples, likelihood.rate, true))
    return replace(
        unfitted, coefficients=coefficients, of_relation=of_relation, curve=curve, checks=checks
    )


def _checked(examples: Examples, rate: Floats, true: Floats) -> Iterator[LabelCheck]:
    """Yield the labels expected and found among likely candidates, by what other sources say."""
    weights = examples.weights
    for kind, name in enumerate(SHARES):
        chosen = (examples.facts.kinds == kind) & (true >= LIKELY) & ~examples.false
        yield LabelCheck(
            name,
            candidates=round(float(weights[chosen].sum())),
            true=float((weights * true)[chosen].sum()),
            expected=float((weights * rate * true)[chosen].sum()),
            found=float(weights[chosen & examples.labels].sum()),
        )


def validation_share_by_degree(train: Triples, valid: Triples, n_test: int, degree: Ids) -> Floats:
    """Return the share of validation facts among all, by the degree of the rarer entity.

    Args:
        train: Training facts, ``(n, 3)``.
        valid: Validation facts.
        n_test: Number of test facts, which are taken to be drawn as validation facts are.
        degree: Number of training facts about each entity.
    """
    counts = []
    for facts, itself in ((train, 1), (valid, 0)):
        seen = degree[facts[:, [0, 2]]].min(axis=1, initial=np.iinfo(np.int64).max) - itself
        bins = np.searchsorted(DEGREES, seen, side="right")
        counts.append(np.bincount(bins, minlength=len(DEGREES) + 1))
    common = len(valid) / max(len(train) + len(valid), 1)
    share = (counts[1] + STRENGTH * common) / (counts[0] + counts[1] + STRENGTH)
    of_all: Floats = share / (1 + share * n_test / max(len(valid), 1))
    return of_all


def likelihood_of(examples: Examples, fact_probability: FactProbability) -> Likelihood:
    """Return the likelihood of the labels of examples, by the rates of a probability."""
    # What is known to be false is not true, rather than not labelled.
    rate = np.where(examples.false, 1.0, fact_probability.label_rate(examples.facts))
    stated = STATED * np.isin(examples.facts.kinds, (BY_ONE, BY_SEVERAL))
    accuracy = fact_probability.completeness.accuracy
    return Likelihood(examples.labels, rate, examples.weights, stated * examples.weights, accuracy)
