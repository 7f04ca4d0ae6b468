"""Fitting of the ensemble: what vectors, rules and other sources weigh in a common answer.

Shapes: B queries, K candidates of each, F features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from kgraft.model.ensemble import (
    DEFAULT_WEIGHTS,
    EnsembleScorer,
    ensemble_scores,
    evidence_probability,
)
from kgraft.model.evidence import WAYS, By
from kgraft.model.frequency_prior import FrequencyPrior
from kgraft.pipeline.candidate_lists import FOLDS, CandidateLists, folds
from kgraft.pipeline.fit_frequency_prior import fit_frequency_prior

FREQUENCY_WEIGHTS = slice(7, 9)
"""The weights of ``frequency`` and ``degree`` among those of an ensemble."""

MIN_VECTOR_WEIGHT = 0.05
"""The least weight of vectors that frequency weights are divided by."""

PRIOR_STRENGTH = 10.0
"""Number of queries that move a relation's weights half-way from those of all relations, or those
from the default ones."""


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

    def fit(some: CandidateLists) -> tuple[Tensor, Tensor]:
        frequency = _fit_frequency(some, n_relations) if prior_rank else _vectors_only(n_relations)
        return _fit_weights(some, n_relations), frequency

    both, vectors = fit(lists)
    # One after the other: each copies what it is fitted to.
    others = [fit(lists.where(fold != number)) for number in range(FOLDS)]
    held_out = HeldOutWeights(*(torch.stack(weights) for weights in zip(*others, strict=True)))
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


def _fit_weights(lists: CandidateLists, n_relations: int) -> Tensor:
    """Return the maximum a posteriori weights ``(2 m, F)``.

    Each relation has its own weights, with a normal prior around those common to all, which have
    one around the default ones.
    """
    known = lists.where(lists.answer >= 0)
    default = torch.tensor(DEFAULT_WEIGHTS)
    common = torch.zeros(len(DEFAULT_WEIGHTS), requires_grad=True)
    own = torch.zeros(2 * n_relations, len(DEFAULT_WEIGHTS), requires_grad=True)
    optimizer = torch.optim.LBFGS([common, own], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        weights = default + common + own[known.relation]
        scores = ensemble_scores(known.features, weights).masked_fill(~known.usable, -torch.inf)
        penalty = PRIOR_STRENGTH * (common.square().sum() + own.square().sum())
        value = cross_entropy(scores, known.answer, reduction="sum") + penalty
        value.backward()  # type: ignore[no-untyped-call]
        return value

    if len(known.relation):
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    return (default + common + own).detach()


def _fit_frequency(lists: CandidateLists, n_relations: int) -> Tensor:
    """Return weights ``(2 m, F)`` of frequency and degree beside vectors of weight 1."""
    fitted, weights = (
        _fit_weights(lists.frequencies_only(), n_relations),
        _vectors_only(n_relations),
    )
    # Weights of vectors are fitted near their default, above 0; a vanishing one must not divide.
    vectors = fitted[:, :1].clamp(min=MIN_VECTOR_WEIGHT)
    weights[:, FREQUENCY_WEIGHTS] = fitted[:, FREQUENCY_WEIGHTS] / vectors
    return weights


def _vectors_only(n_relations: int) -> Tensor:
    """Return the weights ``(2 m, F)`` of vectors alone."""
    weights = torch.zeros(2 * n_relations, len(DEFAULT_WEIGHTS))
    weights[:, 0] = 1.0
    return weights
