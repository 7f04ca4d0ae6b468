"""Fitting of the ensemble: what vectors, rules and other sources weigh in a common answer.

Shapes: B queries, K candidates of each, F features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.graph.grouped_index import Ints, changes
from kgraft.model.ensemble import (
    DEFAULT_WEIGHTS,
    EnsembleScorer,
    Features,
    ensemble_scores,
    evidence_probability,
    weighed_features,
)
from kgraft.model.evidence import WAYS, By
from kgraft.model.frequency_prior import FrequencyPrior
from kgraft.pipeline.candidate_lists import FOLDS, CandidateLists, folds
from kgraft.pipeline.fit_frequency_prior import fit_frequency_prior

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

FREQUENCIES = (0, 7, 8)
"""The weights of vectors, ``frequency`` and ``degree`` among those of an ensemble."""

FREQUENCY_WEIGHTS = slice(7, 9)
"""The weights of ``frequency`` and ``degree`` among those of an ensemble."""

MIN_VECTOR_WEIGHT = 0.05
"""The least weight of vectors that frequency weights are divided by."""

PRIOR_STRENGTH = 10.0
"""Number of queries that move a relation's weights half-way from those of all relations, or those
from the default ones."""


MAX_STEPS, TOLERANCE, MIN_SHARE = 30, 1e-6, 1e-3
"""The most steps of a fit, the relative gain in likelihood that ends it, and the least share of a
step that is tried where a whole one gains nothing."""


@dataclass(frozen=True, eq=False)
class HeldOutWeights:
    """Weights for the queries of each of the ``folds``, fitted to the other folds.

    Args:
        both: Of the ensemble, ``(FOLDS, 2 m, F)``.
        vectors: Of vectors with the frequency prior, ``(FOLDS, 2 m, F)``.
    """

    both: Tensor
    vectors: Tensor


@dataclass(frozen=True, eq=False)
class FittedEnsemble:
    """The result of fitting an ensemble.

    Args:
        weights: The ensemble's weights, ``(2 m, F)``.
        reciprocal_ranks: 1 / rank of each validation query's answer by each way to answer, by
            weights not fitted to it, ``(2 n,)``: tails, then heads; empty without any.
        held_out: Weights for measuring; ``None`` without validation facts.
        prior: The frequency prior of the vectors; ``None`` if there is none.
    """

    weights: Tensor
    reciprocal_ranks: Mapping[By, Tensor]
    held_out: HeldOutWeights | None = None
    prior: FrequencyPrior | None = None

    @property
    def mrr(self) -> dict[By, float]:
        """Validation MRR of each way to answer, on queries not fitted to; empty without any."""
        return {by: float(found.mean()) for by, found in self.reciprocal_ranks.items()}

    @property
    def default(self) -> By | None:
        """The way to answer by default, None without validation facts.

        It is both, unless another way is better by more than the standard error of the difference:
        weights for measuring are fitted to a part of the queries, so both is measured too low, and
        few queries are no reason to do without the rest of the evidence.
        """
        if not self.reciprocal_ranks:
            return None
        best = max(WAYS, key=self.mrr.__getitem__)
        ahead = self.reciprocal_ranks[best] - self.reciprocal_ranks["both"]
        error = ahead.std(correction=0) / len(ahead) ** 0.5
        return best if ahead.mean() > error else "both"


def default_ensemble(n_relations: int) -> FittedEnsemble:
    """Return the ensemble of a model without validation facts."""
    return FittedEnsemble(torch.tensor(DEFAULT_WEIGHTS).repeat(2 * n_relations, 1), {})


def fit_ensemble(
    lists: CandidateLists, scorer: EnsembleScorer, *, prior_rank: int
) -> FittedEnsemble:
    """Fit the weights of an ensemble, and the frequency prior, on validation facts.

    Each way to answer is measured on them too, on queries that nothing was fitted to.

    Args:
        lists: The queries of validation facts, with their best candidates.
        scorer: What scored them; its own weights play no part.
        prior_rank: Rank of the frequency prior; 0 fits none.
    """
    n_relations, n_entities = scorer.n_relations, scorer.n_entities
    fold = torch.from_numpy(folds(n_entities))[lists.anchor]
    examples = WeighedFeatures.of(lists)
    both, of_folds = _fit_weights(examples, fold, n_relations)
    vectors, vectors_of_folds = _vectors_only(n_relations), _vectors_only(n_relations)[None]
    if prior_rank:
        fitted, fitted_of_folds = _fit_weights(examples.only(FREQUENCIES), fold, n_relations)
        vectors, vectors_of_folds = _frequency(fitted), _frequency(fitted_of_folds)
    del examples
    held_out = HeldOutWeights(of_folds, vectors_of_folds.expand_as(of_folds))
    scores: dict[By, Tensor] = {
        "vectors": ensemble_scores(lists.features, held_out.vectors[fold, lists.relation]),
        "rules": evidence_probability(lists.features),
        "both": ensemble_scores(lists.features, held_out.both[fold, lists.relation]),
    }
    ranks = {by: lists.reciprocal_ranks(found) for by, found in scores.items()}
    prior = None
    if prior_rank:
        prior = fit_frequency_prior(
            scorer.evidence.frequencies,
            *vectors[:, FREQUENCY_WEIGHTS].unbind(1),
            n_entities=n_entities,
            rank=prior_rank,
        )
    return FittedEnsemble(both, ranks, held_out, prior)


@dataclass(frozen=True, eq=False)
class WeighedFeatures:
    """The usable candidates of queries whose answer is among them, without gaps.

    Queries are sorted by relation; N candidates in all.

    Args:
        values: What each weight of an ensemble is multiplied by, ``(F, N)``, see ``columns``.
        columns: The weights that there are values for, as positions in ``DEFAULT_WEIGHTS``.
        query: Position of each query in the lists, ``(Q,)``.
        relation: Directed relation of each query, ascending, ``(Q,)``.
        start: First candidate of each query, and their number, ``(Q + 1,)``.
        answer: Candidate that is the answer of each query, ``(Q,)``.
    """

    values: Floats
    columns: tuple[int, ...]
    query: Ints
    relation: Ints
    start: Ints
    answer: Ints

    @classmethod
    def of(cls, lists: CandidateLists) -> WeighedFeatures:
        """Return the candidates of lists."""
        query = (lists.answer >= 0).nonzero().squeeze(1)
        query = query[lists.relation[query].argsort(stable=True)]
        usable = lists.usable[query]
        place, column = usable.nonzero().unbind(1)
        row = query[place]
        features = Features(
            *((x[row, 0] if x.shape[1] == 1 else x[row, column])[:, None] for x in lists.features)
        )
        values = np.empty((len(DEFAULT_WEIGHTS), len(row)), dtype=np.float32)
        for number, of_weight in enumerate(weighed_features(features)):
            values[number] = of_weight[:, 0].numpy()
        start = np.concatenate([[0], usable.sum(1).cumsum(0).numpy()])
        is_answer = column == lists.answer[row]
        return cls(
            values,
            tuple(range(len(values))),
            query.numpy(),
            lists.relation[query].numpy(),
            start,
            is_answer.nonzero().squeeze(1).numpy(),
        )

    def only(self, columns: tuple[int, ...]) -> WeighedFeatures:
        """Return the candidates with the values of some weights; the others are 0."""
        return replace(self, values=self.values[list(columns)], columns=columns)

    def where(self, kept: NDArray[np.bool_]) -> WeighedFeatures:
        """Return the candidates of the queries that a mask ``(Q,)`` keeps."""
        sizes = np.diff(self.start)
        place = self.answer - self.start[:-1]
        start = np.concatenate([[0], np.cumsum(sizes[kept])])
        return replace(
            self,
            values=self.values[:, np.repeat(kept, sizes)],
            query=self.query[kept],
            relation=self.relation[kept],
            start=start,
            answer=start[:-1] + place[kept],
        )

    def fit(self, n_relations: int, begin: Tensor | None = None) -> Tensor:
        """Return the maximum a posteriori weights ``(2 m + 1, F)``, those of all relations last.

        Each relation has its own weights, with a normal prior around those common to all, which
        have one around the default ones. The problem is convex, so the beginning matters to the
        time alone.

        Args:
            n_relations: ``m``.
            begin: Weights to begin with, as returned; by default the default ones.
        """
        shape = (2 * n_relations + 1, len(DEFAULT_WEIGHTS))
        fitted = torch.tensor(DEFAULT_WEIGHTS).repeat(shape[0], 1).double().numpy()
        if not len(self.query):
            return torch.from_numpy(fitted).float()
        default = fitted[0, list(self.columns)]
        first = np.flatnonzero(changes(self.relation))
        relations = self.relation[first]
        rows = np.ix_(np.append(relations, shape[0] - 1), np.array(self.columns))
        parameters = np.zeros((len(relations) + 1, len(default)))
        if begin is not None:
            parameters[:] = begin.double().numpy()[rows]
            parameters[:-1] -= parameters[-1]
            parameters[-1] -= default
        found = self._maximise(parameters, default, first)
        common = default + found[-1]
        fitted[:, list(self.columns)] = common
        fitted[rows] = np.concatenate([common + found[:-1], common[None]])
        return torch.from_numpy(fitted).float()

    def _maximise(self, own: Doubles, default: Doubles, first: Ints) -> Doubles:
        """Return weights of relations and the common ones, ``(R + 1, F)``, by Newton's method.

        Args:
            own: Those to begin with; the weights of a relation are the sum of its own, the common
                and the default ones.
            default: The default weights, ``(F,)``.
            first: First query of each relation, ``(R,)``.
        """
        spans = np.append(self.start[first], self.start[-1])

        def loss(own: Doubles) -> tuple[float, Floats]:
            weights = (default + own[-1] + own[:-1]).astype(np.float32)
            value, probabilities = self._probabilities(weights, spans)
            return value + PRIOR_STRENGTH * float((own * own).sum()), probabilities

        value, probabilities = loss(own)
        for _ in range(MAX_STEPS):
            slopes, hessians = self._derivatives(probabilities, spans, first)
            step = _newton_step(slopes, hessians, own)
            share, before = 1.0, value
            while share > MIN_SHARE:
                value, probabilities = loss(own + share * step)
                if value < before:
                    break
                share /= 2
            else:
                return own
            own = own + share * step
            if before - value <= TOLERANCE * before:
                break
        return own

    def _probabilities(self, weights: Floats, spans: Ints) -> tuple[float, Floats]:
        """Return the cross-entropy of the answers, and the probability of each candidate, ``(N,)``.

        Args:
            weights: Of each relation that there are queries for, ``(R, F)``.
            spans: First candidate of each of these relations, and their number, ``(R + 1,)``.
        """
        scores = np.empty(self.values.shape[1], dtype=np.float32)
        for of_relation, begin, end in zip(weights, *_pairs(spans), strict=True):
            np.dot(of_relation, self.values[:, begin:end], out=scores[begin:end])
        sizes, begins = np.diff(self.start), self.start[:-1]
        scores -= np.repeat(np.maximum.reduceat(scores, begins), sizes)
        right = scores[self.answer].astype(np.float64).sum()
        found = np.exp(scores, out=scores)
        totals = np.add.reduceat(found, begins)
        found /= np.repeat(totals, sizes)
        return float(np.log(totals.astype(np.float64)).sum() - right), found

    def _derivatives(
        self, probabilities: Floats, spans: Ints, first: Ints
    ) -> tuple[Doubles, Doubles]:
        """Return the first and second derivatives by each relation's weights.

        Returns:
            ``(R, F)`` and ``(R, F, F)``.
        """
        n_columns, last = len(self.values), len(self.query)
        slopes = np.empty((len(first), n_columns))
        hessians = np.empty((len(first), n_columns, n_columns))
        ends = np.append(first[1:], last).tolist()
        for number, (begin, end) in enumerate(zip(*_pairs(spans), strict=True)):
            queries = slice(int(first[number]), ends[number])
            values = self.values[:, begin:end]
            weighed = values * probabilities[begin:end]
            means = np.add.reduceat(weighed, self.start[:-1][queries] - begin, axis=1)
            answers = self.values[:, self.answer[queries]]
            slopes[number] = (means - answers).sum(axis=1, dtype=np.float64)
            hessians[number] = weighed @ values.T - means @ means.T
        return slopes, hessians


def _newton_step(slopes: Doubles, hessians: Doubles, own: Doubles) -> Doubles:
    """Return a step of ``own`` weights and the common ones, ``(R + 1, F)``.

    The weights of each relation depend on the common ones alone, so they are eliminated first.
    """
    ridge = 2 * PRIOR_STRENGTH * np.eye(slopes.shape[1])
    of_own = slopes + 2 * PRIOR_STRENGTH * own[:-1]
    of_common = slopes.sum(axis=0) + 2 * PRIOR_STRENGTH * own[-1]
    solved = np.linalg.solve(hessians + ridge, np.concatenate([hessians, of_own[..., None]], 2))
    eliminated = hessians @ solved
    matrix = hessians.sum(axis=0) + ridge - eliminated[..., :-1].sum(axis=0)
    common = np.linalg.solve(matrix, eliminated[..., -1].sum(axis=0) - of_common)
    return np.concatenate([-solved[..., -1] - solved[..., :-1] @ common, common[None]])


def _pairs(spans: Ints) -> tuple[list[int], list[int]]:
    return spans[:-1].tolist(), spans[1:].tolist()


def _fit_weights(
    examples: WeighedFeatures, fold: Tensor, n_relations: int
) -> tuple[Tensor, Tensor]:
    """Return weights ``(2 m, F)``, and for each fold those fitted to the others' queries."""
    weights = examples.fit(n_relations)
    of_query = fold.numpy()[examples.query]
    # Those of all queries are close to those of a part of them.
    others = [
        examples.where(of_query != number).fit(n_relations, weights) for number in range(FOLDS)
    ]
    return weights[:-1], torch.stack(others)[:, :-1]


def _frequency(fitted: Tensor) -> Tensor:
    """Return weights ``(..., F)`` of frequency and degree beside vectors of weight 1."""
    weights = torch.zeros_like(fitted)
    weights[..., 0] = 1.0
    # Weights of vectors are fitted near their default, above 0; a vanishing one must not divide.
    vectors = fitted[..., :1].clamp(min=MIN_VECTOR_WEIGHT)
    weights[..., FREQUENCY_WEIGHTS] = fitted[..., FREQUENCY_WEIGHTS] / vectors
    return weights


def _vectors_only(n_relations: int) -> Tensor:
    """Return the weights ``(2 m, F)`` of vectors alone."""
    weights = torch.zeros(2 * n_relations, len(DEFAULT_WEIGHTS))
    weights[:, 0] = 1.0
    return weights
