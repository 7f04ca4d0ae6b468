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
from torch import Tensor

from kgraft.graph.grouped_index import changes
from kgraft.graph.known_facts import Ids, KnownFacts, Side, distinct_queries
from kgraft.linking.joint_graph import positions_of
from kgraft.model.calibration import (
    TOP_CANDIDATES,
    Calibration,
    calibration_error,
    log_shares,
    reliability_bins,
)
from kgraft.model.ensemble import Features, ensemble_scores, evidence_probability
from kgraft.model.evidence import WAYS, By
from kgraft.model.kge import KgeModel
from kgraft.pipeline.candidate_lists import (
    AT_ONCE,
    FOLDS,
    SIDES,
    LabelledLists,
    false_queries,
    folds,
)
from kgraft.pipeline.fit_ensemble import HeldOutWeights
from kgraft.system.threads import thread_map
from kgraft.training.validation import ValidationSample

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

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


@dataclass(frozen=True, eq=False)
class LabelledShares:
    """The best candidates of queries, best first, with labels.

    Args:
        shares: Their shares, -inf if there are fewer candidates than ``K``, or where the label does
            not count, ``(B, K)``.
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


def fit_calibration(shares: Mapping[By, LabelledShares]) -> FittedCalibration:
    """Fit what the scores of each way to answer say about truth.

    Isotonic regression and Platt scaling are fitted to some folds of the queries; the one under
    which the other folds are likelier is fitted to all.

    Args:
        shares: The best candidates of validation queries, by each way.
    """
    chosen = {by: _choose(labelled) for by, labelled in shares.items()}
    return FittedCalibration(
        {by: calibration for by, (calibration, _) in chosen.items()},
        {by: error for by, (_, error) in chosen.items()},
    )


def shares_by_all_ways(
    lists: LabelledLists, held_out: HeldOutWeights, n_entities: int
) -> dict[By, LabelledShares]:
    """Return the shares of scored candidates, by weights that were not fitted to the query."""
    parts: dict[By, list[LabelledShares]] = {by: [] for by in WAYS}
    fold = folds(n_entities)[lists.anchor.numpy()]
    for block in torch.split(torch.arange(len(fold)), AT_ONCE):
        features = Features(*(x[block] for x in lists.features))
        own = torch.from_numpy(fold[block.numpy()]), lists.relation[block]
        scores: dict[By, Tensor] = {
            "vectors": ensemble_scores(features, held_out.vectors[own]),
            "rules": evidence_probability(features),
            "both": ensemble_scores(features, held_out.both[own]),
        }
        for by, found in scores.items():
            found.masked_fill_(~lists.usable[block], -torch.inf)
            labelled = lists.labels[block], lists.judged[block]
            parts[by].append(_labelled(found, *labelled, fold[block.numpy()], by))
    return {by: _concatenated(found) for by, found in parts.items()}


def shares_by_vectors(
    kge: KgeModel, sample: ValidationSample, advance: Callable[[int], None] = lambda _: None
) -> dict[By, LabelledShares]:
    """Return the shares of the target's entities by vectors, for the queries of a sample."""
    candidates = torch.from_numpy(sample.candidates)
    column = positions_of(sample.candidates, kge.n_entities)
    fold = folds(kge.n_entities)

    false = KnownFacts(sample.known_false)

    def label(block: tuple[Side, Ids, bool]) -> LabelledShares:
        side, asked, is_validation = block
        anchors, relations = asked.T.copy()
        rows = torch.from_numpy(anchors), torch.from_numpy(relations)
        scores = kge.score(*rows, side=side, candidates=candidates)
        labels = torch.zeros(scores.shape, dtype=torch.bool)
        for index, state in ((sample.known, True), (sample.stated, False)):
            query, entity = index.answers(anchors, relations, side)
            labels[torch.from_numpy(query), torch.from_numpy(column[entity])] = state
        scores[torch.from_numpy(query), torch.from_numpy(column[entity])] = -torch.inf
        judged = torch.ones_like(labels)
        if not is_validation:
            query, entity = false.answers(anchors, relations, side)
            judged = torch.zeros_like(labels)
            judged[torch.from_numpy(query), torch.from_numpy(column[entity])] = True
            labels = torch.zeros_like(labels)
        return _labelled(scores, labels, judged, fold[anchors], "vectors")

    blocks = [
        (side, block, True)
        for side in SIDES
        for asked in [distinct_queries(sample.facts, side)]
        for block in np.array_split(asked, -(-len(asked) // AT_ONCE))
    ]
    blocks += [(side, block, False) for side in SIDES for block in false_queries(sample, side)]
    parts = []
    with thread_map() as each:
        for part in each(label, blocks):
            parts.append(part)
            advance(len(part.fold))
    return {"vectors": _concatenated(parts)}


def _labelled(
    scores_BC: Tensor, labels_BC: Tensor, judged_BC: Tensor, fold: Ids, by: By
) -> LabelledShares:
    best = scores_BC.topk(min(TOP_CANDIDATES, scores_BC.shape[1]))
    shares_BK = log_shares(best.values, scores_BC, by).double()
    shares = shares_BK.masked_fill_(~judged_BC.gather(1, best.indices), -torch.inf).numpy()
    return LabelledShares(shares, labels_BC.gather(1, best.indices).numpy(), fold)


def _concatenated(parts: Sequence[LabelledShares]) -> LabelledShares:
    columns = zip(*((part.shares, part.labels, part.fold) for part in parts), strict=True)
    return LabelledShares(*(np.concatenate(column) for column in columns))


def _choose(labelled: LabelledShares) -> tuple[Calibration, float]:
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
