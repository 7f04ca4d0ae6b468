"""Fitting of the ensemble: what vectors, rules and other sources weigh in a common answer.

Shapes: B queries, K candidates of each, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import Side, queries
from kgraft.graph.vocabulary import Rows
from kgraft.linking.joint_graph import positions_of
from kgraft.model.ensemble import (
    DEFAULT_WEIGHTS,
    EnsembleScorer,
    Features,
    ensemble_scores,
    evidence_probability,
)
from kgraft.model.evidence import By
from kgraft.model.frequency_prior import FrequencyPrior
from kgraft.model.scorer import directed
from kgraft.pipeline.fit_frequency_prior import fit_frequency_prior
from kgraft.system.threads import thread_map
from kgraft.training.validation import ValidationSample

CANDIDATES = 100
"""The best candidates by vectors, and by evidence, that a query is fitted on."""

AT_ONCE = 128
"""Queries whose candidates are scored at once."""

FOLDS = 2
"""Parts of the queries; an ensemble is measured on the part that it was not fitted to."""

SIDES: tuple[Side, ...] = ("tail", "head")

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
        mrr: Validation MRR of each way to answer, on queries not fitted to; empty without any.
        held_out: Weights for measuring; ``None`` without validation facts.
        prior: The frequency prior of the vectors; ``None`` if there is none.
    """

    weights: Tensor
    mrr: Mapping[By, float]
    held_out: HeldOutWeights | None = None
    prior: FrequencyPrior | None = None


def default_ensemble(n_relations: int) -> FittedEnsemble:
    """Return the ensemble of a model without validation facts."""
    return FittedEnsemble(torch.tensor(DEFAULT_WEIGHTS).repeat(2 * n_relations, 1), {})


def fit_ensemble(
    scorer: EnsembleScorer,
    sample: ValidationSample,
    *,
    prior_rank: int,
    advance: Callable[[int], None] = lambda _: None,
) -> FittedEnsemble:
    """Fit the weights of an ensemble, and the frequency prior, on validation facts.

    Each way to answer is measured on them too, on queries that nothing was fitted to.

    Args:
        scorer: Vectors and evidence; its own weights play no part.
        sample: Validation facts, those that chose the best epoch.
        prior_rank: Rank of the frequency prior; 0 fits none.
        advance: Receives the number of queries done, two for each fact.
    """
    n_relations, n_entities = scorer.n_relations, scorer.n_entities
    lists = _candidate_lists(scorer, sample, advance)
    fold = torch.from_numpy(folds(n_entities))[lists.anchor]

    def fit(some: _CandidateLists) -> tuple[Tensor, Tensor]:
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
    mrr = {by: float(lists.reciprocal_ranks(found).mean()) for by, found in scores.items()}
    prior = None
    if prior_rank:
        prior = fit_frequency_prior(
            scorer.evidence.frequencies,
            *vectors[:, FREQUENCY_WEIGHTS].unbind(1),
            n_entities=n_entities,
            rank=prior_rank,
        )
    return FittedEnsemble(both, mrr, held_out, prior)


def folds(n_entities: int) -> Rows:
    """Return the fold of the queries about each entity, ``(n,)``, always the same."""
    return np.random.default_rng(0).integers(FOLDS, size=n_entities)


@dataclass(frozen=True, eq=False)
class _CandidateLists:
    """Queries with their best candidates.

    Args:
        anchor: Given entity of each query, ``(B,)``.
        relation: Directed relation of each query, ``(B,)``.
        features: Of the candidates, ``(B, K)``.
        usable: Whether a candidate is neither known nor repeated, bool ``(B, K)``.
        answer: Column of the answer, -1 if it is not among the candidates, ``(B,)``.
    """

    anchor: Tensor
    relation: Tensor
    features: Features
    usable: Tensor
    answer: Tensor

    def frequencies_only(self) -> _CandidateLists:
        """Return the queries with no features but vectors, frequency and degree."""
        zero = torch.zeros(()).expand_as(self.features.vectors)
        off = dict.fromkeys(("inferred", "stated", "reliability", "unstated", "joined"), zero)
        return replace(self, features=self.features._replace(**off))

    def where(self, mask: Tensor) -> _CandidateLists:
        """Return the queries that a mask ``(B,)`` keeps."""
        return _CandidateLists(
            self.anchor[mask],
            self.relation[mask],
            Features(*(x[mask] for x in self.features)),
            self.usable[mask],
            self.answer[mask],
        )

    def reciprocal_ranks(self, scores: Tensor) -> Tensor:
        """Return 1 / rank of each answer, ties counting half; 0 if it is no candidate."""
        own = scores.gather(1, self.answer.clamp(min=0)[:, None])
        other = self.usable.clone()
        other.scatter_(1, self.answer.clamp(min=0)[:, None], value=False)
        better = ((scores > own) & other).sum(1) + 0.5 * ((scores == own) & other).sum(1)
        return torch.where(self.answer >= 0, 1.0 / (1.0 + better), 0.0)


def _candidate_lists(
    scorer: EnsembleScorer, sample: ValidationSample, advance: Callable[[int], None]
) -> _CandidateLists:
    """Return the sample's facts as queries for both sides, with their best candidates."""
    blocks = np.array_split(sample.facts, -(-len(sample.facts) // AT_ONCE))
    asked = [(facts, side) for side in SIDES for facts in blocks]
    parts = []
    with thread_map() as each:
        for part in each(lambda block: _candidates_of(scorer, sample, *block), asked):
            parts.append(part)
            advance(len(part.anchor))
    return _CandidateLists(
        torch.cat([part.anchor for part in parts]),
        torch.cat([part.relation for part in parts]),
        Features(*(torch.cat(x) for x in zip(*(part.features for part in parts), strict=True))),
        torch.cat([part.usable for part in parts]),
        torch.cat([part.answer for part in parts]),
    )


def _candidates_of(
    scorer: EnsembleScorer, sample: ValidationSample, facts: Triples, side: Side
) -> _CandidateLists:
    anchors, relations, answers = queries(facts, side)
    asked = torch.from_numpy(anchors.copy()), torch.from_numpy(relations.copy())
    features = scorer.features(*asked, side=side, candidates=torch.from_numpy(sample.candidates))
    query, known = sample.known.answers(anchors, relations, side)
    column = torch.from_numpy(positions_of(sample.candidates, scorer.n_entities))
    own = column[torch.from_numpy(answers.copy())][:, None]
    usable = torch.ones(features.vectors.shape, dtype=torch.bool)
    usable[torch.from_numpy(query), column[torch.from_numpy(known)]] = False
    usable.scatter_(1, own, value=True)
    best = [
        scores.masked_fill(~usable, -torch.inf).topk(min(CANDIDATES, scores.shape[1])).indices
        for scores in (features.vectors, evidence_probability(features))
    ]
    chosen = torch.cat(best, dim=1).sort(dim=1).values
    once = torch.ones_like(chosen, dtype=torch.bool)
    once[:, 1:] = chosen[:, 1:] != chosen[:, :-1]
    is_answer = (chosen == own) & once
    return _CandidateLists(
        asked[0],
        directed(asked[1], side, scorer.n_relations),
        Features(*(x if x.shape[1] == 1 else x.gather(1, chosen) for x in features)),
        usable.gather(1, chosen) & once,
        torch.where(is_answer.any(1), is_answer.int().argmax(1), -1),
    )


def _fit_weights(lists: _CandidateLists, n_relations: int) -> Tensor:
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


def _fit_frequency(lists: _CandidateLists, n_relations: int) -> Tensor:
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
