"""Fitting, on validation facts, what vectors, rules and statements weigh in a common answer.

Shapes: B queries, K candidates of each, F features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.graph.known_facts import Side, queries
from kgraft.graph.vocabulary import Rows
from kgraft.linking.joint_graph import positions_of
from kgraft.model.ensemble import (
    DEFAULT_WEIGHTS,
    EnsembleScorer,
    EvidenceScorer,
    Features,
    ensemble_scores,
    evidence_probability,
)
from kgraft.model.evidence import EVIDENCE_METRIC, By, Evidence
from kgraft.model.kge import KgeModel
from kgraft.model.scorer import directed
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.fit_frequency_prior import fit_frequency_prior
from kgraft.rules.evidence_index import EvidenceIndex
from kgraft.rules.rules import Rules
from kgraft.system.threads import thread_map
from kgraft.training.validation import Sample, draw_samples

CANDIDATES = 100
"""The best candidates by vectors, and by rules and statements, that a query's fit goes by."""

AT_ONCE = 128
"""Queries whose candidates are all scored at once."""

FOLDS = 2
"""Parts of the queries; how good a mixture is, is measured on the part it was not fitted to."""

SIDES: tuple[Side, ...] = ("tail", "head")

CONNECTIONS = slice(7, 9)
"""The weights of ``frequent`` and ``degree`` among those of a mixture."""

LEAST = 0.05
"""The least weight of vectors that those of connections are seen beside."""

PULL = 10.0
"""How many queries it takes to pull a relation's weights as far from those of all relations, or
those from the usual ones, as the queries ask for."""


@dataclass(frozen=True, eq=False)
class Apart:
    """Weights of ``mixed`` for the queries of each of the ``folds``, fitted to the others.

    Args:
        both: The mixture, ``(FOLDS, 2 m, F)``.
        vectors: Those of the vectors, 1, and of what is usual.
    """

    both: Tensor
    vectors: Tensor


def fit_ensemble(
    model: TrainedModel,
    target: KnowledgeGraph,
    rules: Rules,
    agreement: NDArray[np.float64],
) -> tuple[TrainedModel, Apart | None]:
    """Return a model that answers by rules and statements too, and what was fitted to each fold.

    Their mixture with the vectors is fitted on the validation facts that chose the best epoch, and
    so is what the vectors are told is usual along a relation. Each way to answer is measured on
    them too, on facts that nothing was fitted to.

    Args:
        model: Trained for the target.
        target: The target.
        rules: Rules for the target's relations.
        agreement: The chance that the target states each of the model's facts, ``(n,)``.

    Returns:
        The model, and what was fitted to other folds than each; ``None`` without validation facts.
    """
    training = model.settings.training
    samples = draw_samples(
        model.graph, [target], queries=training.validation_queries, seed=training.seed
    )
    kge = model.kge
    if not samples:
        weights = torch.tensor(DEFAULT_WEIGHTS).repeat(2 * kge.n_relations, 1)
        metrics = {**model.metrics, EVIDENCE_METRIC: {}}
        evidence = Evidence(rules, agreement, weights, {})
        return replace(model, metrics=metrics, evidence=evidence), None
    witnesses = EvidenceIndex(model.graph, target.name, rules, agreement)
    size = model.settings.prior.rank
    fitted = _fitted(kge, witnesses, samples[0], usual=size > 0)
    if size:
        frequency, degree = fitted.vectors[:, CONNECTIONS].unbind(1)
        known, n_entities = witnesses.connections, kge.n_entities
        kge = kge.with_prior(
            fit_frequency_prior(known, frequency, degree, n_entities=n_entities, size=size)
        )
    metrics = {**model.metrics, EVIDENCE_METRIC: fitted.mrr}
    evidence = Evidence(rules, agreement, fitted.both, fitted.mrr)
    return replace(model, kge=kge, metrics=metrics, evidence=evidence), fitted.apart


def folds(n_entities: int) -> Rows:
    """Return the fold of the queries about each entity, ``(n,)``, the same at each call."""
    return np.random.default_rng(0).integers(FOLDS, size=n_entities)


@dataclass(frozen=True, eq=False)
class _Fitted:
    """The weights of each way to answer, ``(2 m, F)``, its validation MRR, and those apart."""

    both: Tensor
    vectors: Tensor
    mrr: dict[By, float]
    apart: Apart


def _fitted(kge: KgeModel, witnesses: EvidenceIndex, sample: Sample, *, usual: bool) -> _Fitted:
    """Fit the mixture, and what the vectors are told is usual."""
    weights = torch.tensor(DEFAULT_WEIGHTS).repeat(2 * kge.n_relations, 1)
    scorer = EvidenceScorer(witnesses, kge.n_entities, kge.n_relations)
    lists = _lists(EnsembleScorer(kge, scorer, weights), sample, kge.n_relations)
    fold = torch.from_numpy(folds(kge.n_entities))[lists.anchor]

    def fit(queries: _Lists) -> tuple[Tensor, Tensor]:
        told = _fit_usual(queries, kge.n_relations) if usual else _plain(kge.n_relations)
        return _fit(queries, kge.n_relations), told

    both, vectors = fit(lists)
    # One after the other, for what is fitted to is copied.
    others = [fit(lists.where(fold != number)) for number in range(FOLDS)]
    apart = Apart(*(torch.stack(weights) for weights in zip(*others, strict=True)))
    found: dict[By, Tensor] = {
        "vectors": ensemble_scores(lists.features, apart.vectors[fold, lists.relation]),
        "rules": evidence_probability(lists.features),
        "both": ensemble_scores(lists.features, apart.both[fold, lists.relation]),
    }
    mrr = {by: float(lists.reciprocal_ranks(scores).mean()) for by, scores in found.items()}
    return _Fitted(both, vectors, mrr, apart)


@dataclass(frozen=True, eq=False)
class _Lists:
    """Queries with their best candidates.

    Args:
        anchor: Given entity of each query, ``(B,)``.
        relation: Directed relation of each query, ``(B,)``.
        features: Of the candidates, ``(B, K)``.
        usable: Whether a candidate is neither known nor there twice, bool ``(B, K)``.
        answer: The answer's column, -1 where it is not among the candidates, ``(B,)``.
    """

    anchor: Tensor
    relation: Tensor
    features: Features
    usable: Tensor
    answer: Tensor

    def connected(self) -> _Lists:
        """Return the queries with no features but vectors and ``CONNECTIONS``."""
        nothing = torch.zeros(()).expand_as(self.features.vectors)
        silent = dict.fromkeys(("inferred", "stated", "agreed", "unstated", "joined"), nothing)
        return replace(self, features=self.features._replace(**silent))

    def where(self, mask: Tensor) -> _Lists:
        """Return the queries that a mask ``(B,)`` keeps."""
        return _Lists(
            self.anchor[mask],
            self.relation[mask],
            Features(*(x[mask] for x in self.features)),
            self.usable[mask],
            self.answer[mask],
        )

    def reciprocal_ranks(self, scores: Tensor) -> Tensor:
        """Return 1 / rank of each answer, ties counting half; 0 where it is no candidate."""
        own = scores.gather(1, self.answer.clamp(min=0)[:, None])
        other = self.usable.clone()
        other.scatter_(1, self.answer.clamp(min=0)[:, None], value=False)
        better = ((scores > own) & other).sum(1) + 0.5 * ((scores == own) & other).sum(1)
        return torch.where(self.answer >= 0, 1.0 / (1.0 + better), 0.0)


def _lists(scorer: EnsembleScorer, sample: Sample, n_relations: int) -> _Lists:
    """Return the sample's facts, asked for both sides, with their best candidates."""
    blocks = np.array_split(sample.facts, -(-len(sample.facts) // AT_ONCE))
    asked = [(facts, side) for side in SIDES for facts in blocks]
    with thread_map() as each:
        parts = list(each(lambda block: _part(scorer, sample, *block, n_relations), asked))
    return _Lists(
        torch.cat([part.anchor for part in parts]),
        torch.cat([part.relation for part in parts]),
        Features(*(torch.cat(x) for x in zip(*(part.features for part in parts), strict=True))),
        torch.cat([part.usable for part in parts]),
        torch.cat([part.answer for part in parts]),
    )


def _part(
    scorer: EnsembleScorer, sample: Sample, facts: Triples, side: Side, n_relations: int
) -> _Lists:
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
    return _Lists(
        asked[0],
        directed(asked[1], side, n_relations),
        Features(*(x if x.shape[1] == 1 else x.gather(1, chosen) for x in features)),
        usable.gather(1, chosen) & once,
        torch.where(is_answer.any(1), is_answer.int().argmax(1), -1),
    )


def _fit(lists: _Lists, n_relations: int) -> Tensor:
    """Return the weights ``(2 m, F)`` under which the answers are likeliest.

    Each relation has its own weights, held near those of all, which are held near the usual ones.
    """
    known = lists.where(lists.answer >= 0)
    usual = torch.tensor(DEFAULT_WEIGHTS)
    common = torch.zeros(len(DEFAULT_WEIGHTS), requires_grad=True)
    own = torch.zeros(2 * n_relations, len(DEFAULT_WEIGHTS), requires_grad=True)
    optimizer = torch.optim.LBFGS([common, own], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        weights = usual + common + own[known.relation]
        scores = ensemble_scores(known.features, weights).masked_fill(~known.usable, -torch.inf)
        pull = PULL * (common.square().sum() + own.square().sum())
        value = cross_entropy(scores, known.answer, reduction="sum") + pull
        value.backward()  # type: ignore[no-untyped-call]
        return value

    if len(known.relation):
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    return (usual + common + own).detach()


def _fit_usual(lists: _Lists, n_relations: int) -> Tensor:
    """Return weights ``(2 m, F)`` of connections beside the vectors', which is 1."""
    fitted, weights = _fit(lists.connected(), n_relations), _plain(n_relations)
    # What is fitted is near the usual weights, above 0; a vanishing one makes no infinite ones.
    weights[:, CONNECTIONS] = fitted[:, CONNECTIONS] / fitted[:, :1].clamp(min=LEAST)
    return weights


def _plain(n_relations: int) -> Tensor:
    """Return the weights ``(2 m, F)`` of vectors alone."""
    weights = torch.zeros(2 * n_relations, len(DEFAULT_WEIGHTS))
    weights[:, 0] = 1.0
    return weights
