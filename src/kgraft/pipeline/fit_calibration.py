"""Fitting of the calibration: from scores to probabilities, on validation facts.

Shapes: B queries, C candidates of each, K of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit, logit

from kgraft.graph.grouped_index import changes
from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.graph.known_facts import Ids, KnownFacts, Side, distinct_queries
from kgraft.linking.joint_graph import JointGraph, positions_of
from kgraft.model.calibration import (
    TOP_CANDIDATES,
    Calibration,
    calibration_error,
    log_shares,
    reliability_bins,
)
from kgraft.model.ensemble import EnsembleScorer, ensemble_scores, evidence_probability
from kgraft.model.evidence import By
from kgraft.model.kge import KgeModel
from kgraft.model.scorer import directed
from kgraft.pipeline.fit_ensemble import FOLDS, SIDES, HeldOutWeights, folds
from kgraft.system.threads import thread_map

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

ScoreWays = Callable[[Ids, Ids, Side, Ids], dict[By, torch.Tensor]]
"""Returns new scores ``(B, C)`` of queries (anchors, relations, side, fold) by each way."""

AT_ONCE = 128
"""Queries whose candidates are scored at once."""

SHOWN = 10
"""The best candidates of a query that the error is measured on: those that people look at."""

ERROR_METRIC = "validation_calibration_error_by"
"""The metric of a model that holds the expected calibration error of each way to answer."""


@dataclass(frozen=True)
class FittedCalibration:
    """The result of calibration.

    Args:
        calibration: The curve of each way to answer; empty without validation facts.
        errors: Expected calibration error of each, on queries not fitted to.
    """

    calibration: Mapping[By, Calibration]
    errors: Mapping[By, float]


def fit_calibration(
    graph: JointGraph,
    target: KnowledgeGraph,
    facts: Triples,
    score: ScoreWays,
    *,
    advance: Callable[[int], None] = lambda _: None,
) -> FittedCalibration:
    """Fit what the scores of each way to answer say about truth.

    Isotonic regression and Platt scaling are fitted to some folds of the queries that the facts
    answer; the one under which the other folds are likelier is fitted to all.

    Args:
        graph: The model's facts and id space.
        target: The graph that the model is for.
        facts: Validation facts in the model's rows, int64 ``(n, 3)``.
        score: Scores the target's entities by each way.
        advance: Receives the number of queries done.
    """
    parts: dict[By, list[_LabelledShares]] = {}
    for by, part in _labelled_shares(graph, target, facts, score, advance):
        parts.setdefault(by, []).append(part)
    chosen = {by: _choose(_concatenated(found)) for by, found in parts.items()}
    return FittedCalibration(
        {by: calibration for by, (calibration, _) in chosen.items()},
        {by: error for by, (_, error) in chosen.items()},
    )


def score_by_vectors(kge: KgeModel, candidates: Ids) -> ScoreWays:
    """Return the scores of a model without rules."""
    rows = torch.from_numpy(candidates)

    def score(anchors: Ids, relations: Ids, side: Side, _fold: Ids) -> dict[By, torch.Tensor]:
        asked = torch.from_numpy(anchors), torch.from_numpy(relations)
        return {"vectors": kge.score(*asked, side=side, candidates=rows)}

    return score


def score_by_all_ways(
    scorer: EnsembleScorer, held_out: HeldOutWeights, candidates: Ids
) -> ScoreWays:
    """Return the scores of a model with rules, with weights that were not fitted to the query."""
    rows = torch.from_numpy(candidates)

    def score(anchors: Ids, relations: Ids, side: Side, fold: Ids) -> dict[By, torch.Tensor]:
        asked = torch.from_numpy(anchors), torch.from_numpy(relations)
        features = scorer.features(*asked, side=side, candidates=rows)
        own = torch.from_numpy(fold), directed(asked[1], side, scorer.n_relations)
        return {
            "vectors": ensemble_scores(features, held_out.vectors[own]),
            "rules": evidence_probability(features),
            "both": ensemble_scores(features, held_out.both[own]),
        }

    return score


@dataclass(frozen=True, eq=False)
class _LabelledShares:
    """The best candidates of queries, best first, with labels.

    Args:
        shares: Their shares, -inf if there are fewer candidates than ``K``, ``(B, K)``.
        labels: Whether a validation fact states them, bool ``(B, K)``.
        fold: The fold of each query, ``(B,)``.
    """

    shares: Floats
    labels: Bools
    fold: Ids

    def of(self, queries: Bools) -> tuple[Floats, Bools]:
        """Return shares and labels of the candidates of some queries, each ``(N,)``."""
        chosen, labels = self.shares[queries], self.labels[queries]
        there = np.isfinite(chosen)
        return chosen[there], labels[there]


def _concatenated(parts: Sequence[_LabelledShares]) -> _LabelledShares:
    columns = zip(*((part.shares, part.labels, part.fold) for part in parts), strict=True)
    return _LabelledShares(*(np.concatenate(column) for column in columns))


def _labelled_shares(
    graph: JointGraph,
    target: KnowledgeGraph,
    facts: Triples,
    score: ScoreWays,
    advance: Callable[[int], None],
) -> list[tuple[By, _LabelledShares]]:
    """Return the best candidates of the queries that facts answer, by each way, in blocks."""
    part = graph.part(target.name)
    stated, right = KnownFacts(part.joint(target.train)), KnownFacts(part.joint(target.valid))
    column = positions_of(part.entity_rows, graph.n_entities)
    fold = folds(graph.n_entities)

    def label(block: tuple[Side, Ids]) -> list[tuple[By, _LabelledShares]]:
        side, asked = block
        anchors, relations = asked.T.copy()
        left_out, answers = (
            (torch.from_numpy(query), torch.from_numpy(column[entity]))
            for query, entity in (x.answers(anchors, relations, side) for x in (stated, right))
        )
        found = []
        for by, scores in score(anchors, relations, side, fold[anchors]).items():
            scores[left_out] = -torch.inf
            best = scores.topk(min(TOP_CANDIDATES, scores.shape[1]))
            labels = torch.zeros(scores.shape, dtype=torch.bool)
            labels[answers] = True
            own = _LabelledShares(
                log_shares(best.values, scores, by).double().numpy(),
                labels.gather(1, best.indices).numpy(),
                fold[anchors],
            )
            found.append((by, own))
        return found

    blocks = [
        (side, block)
        for side in SIDES
        for asked in [distinct_queries(facts, side)]
        for block in np.array_split(asked, -(-len(asked) // AT_ONCE))
    ]
    parts = []
    with thread_map() as each:
        for (_, asked), found in zip(blocks, each(label, blocks), strict=True):
            parts += found
            advance(len(asked))
    return parts


def _choose(labelled: _LabelledShares) -> tuple[Calibration, float]:
    """Return the better of the two forms, and its error on the folds that it was not fitted to."""
    probability = {fit: np.full(labelled.shares.shape, np.nan) for fit in (isotonic, platt)}
    for number in range(FOLDS):
        held_out = labelled.fold == number
        for fit, found in probability.items():
            calibration = fit(*labelled.of(~held_out))
            own = torch.from_numpy(labelled.shares[held_out])
            found[held_out] = calibration.probability(own).numpy()
    there = np.isfinite(labelled.shares)
    best = min(
        probability, key=lambda fit: _log_loss(probability[fit][there], labelled.labels[there])
    )
    shown = there[:, :SHOWN]
    rows = reliability_bins(probability[best][:, :SHOWN][shown], labelled.labels[:, :SHOWN][shown])
    return best(*labelled.of(np.ones_like(labelled.fold, dtype=np.bool_))), calibration_error(rows)


def _log_loss(probability: Floats, labels: Bools) -> float:
    return -float(np.log(np.where(labels, probability, 1 - probability)).sum())


def isotonic(shares_N: Floats, labels_N: Bools) -> Calibration:
    """Fit the likeliest curve that never falls (Zadrozny and Elkan, KDD 2002).

    The curve goes through the middle of each level, so that it rises from one to the next (Oron
    and Flournoy, "Centered isotonic regression", 2017).
    """
    # One wrong answer beyond the best and one right below the worst: no probability is 0 or 1.
    ends = [shares_N.max(initial=0.0), shares_N.min(initial=0.0)]
    places, which = np.unique(np.append(shares_N, ends), return_inverse=True)
    counts = np.bincount(which)
    means = np.bincount(which, np.append(labels_N, [False, True])) / counts
    levels = isotonic_regression(means, weights=counts).x
    begins = np.flatnonzero(changes(levels))
    middles = np.add.reduceat(places * counts, begins) / np.add.reduceat(counts, begins)
    odds = logit(levels[begins])
    return Calibration(tuple(zip(middles.tolist(), odds.tolist(), strict=True)))


def platt(shares_N: Floats, labels_N: Bools) -> Calibration:
    """Fit the likeliest log odds that are linear in the share (Platt, 1999)."""
    # As Platt does, with labels a little away from 0 and 1.
    right = int(labels_N.sum())
    wrong = len(labels_N) - right
    goal = np.where(labels_N, (right + 1) / (right + 2), 1 / (wrong + 2))

    def loss(line: Floats) -> tuple[float, Floats]:
        odds = line[0] + line[1] * shares_N
        off = expit(odds) - goal
        return float((np.logaddexp(0, odds) - goal * odds).sum()), np.array(
            [off.sum(), off @ shares_N]
        )

    bounds = [(None, None), (0.0, None)]
    line = minimize(loss, [0.0, 1.0], jac=True, method="L-BFGS-B", bounds=bounds).x
    # Level beyond the shares seen: a line made steep by few answers would end at 0 and 1.
    ends = (shares_N.min(), shares_N.max()) if len(shares_N) else (0.0, 0.0)
    return Calibration(tuple((float(x), float(line[0] + line[1] * x)) for x in ends))
