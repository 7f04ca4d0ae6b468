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

from kgraft.evidence.rules import Rules
from kgraft.evidence.witnesses import Witnesses
from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.graph.known_facts import Side, queries
from kgraft.graph.vocabulary import Rows
from kgraft.linking.joint import JointGraph, places_of
from kgraft.model.evidence import EVIDENCE_METRIC, By, Evidence
from kgraft.model.kge import KgeModel
from kgraft.model.mixture import USUAL, Features, MixedScorer, RuleScorer, chance, mixed
from kgraft.model.scorer import directed
from kgraft.model.trained import TrainedModel
from kgraft.threads import threads
from kgraft.training.validation import Sample, draw_samples

CANDIDATES = 100
"""The best candidates by vectors, and by rules and statements, that a query's fit goes by."""

AT_ONCE = 128
"""Queries whose candidates are all scored at once."""

FOLDS = 2
"""Parts of the queries; how good a mixture is, is measured on the part it was not fitted to."""

SIDES: tuple[Side, ...] = ("tail", "head")

PULL = 10.0
"""How many queries it takes to pull a relation's weights as far from those of all relations, or
those from the usual ones, as the queries ask for."""


def with_evidence(
    model: TrainedModel,
    target: KnowledgeGraph,
    rules: Rules,
    agreement: NDArray[np.float64],
) -> tuple[TrainedModel, list[Tensor]]:
    """Return a model that answers by rules and statements too, and a mixture for each fold.

    Their mixture with the vectors is fitted on the validation facts that chose the best epoch, and
    each way to answer is measured on them, the mixture on facts that it was not fitted to.

    Args:
        model: Trained for the target.
        target: The target.
        rules: Rules for the target's relations.
        agreement: The chance that the target states each of the model's facts, ``(n,)``.

    Returns:
        The model, and for each of the ``folds`` the mixture that was fitted to the others; none
        without validation facts.
    """
    training = model.settings.training
    samples = draw_samples(
        model.graph, [target], queries=training.validation_queries, seed=training.seed
    )
    evidence, apart = _gather(
        model.kge, model.graph, target.name, rules, agreement, samples[0] if samples else None
    )
    metrics = {**model.metrics, EVIDENCE_METRIC: evidence.mrr}
    return replace(model, metrics=metrics, evidence=evidence), apart


def folds(n_entities: int) -> Rows:
    """Return the fold of the queries about each entity, ``(n,)``, the same at each call."""
    return np.random.default_rng(0).integers(FOLDS, size=n_entities)


def _gather(
    kge: KgeModel,
    graph: JointGraph,
    target: str,
    rules: Rules,
    agreement: NDArray[np.float64],
    sample: Sample | None,
) -> tuple[Evidence, list[Tensor]]:
    usual = torch.tensor(USUAL).repeat(2 * kge.n_relations, 1)
    if sample is None:
        return Evidence(rules, agreement, usual, {}), []
    scorer = RuleScorer(Witnesses(graph, target, rules, agreement), kge.n_entities, kge.n_relations)
    lists = _lists(MixedScorer(kge, scorer, usual), sample, kge.n_relations)
    fold = torch.from_numpy(folds(kge.n_entities))[lists.anchor]
    apart = [_fit(lists.where(fold != number), kge.n_relations) for number in range(FOLDS)]
    weights = torch.stack(apart)[fold, lists.relation]
    mrr: dict[By, float] = {
        "vectors": float(lists.reciprocal_ranks(lists.features.vectors).mean()),
        "rules": float(lists.reciprocal_ranks(chance(lists.features)).mean()),
        "both": float(lists.reciprocal_ranks(mixed(lists.features, weights)).mean()),
    }
    return Evidence(rules, agreement, _fit(lists, kge.n_relations), mrr), apart


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


def _lists(scorer: MixedScorer, sample: Sample, n_relations: int) -> _Lists:
    """Return the sample's facts, asked for both sides, with their best candidates."""
    blocks = np.array_split(sample.facts, -(-len(sample.facts) // AT_ONCE))
    asked = [(facts, side) for side in SIDES for facts in blocks]
    with threads() as each:
        parts = list(each(lambda block: _part(scorer, sample, *block, n_relations), asked))
    return _Lists(
        torch.cat([part.anchor for part in parts]),
        torch.cat([part.relation for part in parts]),
        Features(*(torch.cat(x) for x in zip(*(part.features for part in parts), strict=True))),
        torch.cat([part.usable for part in parts]),
        torch.cat([part.answer for part in parts]),
    )


def _part(
    scorer: MixedScorer, sample: Sample, facts: Triples, side: Side, n_relations: int
) -> _Lists:
    anchors, relations, answers = queries(facts, side)
    asked = torch.from_numpy(anchors.copy()), torch.from_numpy(relations.copy())
    features = scorer.features(*asked, side=side, candidates=torch.from_numpy(sample.candidates))
    query, known = sample.known.answers(anchors, relations, side)
    column = torch.from_numpy(places_of(sample.candidates, scorer.n_entities))
    own = column[torch.from_numpy(answers.copy())][:, None]
    usable = torch.ones(features.vectors.shape, dtype=torch.bool)
    usable[torch.from_numpy(query), column[torch.from_numpy(known)]] = False
    usable.scatter_(1, own, value=True)
    best = [
        scores.masked_fill(~usable, -torch.inf).topk(min(CANDIDATES, scores.shape[1])).indices
        for scores in (features.vectors, chance(features))
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
    usual = torch.tensor(USUAL)
    common = torch.zeros(len(USUAL), requires_grad=True)
    own = torch.zeros(2 * n_relations, len(USUAL), requires_grad=True)
    optimizer = torch.optim.LBFGS([common, own], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        weights = usual + common + own[known.relation]
        scores = mixed(known.features, weights).masked_fill(~known.usable, -torch.inf)
        pull = PULL * (common.square().sum() + own.square().sum())
        value = cross_entropy(scores, known.answer, reduction="sum") + pull
        value.backward()  # type: ignore[no-untyped-call]
        return value

    if len(known.relation):
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    return (usual + common + own).detach()
