"""Scores by evidence (rules and other sources), alone and in an ensemble with vectors.

Shapes: B queries, C candidates, F features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.graph.grouped_index import Column, Ints
from kgraft.graph.known_facts import Side
from kgraft.linking.joint_graph import positions_of
from kgraft.model.kge import KgeModel
from kgraft.model.scorer import directed
from kgraft.rules.evidence_index import EvidenceSource

DEFAULT_WEIGHTS = (0.55, 1.2, 1.9, 0.8, 0.5, -0.5, 0.7, 0.4, -0.4, 0.0, 0.0)
"""Initial weights, close to those fitted on DBP-5L."""

RULE_SCALE = 0.001
"""Scale of rule probabilities: below it the feature is nearly linear, above it logarithmic."""

INTERACTION_SCALE = 0.2
"""Factor of the product of vectors and rules, which gives it the scale of the other features."""

MAX_RELIABILITY = 0.99
"""Upper bound of source reliability; one minus it is the lower bound. Log odds stay finite, and
rules still rank the answers of a perfect source."""


class Features(NamedTuple):
    """The features of an ensemble.

    Args:
        vectors: Score by vectors, without the frequency prior, ``(B, C)``.
        inferred: ``log(1 + p / RULE_SCALE)`` of the rules' probability ``p``, ``(B, C)``.
        stated: 1 if another source states the answer, else 0, ``(B, C)``.
        reliability: Log odds of that source's reliability, 0 if none states it, ``(B, C)``.
        unstated: One minus the largest reliability of a query's statements, ``(B, 1)``.
        joined: 1 if any fact joins the candidate with the query's entity, else 0, ``(B, C)``.
        frequency: Log frequency of the candidate as an answer of the relation, ``(B, C)``.
        degree: Log number of facts about the candidate, ``(B, C)``.
        linked: 1 if another source has the candidate, else 0, ``(B, C)``.
        both_linked: 1 if another source has the query's entity too, else 0, ``(B, C)``.
    """

    vectors: Tensor
    inferred: Tensor
    stated: Tensor
    reliability: Tensor
    unstated: Tensor
    joined: Tensor
    frequency: Tensor
    degree: Tensor
    linked: Tensor
    both_linked: Tensor


def ensemble_scores(features: Features, weights_BF: Tensor) -> Tensor:
    """Return the scores ``(B, C)`` of an ensemble, a weighted sum of features.

    It has two interactions: that of vectors and ``unstated``, and that of vectors and rules.
    """
    vectors, inferred, stated, reliability, alone, common, *others = weights_BF.unsqueeze(
        -1
    ).unbind(1)
    scores = (vectors + alone * features.unstated) * features.vectors
    # In place, to allocate no matrix for each product and sum.
    interaction = torch.addcmul(inferred, common, features.vectors, value=INTERACTION_SCALE)
    scores.addcmul_(interaction, features.inferred)
    scores.addcmul_(stated, features.stated)
    scores.addcmul_(reliability, features.reliability)
    for weight, feature in zip(others, features[5:], strict=True):
        scores.addcmul_(weight, feature)
    return scores


def weighed_features(features: Features) -> Iterator[Tensor]:
    """Yield the factor ``(B, C)`` of each weight in ``ensemble_scores``, in their order."""
    vectors, inferred = features.vectors, features.inferred
    yield vectors
    yield from (inferred, features.stated, features.reliability)
    yield features.unstated * vectors
    yield INTERACTION_SCALE * vectors * inferred
    yield from features[5:]


def evidence_probability(features: Features) -> Tensor:
    """Return the probability ``(B, C)`` that rules or a statement are right."""
    inferred = RULE_SCALE * torch.expm1(features.inferred)
    return _noisy_or(inferred, features.stated * features.reliability.sigmoid())


def _noisy_or(one: Tensor, other: Tensor) -> Tensor:
    both_wrong: Tensor = (1.0 - one) * (1.0 - other)
    return 1.0 - both_wrong


@dataclass(frozen=True, eq=False)
class _Answers:
    """Answers: position of the query, entity (or its column), and probability, ``(M,)`` each."""

    query: Ints
    entity: Column
    probability: NDArray[np.float32]

    def scatter(self, size: tuple[int, int], values: Tensor | None = None) -> Tensor:
        """Return a dense matrix ``(B, C)`` of values, by default the probabilities."""
        found = torch.from_numpy(self.probability) if values is None else values
        places = torch.from_numpy(self.query), torch.from_numpy(self.entity)
        return torch.zeros(size).index_put_(places, found)


class _Candidates:
    """Candidates in entity rows, int64 ``(C,)``, of ``size`` rows; each has a column of scores."""

    def __init__(self, rows: Ints, size: int) -> None:
        self.rows = rows
        self._column = positions_of(rows, size)

    def __len__(self) -> int:
        return len(self.rows)

    def columns_of(
        self, query: NDArray[Any], entity: NDArray[Any], probability: NDArray[np.float32]
    ) -> _Answers:
        """Return the answers that are candidates, with columns in place of entities."""
        column = self._column[entity]
        kept = column >= 0
        return _Answers(query.astype(np.int64)[kept], column[kept], probability[kept])


class EvidenceScorer:
    """Scores candidates by evidence: the probability that rules or a statement are right.

    Args:
        evidence: Rules and statements.
        n_entities: Number of first entity rows that may be candidates.
        n_relations: Number of relations, inverses not counted.

    Attributes:
        frequencies: Frequencies and degrees of entities.
    """

    def __init__(self, evidence: EvidenceSource, n_entities: int, n_relations: int) -> None:
        self._evidence, self.frequencies = evidence, evidence.frequencies
        self._n_entities = n_entities
        self._n_relations = n_relations
        self._last: tuple[bytes, tuple[_Answers, _Answers]] | None = None

    def score(
        self,
        anchors: Tensor,
        relations: Tensor,
        *,
        side: Side,
        candidates: Tensor | None = None,
        out: Tensor | None = None,  # noqa: ARG002 - features need matrices of their own
    ) -> Tensor:
        """Score candidates as ``KgeModel.score`` does, from 0 to 1."""
        among = self.candidates(candidates)
        inferred, stated, _ = self.answers(anchors, relations, side, among)
        found = inferred.scatter((len(anchors), len(among)))
        places = torch.from_numpy(stated.query), torch.from_numpy(stated.entity)
        found[places] = _noisy_or(found[places], torch.from_numpy(stated.probability))
        return found

    def candidates(self, rows: Tensor | None) -> _Candidates:
        """Return candidates by entity rows, by default all that may be candidates."""
        chosen = np.arange(self._n_entities) if rows is None else rows.numpy()
        return _Candidates(chosen, len(self.frequencies.degree))

    def answers(
        self, anchors: Tensor, relations: Tensor, side: Side, candidates: _Candidates
    ) -> tuple[_Answers, _Answers, Tensor]:
        """Return inferred and stated candidates, and ``unstated`` of ``Features``, ``(B, 1)``."""
        found = self._all_answers(anchors, directed(relations, side, self._n_relations))
        best = np.zeros(len(anchors), dtype=np.float32)
        np.maximum.at(best, found[1].query, found[1].probability)
        inferred, stated = (candidates.columns_of(x.query, x.entity, x.probability) for x in found)
        return inferred, stated, torch.from_numpy(1.0 - best)[:, None]

    def entity_features(
        self, anchors: Tensor, relations: Tensor, side: Side, candidates: _Candidates
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return the last five of ``Features``, from ``joined`` on, each ``(B, C)``."""
        known, width = self.frequencies, len(candidates)
        along = directed(relations, side, self._n_relations).numpy()
        asked, which = np.unique(along, return_inverse=True)
        found = candidates.columns_of(*known.answers(asked))
        frequency = found.scatter((len(asked), width))[torch.from_numpy(which)]
        place, neighbour = known.neighbours(anchors.numpy())
        near = candidates.columns_of(place, neighbour, np.ones(len(place), np.float32))
        joined = near.scatter((len(anchors), width))
        degree, linked, of_anchors = (
            torch.from_numpy(x)
            for x in (
                known.degree[candidates.rows],
                known.linked[candidates.rows],
                known.linked[anchors.numpy()],
            )
        )
        linked = linked.expand_as(frequency)
        return joined, frequency, degree.expand_as(frequency), linked, linked * of_anchors[:, None]

    def _all_answers(self, anchors: Tensor, along: Tensor) -> tuple[_Answers, _Answers]:
        """Return all inferred and stated answers; the last ones are cached for more candidates."""
        key = anchors.numpy().tobytes() + along.numpy().tobytes()
        last = self._last
        if last is None or last[0] != key:
            last = self._last = (key, self._look_up(anchors.numpy(), along.numpy()))
        return last[1]

    def _look_up(self, x: Ints, relation: Ints) -> tuple[_Answers, _Answers]:
        inferred = _Answers(*self._evidence.inferred(x, relation))
        stated = _Answers(*self._evidence.stated(x, relation))
        bounded = stated.probability.clip(1 - MAX_RELIABILITY, MAX_RELIABILITY)
        return inferred, replace(stated, probability=bounded)


class EnsembleScorer:
    """Scores candidates by an ensemble of vectors and evidence.

    Args:
        kge: The vectors; their frequency prior is not used, since the ensemble has that feature.
        evidence: The scorer by evidence.
        weights: Weights of features for each relation and inverse, float ``(2 m, F)``.

    Attributes:
        n_entities: Number of entity rows.
        n_relations: Number of relations, inverses not counted.
        evidence: The scorer by evidence.
    """

    def __init__(self, kge: KgeModel, evidence: EvidenceScorer, weights: Tensor) -> None:
        self._kge = kge.with_prior(None)
        self.n_entities, self.n_relations = kge.n_entities, kge.n_relations
        self.evidence = evidence
        self.weights = weights

    def score(
        self,
        anchors: Tensor,
        relations: Tensor,
        *,
        side: Side,
        candidates: Tensor | None = None,
        out: Tensor | None = None,  # noqa: ARG002 - features need matrices of their own
    ) -> Tensor:
        """Score candidates as ``KgeModel.score`` does."""
        features = self.features(anchors, relations, side=side, candidates=candidates)
        return ensemble_scores(features, self.weights[directed(relations, side, self.n_relations)])

    def features(
        self, anchors: Tensor, relations: Tensor, *, side: Side, candidates: Tensor | None
    ) -> Features:
        """Return the features of candidates."""
        scores = self._kge.score(anchors, relations, side=side, candidates=candidates).cpu()
        size, among = (scores.shape[0], scores.shape[1]), self.evidence.candidates(candidates)
        inferred, stated, unstated = self.evidence.answers(anchors, relations, side, among)
        reliability = torch.from_numpy(stated.probability)
        return Features(
            scores,
            inferred.scatter(
                size, torch.log1p(torch.from_numpy(inferred.probability) / RULE_SCALE)
            ),
            stated.scatter(size, torch.ones_like(reliability)),
            stated.scatter(size, reliability.logit()),
            unstated,
            *self.evidence.entity_features(anchors, relations, side, among),
        )
