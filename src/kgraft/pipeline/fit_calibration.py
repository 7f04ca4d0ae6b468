"""Fitting, on validation facts, what scores say about truth.

Shapes: B queries, C candidates of each, K of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit, logit
from torch import Tensor

from kgraft.graph.grouped_index import changes
from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.graph.known_facts import Ids, KnownFacts, Side, distinct_queries
from kgraft.linking.joint_graph import positions_of
from kgraft.model.calibration import RIVALS, Calibration, calibration_error, reliability, shares
from kgraft.model.ensemble import EnsembleScorer, ensemble_scores, evidence_probability
from kgraft.model.evidence import By
from kgraft.model.scorer import directed
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.fit_ensemble import FOLDS, SIDES, Apart, folds
from kgraft.system.threads import thread_map
from kgraft.training.validation import draw_samples

Floats = NDArray[np.float64]

Fit = Callable[[Floats, NDArray[np.bool_]], Calibration]
"""Makes a calibration from shares and truths of candidates, each ``(N,)``."""

AT_ONCE = 128
"""Queries whose candidates are all scored at once."""

SHOWN = 10
"""The best candidates of a query that the error is measured on: those that people look at."""

ERROR_METRIC = "validation_calibration_error_by"
"""The metric of a model that holds the expected calibration error of each way to answer."""


def fit_calibration(
    model: TrainedModel, target: KnowledgeGraph, apart: Apart | None = None
) -> TrainedModel:
    """Return a model that knows what its scores say about truth, for each way to answer.

    Isotonic regression and Platt scaling are fitted to some folds of the queries that validation
    facts answer; the one under which the other folds are likelier is fitted to all. Without
    validation facts the model stays as it is.

    Args:
        model: Trained for the target.
        target: The target.
        apart: Where the model has rules, what was fitted to other folds than each.
    """
    training = model.settings.training
    samples = draw_samples(
        model.graph, [target], queries=training.validation_queries, seed=training.seed
    )
    if not samples:
        return model
    judged: dict[By, list[_Judged]] = {}
    for by, part in _judge(model, target, samples[0].facts, apart):
        judged.setdefault(by, []).append(part)
    chosen = {by: _choose(_together(parts)) for by, parts in judged.items()}
    errors = {by: error for by, (_, error) in chosen.items()}
    return replace(
        model,
        metrics={**model.metrics, ERROR_METRIC: errors},
        calibration={by: calibration for by, (calibration, _) in chosen.items()},
    )


@dataclass(frozen=True, eq=False)
class _Judged:
    """The best candidates of queries, best first, and whether they are right.

    Args:
        shares: Their shares, -inf where there are fewer candidates than ``K``, ``(B, K)``.
        truth: Whether a validation fact says so, bool ``(B, K)``.
        fold: The fold of each query, ``(B,)``.
    """

    shares: Floats
    truth: NDArray[np.bool_]
    fold: Ids

    def of(self, queries: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
        """Return shares and truths of the candidates of some queries, each ``(N,)``."""
        shares, truth = self.shares[queries], self.truth[queries]
        there = np.isfinite(shares)
        return shares[there], truth[there]


def _together(parts: Sequence[_Judged]) -> _Judged:
    columns = zip(*((part.shares, part.truth, part.fold) for part in parts), strict=True)
    return _Judged(*(np.concatenate(column) for column in columns))


def _judge(
    model: TrainedModel, target: KnowledgeGraph, facts: Triples, apart: Apart | None
) -> list[tuple[By, _Judged]]:
    """Return the best candidates of the queries that facts answer, by each way, in blocks."""
    part = model.graph.part(target.name)
    stated, right = KnownFacts(part.joint(target.train)), KnownFacts(part.joint(target.valid))
    column = positions_of(part.entity_rows, model.graph.n_entities)
    fold = folds(model.graph.n_entities)
    ways = _Ways(model, torch.from_numpy(part.entity_rows), apart)

    def judge(block: tuple[Side, Ids]) -> list[tuple[By, _Judged]]:
        side, asked = block
        anchors, relations = asked.T.copy()
        left_out, answers = (
            (torch.from_numpy(query), torch.from_numpy(column[entity]))
            for query, entity in (x.answers(anchors, relations, side) for x in (stated, right))
        )
        judged = []
        for by, scores in ways.scores(anchors, relations, side, fold[anchors]).items():
            scores[left_out] = -torch.inf
            best = scores.topk(min(RIVALS, scores.shape[1]))
            truth = torch.zeros(scores.shape, dtype=torch.bool)
            truth[answers] = True
            found = _Judged(
                shares(best.values, scores, by).double().numpy(),
                truth.gather(1, best.indices).numpy(),
                fold[anchors],
            )
            judged.append((by, found))
        return judged

    blocks = [
        (side, block)
        for side in SIDES
        for asked in [distinct_queries(facts, side)]
        for block in np.array_split(asked, -(-len(asked) // AT_ONCE))
    ]
    with thread_map() as each:
        return [found for judged in each(judge, blocks) for found in judged]


class _Ways:
    """Scores candidates by each way that a model can answer.

    Args:
        model: The model.
        candidates: Entity rows, int64 ``(C,)``.
        apart: As ``fit_calibration`` takes it.
    """

    def __init__(self, model: TrainedModel, candidates: Tensor, apart: Apart | None) -> None:
        self._kge, self._candidates, self._apart = model.kge, candidates, apart
        self._scorer: EnsembleScorer | None = None
        if model.evidence is not None:
            evidence, target = model.ruled()
            witnesses = evidence.witnesses(model.graph, target)
            self._scorer = evidence.ensemble_scorer(model.kge, witnesses)

    def scores(self, anchors: Ids, relations: Ids, side: Side, fold: Ids) -> dict[By, Tensor]:
        """Return new scores ``(B, C)`` of queries, each of which is in a fold, ``(B,)``."""
        asked = torch.from_numpy(anchors), torch.from_numpy(relations)
        if self._scorer is None or self._apart is None:
            return {"vectors": self._kge.score(*asked, side=side, candidates=self._candidates)}
        features = self._scorer.features(*asked, side=side, candidates=self._candidates)
        own = torch.from_numpy(fold), directed(asked[1], side, self._kge.n_relations)
        return {
            "vectors": ensemble_scores(features, self._apart.vectors[own]),
            "rules": evidence_probability(features),
            "both": ensemble_scores(features, self._apart.both[own]),
        }


def _choose(judged: _Judged) -> tuple[Calibration, float]:
    """Return the better of the two forms, and its error on the folds that it was not fitted to."""
    probability = {fit: np.full(judged.shares.shape, np.nan) for fit in (isotonic, platt)}
    for number in range(FOLDS):
        held = judged.fold == number
        for fit, found in probability.items():
            calibration = fit(*judged.of(~held))
            found[held] = calibration.probability(torch.from_numpy(judged.shares[held])).numpy()
    there = np.isfinite(judged.shares)
    best = min(probability, key=lambda fit: _surprise(probability[fit][there], judged.truth[there]))
    shown = there[:, :SHOWN]
    rows = reliability(probability[best][:, :SHOWN][shown], judged.truth[:, :SHOWN][shown])
    return best(*judged.of(np.ones_like(judged.fold, dtype=np.bool_))), calibration_error(rows)


def _surprise(probability: Floats, truth: NDArray[np.bool_]) -> float:
    """Return the logarithmic loss."""
    return -float(np.log(np.where(truth, probability, 1 - probability)).sum())


def isotonic(shares_N: Floats, truth_N: NDArray[np.bool_]) -> Calibration:
    """Fit the likeliest curve that never falls (Zadrozny and Elkan, KDD 2002).

    The curve goes through the middle of each level, so that it rises from one to the next (Oron
    and Flournoy, "Centered isotonic regression", 2017).
    """
    # One wrong answer beyond the best and one right below the worst: nothing is beyond doubt.
    ends = [shares_N.max(initial=0.0), shares_N.min(initial=0.0)]
    places, which = np.unique(np.append(shares_N, ends), return_inverse=True)
    counts = np.bincount(which)
    means = np.bincount(which, np.append(truth_N, [False, True])) / counts
    levels = isotonic_regression(means, weights=counts).x
    begins = np.flatnonzero(changes(levels))
    middles = np.add.reduceat(places * counts, begins) / np.add.reduceat(counts, begins)
    odds = logit(levels[begins])
    return Calibration(tuple(zip(middles.tolist(), odds.tolist(), strict=True)))


def platt(shares_N: Floats, truth_N: NDArray[np.bool_]) -> Calibration:
    """Fit the likeliest log odds that are linear in the share (Platt, 1999)."""
    # As Platt does, the two answers stand a little away from 0 and 1.
    right = int(truth_N.sum())
    wrong = len(truth_N) - right
    goal = np.where(truth_N, (right + 1) / (right + 2), 1 / (wrong + 2))

    def loss(line: Floats) -> tuple[float, Floats]:
        odds = line[0] + line[1] * shares_N
        off = expit(odds) - goal
        return float((np.logaddexp(0, odds) - goal * odds).sum()), np.array(
            [off.sum(), off @ shares_N]
        )

    bounds = [(None, None), (0.0, None)]
    line = minimize(loss, [0.0, 1.0], jac=True, method="L-BFGS-B", bounds=bounds).x
    # No farther than there are answers: a line that few of them make steep would leave all doubt.
    ends = (shares_N.min(), shares_N.max()) if len(shares_N) else (0.0, 0.0)
    return Calibration(tuple((float(x), float(line[0] + line[1] * x)) for x in ends))
