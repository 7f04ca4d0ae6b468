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

from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import KnownFacts, Side, distinct_queries, queries
from kgraft.graph.vocabulary import Rows
from kgraft.linking.joint_graph import positions_of
from kgraft.model.ensemble import (
    DEFAULT_WEIGHTS,
    EnsembleScorer,
    Features,
    ensemble_scores,
    evidence_probability,
)
from kgraft.model.scorer import directed
from kgraft.system.threads import thread_map
from kgraft.training.validation import ValidationSample

CANDIDATES = 100
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
        usable: Whether a candidate is neither known nor repeated, bool ``(B, K)``.
        answer: Column of the answer, -1 if it is not among the candidates, ``(B,)``.
    """

    anchor: Tensor
    relation: Tensor
    features: Features
    usable: Tensor
    answer: Tensor

    def frequencies_only(self) -> CandidateLists:
        """Return the queries with no features but vectors, frequency and degree."""
        zero = torch.zeros(()).expand_as(self.features.vectors)
        kept = ("vectors", "frequency", "degree")
        off = {name: zero for name in Features._fields if name not in kept}
        return replace(self, features=self.features._replace(**off))

    def where(self, mask: Tensor) -> CandidateLists:
        """Return the queries that a mask ``(B,)`` keeps."""
        return CandidateLists(
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


@dataclass(frozen=True, eq=False)
class LabelledLists:
    """Distinct queries with their best candidates among those that no training fact states.

    Args:
        anchor: Given entity of each query, ``(B,)``.
        relation: Directed relation of each query, ``(B,)``.
        features: Of the candidates, ``(B, K)``.
        usable: Whether a candidate is neither stated nor repeated, bool ``(B, K)``.
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
        for part in each(lambda block: _score_block(scorer, sample, *block), blocks):
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
    usable = ~known
    usable.scatter_(1, own, value=True)
    by_each_way = _by_each_way(features)
    chosen, once = _best(usable, by_each_way)
    is_answer = (chosen == own) & once
    of_facts = CandidateLists(
        anchors,
        along,
        _gathered(features, chosen),
        usable.gather(1, chosen) & once,
        torch.where(is_answer.any(1), is_answer.int().argmax(1), -1),
    )
    first = torch.from_numpy(is_first)
    features = Features(*(x[first] for x in features))
    of_queries = _labelled(
        anchors[first],
        along[first],
        features,
        [x[first] for x in by_each_way],
        ~stated[first],
        (known & ~stated)[first],
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
    none = torch.zeros_like(stated)
    return _labelled(anchors, along, features, _by_each_way(features), ~stated, none, denied)


def _labelled(
    anchors: Tensor,
    along: Tensor,
    features: Features,
    by_each_way: Sequence[Tensor],
    usable: Tensor,
    labels: Tensor,
    judged: Tensor | None = None,
) -> LabelledLists:
    """Return the best candidates of queries with their labels, ``(B, C)``."""
    chosen, once = _best(usable, by_each_way)
    kept = usable.gather(1, chosen) & once
    return LabelledLists(
        anchors,
        along,
        _gathered(features, chosen),
        kept,
        labels.gather(1, chosen),
        kept if judged is None else kept & judged.gather(1, chosen),
    )


def _marked(
    index: KnownFacts, anchors: Tensor, relations: Tensor, side: Side, column: Tensor, size: int
) -> Tensor:
    """Return which candidates answer queries by an index of facts, bool ``(B, C)``."""
    query, answer = index.answers(anchors.numpy(), relations.numpy(), side)
    marked = torch.zeros(len(anchors), size, dtype=torch.bool)
    marked[torch.from_numpy(query), column[torch.from_numpy(answer)]] = True
    return marked


def _by_each_way(features: Features) -> list[Tensor]:
    """Return scores ``(B, C)`` by vectors, evidence, both with default weights, and frequency.

    Where facts are few, vectors rank at random, and frequent answers are the best candidates.
    """
    by_both = ensemble_scores(features, torch.tensor([DEFAULT_WEIGHTS]))
    by_frequency = features.frequency + DEGREE_SHARE * features.degree
    return [features.vectors, evidence_probability(features), by_both, by_frequency]


def _best(usable: Tensor, scores: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the best usable candidates by each score, ascending, and which are no repeats."""
    best = [
        x.masked_fill(~usable, -torch.inf).topk(min(CANDIDATES, x.shape[1])).indices for x in scores
    ]
    chosen = torch.cat(best, dim=1).sort(dim=1).values
    once = torch.ones_like(chosen, dtype=torch.bool)
    once[:, 1:] = chosen[:, 1:] != chosen[:, :-1]
    return chosen, once


def _gathered(features: Features, chosen: Tensor) -> Features:
    return Features(*(x if x.shape[1] == 1 else x.gather(1, chosen) for x in features))


def _concatenated(parts: Sequence[Any]) -> Any:
    """Concatenate tensors, or tuples and dataclasses of them."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat(list(parts))
    rows = [part if isinstance(part, tuple) else tuple(vars(part).values()) for part in parts]
    return type(first)(*(_concatenated(column) for column in zip(*rows, strict=True)))
