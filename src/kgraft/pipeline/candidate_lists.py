"""Validation queries with their best candidates, scored once for ensemble and calibration.

Shapes: B queries, C candidates, K of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import KnownFacts, Side, distinct_queries, queries
from kgraft.graph.vocabulary import Rows
from kgraft.linking.joint_graph import positions_of
from kgraft.model.ensemble import (
    DEFAULT_WEIGHTS,
    EnsembleScorer,
    Features,
    ensemble_scores,
)
from kgraft.model.scorer import directed
from kgraft.system.memory import giving_back
from kgraft.system.threads import thread_map
from kgraft.training.validation import ValidationSample

CANDIDATES = 64
"""The best candidates by vectors, evidence, both, and frequency that are kept of a query."""

DEGREE_SHARE = 1e-3
"""Weight of the degree beside the frequency, to order candidates of equal frequency."""

AT_ONCE = 128
"""Queries whose candidates are scored at once."""

FOLDS = 2
"""Parts of the queries; what is fitted to one part is measured on another."""

SIDES: tuple[Side, ...] = ("tail", "head")


@dataclass(frozen=True, eq=False)
class CandidateLists:
    """Queries with their best candidates.

    Args:
        anchor: Given entity of each query, ``(B,)``.
        relation: Directed relation of each query, ``(B,)``.
        features: Of the candidates, ``(B, K)``.
        usable: Whether a column is a candidate, which no other fact states, or padding, bool
            ``(B, K)``.
        answer: Column of the answer, -1 if it is not among the candidates, ``(B,)``.
    """

    anchor: Tensor
    relation: Tensor
    features: Features
    usable: Tensor
    answer: Tensor

    def reciprocal_ranks(self, scores: Tensor) -> Tensor:
        """Return 1 / rank of each answer, ties counting half; 0 if it is no candidate."""
        own = scores.gather(1, self.answer.clamp(min=0)[:, None])
        other = self.usable.clone()
        other.scatter_(1, self.answer.clamp(min=0)[:, None], value=False)
        better = ((scores > own) & other).sum(1) + 0.5 * ((scores == own) & other).sum(1)
        return torch.where(self.answer >= 0, 1.0 / (1.0 + better), 0.0)


@dataclass(frozen=True, eq=False)
class LabelledLists:
    """Distinct queries with their best candidates among those that no training fact states.

    Args:
        anchor: Given entity of each query, ``(B,)``.
        relation: Directed relation of each query, ``(B,)``.
        features: Of the candidates, ``(B, K)``.
        usable: Whether a column is a candidate or padding, bool ``(B, K)``.
        labels: Whether a validation fact states the candidate, bool ``(B, K)``.
        judged: Whether the label counts, bool ``(B, K)``: of a validation query that of each usable
            candidate, of other queries only those that are known to be false.
    """

    anchor: Tensor
    relation: Tensor
    features: Features
    usable: Tensor
    labels: Tensor
    judged: Tensor


@dataclass(frozen=True, eq=False)
class ScoredSample:
    """The validation facts of a sample as queries, with their best candidates.

    Args:
        facts: Two queries for each fact; the other facts of the graph are no candidates.
        queries: Each different query once, and those of facts known to be false.
    """

    facts: CandidateLists
    queries: LabelledLists


def score_sample(
    scorer: EnsembleScorer,
    sample: ValidationSample,
    advance: Callable[[int], None] = lambda _: None,
) -> ScoredSample:
    """Score the candidates of a sample's queries for both sides, and keep the best of each.

    Args:
        scorer: Vectors and evidence; its own weights play no part.
        sample: Validation facts.
        advance: Receives the number of queries done, two for each fact.
    """
    blocks = []
    for side in SIDES:
        anchors, relations, _ = queries(sample.facts, side)
        is_first = np.zeros(len(anchors), dtype=np.bool_)
        is_first[np.unique(np.stack([anchors, relations]), axis=1, return_index=True)[1]] = True
        parts = np.array_split(np.arange(len(anchors)), -(-len(anchors) // AT_ONCE))
        blocks += [(side, sample.facts[part], is_first[part]) for part in parts]
    found = []
    with thread_map() as each:
        for part in giving_back(each(lambda block: _score_block(scorer, sample, *block), blocks)):
            found.append(part)
            advance(len(part.facts.anchor))
    scored: ScoredSample = _concatenated(found)
    false = [
        _score_queries(scorer, sample, side, block, KnownFacts(sample.known_false))
        for side in SIDES
        for block in false_queries(sample, side)
    ]
    return replace(scored, queries=_concatenated([scored.queries, *false])) if false else scored


def false_queries(sample: ValidationSample, side: Side) -> list[Rows]:
    """Return anchors and relations of facts known to be false, in blocks of ``(b, 2)``.

    Each query comes once, and those that validation facts ask are left out.
    """
    asked = distinct_queries(sample.known_false, side)
    answers = KnownFacts(sample.facts).answers(asked[:, 0], asked[:, 1], side)[0]
    asked = np.delete(asked, np.unique(answers), axis=0)
    return np.array_split(asked, -(-len(asked) // AT_ONCE)) if len(asked) else []


def folds(n_entities: int) -> Rows:
    """Return the fold of the queries about each entity, ``(n,)``, always the same."""
    return np.random.default_rng(0).integers(FOLDS, size=n_entities)


def _score_block(
    scorer: EnsembleScorer,
    sample: ValidationSample,
    side: Side,
    facts: Triples,
    is_first: NDArray[np.bool_],
) -> ScoredSample:
    anchors, relations, answers = (torch.from_numpy(x.copy()) for x in queries(facts, side))
    candidates = torch.from_numpy(sample.candidates)
    features = scorer.features(anchors, relations, side=side, candidates=candidates)
    column = torch.from_numpy(positions_of(sample.candidates, scorer.n_entities))
    known, stated = (
        _marked(index, anchors, relations, side, column, len(candidates))
        for index in (sample.known, sample.stated)
    )
    along = directed(relations, side, scorer.n_relations)
    own = column[answers][:, None]
    left_out = known.clone()
    left_out.scatter_(1, own, value=False)
    by_evidence = scorer.evidence.score(anchors, relations, side=side, candidates=candidates)
    best = _best(left_out, features, by_evidence, along)
    chosen, usable = _usable([best], left_out)
    is_answer = (chosen == own) & usable
    of_facts = CandidateLists(
        anchors,
        along,
        _gathered(features, chosen),
        usable,
        torch.where(is_answer.any(1), is_answer.int().argmax(1), -1),
    )
    # Of a query, the best that no training fact states are among these and its known answers.
    first = torch.from_numpy(is_first).nonzero().squeeze(1)
    labels = known[first] & ~stated[first]
    labelled = _best_labelled(labels, features.vectors[first])
    chosen, usable = _usable([best[first], labelled], stated[first])
    of_queries = LabelledLists(
        anchors[first],
        along[first],
        _gathered(Features(*(x[first] for x in features)), chosen),
        usable,
        labels.gather(1, chosen),
        usable,
    )
    return ScoredSample(of_facts, of_queries)


def _score_queries(
    scorer: EnsembleScorer,
    sample: ValidationSample,
    side: Side,
    asked: Rows,
    false: KnownFacts,
) -> LabelledLists:
    """Score the candidates of queries, ``(b, 2)``, of which those known to be false count."""
    anchors, relations = (torch.from_numpy(x.copy()) for x in asked.T)
    candidates = torch.from_numpy(sample.candidates)
    features = scorer.features(anchors, relations, side=side, candidates=candidates)
    column = torch.from_numpy(positions_of(sample.candidates, scorer.n_entities))
    stated, denied = (
        _marked(index, anchors, relations, side, column, len(candidates))
        for index in (sample.stated, false)
    )
    along = directed(relations, side, scorer.n_relations)
    by_evidence = scorer.evidence.score(anchors, relations, side=side, candidates=candidates)
    chosen, usable = _usable([_best(stated, features, by_evidence, along)], stated)
    return LabelledLists(
        anchors,
        along,
        _gathered(features, chosen),
        usable,
        torch.zeros_like(usable),
        usable & denied.gather(1, chosen),
    )


def _marked(
    index: KnownFacts, anchors: Tensor, relations: Tensor, side: Side, column: Tensor, size: int
) -> Tensor:
    """Return which candidates answer queries by an index of facts, bool ``(B, C)``."""
    query, answer = index.answers(anchors.numpy(), relations.numpy(), side)
    marked = torch.zeros(len(anchors), size, dtype=torch.bool)
    marked[torch.from_numpy(query), column[torch.from_numpy(answer)]] = True
    return marked


def _best(left_out: Tensor, features: Features, by_evidence: Tensor, along: Tensor) -> Tensor:
    """Return the best candidates by vectors, evidence, both with default weights, and frequency.

    Where facts are few, vectors rank at random, and frequent answers are the best candidates.

    Args:
        left_out: The candidates that may not be chosen, bool ``(B, C)``.
        features: Of the candidates.
        by_evidence: Their probability by evidence, ``(B, C)``, changed in place.
        along: Directed relation of each query, ``(B,)``.

    Returns:
        Columns ``(B, K)``, some of them more than once, or left out where there are no others.
    """
    size = min(CANDIDATES, left_out.shape[1])
    by_both = ensemble_scores(features, torch.tensor([DEFAULT_WEIGHTS]))
    scores = [features.vectors.clone(), by_evidence, by_both]
    best = [x.masked_fill_(left_out, -torch.inf).topk(size, sorted=False).indices for x in scores]
    # All queries of a relation have the same frequent answers, but for those left out.
    _, relation = torch.unique(along, return_inverse=True)
    first = torch.zeros(int(relation.max()) + 1, dtype=torch.int64)
    first[relation] = torch.arange(len(along))
    by_frequency = features.frequency[first] + DEGREE_SHARE * features.degree[first]
    frequent = by_frequency.topk(min(2 * size, left_out.shape[1])).indices[relation]
    order = left_out.gather(1, frequent).int().argsort(dim=1, stable=True)[:, :size]
    return torch.cat([*best, frequent.gather(1, order)], dim=1)


def _best_labelled(labels: Tensor, scores: Tensor) -> Tensor:
    """Return the columns of labelled candidates, the best of many, and others if there are few."""
    size = min(CANDIDATES, int(labels.sum(1).max()) if len(labels) else 0)
    return scores.masked_fill(~labels, -torch.inf).topk(size, sorted=False).indices


def _usable(chosen: Sequence[Tensor], left_out: Tensor) -> tuple[Tensor, Tensor]:
    """Return chosen columns ``(B, K)``, each once, and which are no padding.

    Args:
        chosen: Columns, ``(B, ...)`` each.
        left_out: The candidates that may not be chosen, bool ``(B, C)``.
    """
    columns = torch.cat(list(chosen), dim=1).sort(dim=1).values
    kept = ~left_out.gather(1, columns)
    kept[:, 1:] &= columns[:, 1:] != columns[:, :-1]
    width = int(kept.sum(1).max()) if len(kept) else 0
    order = (~kept).int().argsort(dim=1, stable=True)[:, :width]
    return columns.gather(1, order), kept.gather(1, order)


def _gathered(features: Features, chosen: Tensor) -> Features:
    return Features(*(x if x.shape[1] == 1 else x.gather(1, chosen) for x in features))


def _concatenated(parts: list[Any]) -> Any:
    """Concatenate tensors, or tuples and dataclasses of them; ``parts`` is emptied on the way.

    So a tensor's parts are freed before those of the next one are copied.
    """
    kind = type(parts[0])
    if isinstance(parts[0], Tensor):
        width = max(part.shape[-1] for part in parts)
        joined = torch.cat([pad(x, (0, width - x.shape[-1])) if x.ndim > 1 else x for x in parts])
        parts.clear()
        return joined
    rows = [part if isinstance(part, tuple) else tuple(vars(part).values()) for part in parts]
    columns = [list(column) for column in zip(*rows, strict=True)]
    parts.clear()
    rows.clear()
    return kind(*(_concatenated(column) for column in columns))
