"""Answers by rules and statements, alone and mixed with the vectors'.

Shapes: B queries, C candidates, F features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.graph.grouped_index import GroupedIndex, Ints
from kgraft.graph.known_facts import Side
from kgraft.linking.joint_graph import positions_of
from kgraft.model.kge import KgeModel
from kgraft.model.scorer import directed
from kgraft.rules.evidence_index import EvidenceSource

DEFAULT_WEIGHTS = (0.55, 1.2, 1.9, 0.8, 0.5, -0.5, 0.7, 0.4, -0.4)
"""Weights to begin with, about what validation facts of DBP-5L make of them."""

FAINT = 0.001
"""A rules' chance below this hardly counts."""

COMMON = 0.2
"""Brings the product of what vectors and rules say to the size of the other features."""

SUREST = 0.99
"""The most, and one minus it the least, that agreement counts as: nothing is beyond doubt, and what
rules say still tells answers apart."""


class Features(NamedTuple):
    """What a mixture weighs.

    Args:
        vectors: The score by vectors, ``(B, C)``.
        inferred: ``log(1 + p / FAINT)`` of the rules' chance ``p``, ``(B, C)``.
        stated: Whether another source states the answer, 1 or 0, ``(B, C)``.
        agreed: For those, the log odds that the target agrees, else 0, ``(B, C)``.
        unstated: The chance that the target agrees with none of a query's statements, ``(B, 1)``:
            one minus the largest.
        joined: Whether any fact joins a candidate with the entity asked about, 1 or 0, ``(B, C)``.
        frequent: How often a candidate answers along the relation, ``(B, C)``, and
        degree: in how many facts it is, ``(B, C)``: see ``kgraft.rules.answer_frequencies``.
    """

    vectors: Tensor
    inferred: Tensor
    stated: Tensor
    agreed: Tensor
    unstated: Tensor
    joined: Tensor
    frequent: Tensor
    degree: Tensor


def ensemble_scores(features: Features, weights_BF: Tensor) -> Tensor:
    """Return the scores ``(B, C)`` of a mixture.

    A weighted sum of vectors, rules, statement, agreement, vectors again as far as nothing that is
    stated will do, what vectors and rules say in common (what both say counts less than twice), and
    connections.
    """
    vectors, inferred, stated, agreed, alone, common, joined, frequent, degree = (
        weights_BF.unsqueeze(-1).unbind(1)
    )
    scores = (vectors + alone * features.unstated) * features.vectors
    # In place: a sum of products would make two more matrices for each of them.
    scores.addcmul_(
        torch.addcmul(inferred, common, features.vectors, value=COMMON), features.inferred
    )
    for weight, feature in (
        (stated, features.stated),
        (agreed, features.agreed),
        (joined, features.joined),
        (frequent, features.frequent),
        (degree, features.degree),
    ):
        scores.addcmul_(weight, feature)
    return scores


def evidence_probability(features: Features) -> Tensor:
    """Return the chance ``(B, C)`` that rules or a statement are right."""
    inferred = FAINT * torch.expm1(features.inferred)
    return _either(inferred, features.stated * features.agreed.sigmoid())


def _either(one: Tensor, other: Tensor) -> Tensor:
    both_wrong: Tensor = (1.0 - one) * (1.0 - other)
    return 1.0 - both_wrong


@dataclass(frozen=True, eq=False)
class _Found:
    """Answers that are candidates: query, column and what is said of each, ``(M,)``."""

    query: Tensor
    column: Tensor
    said: Tensor

    def spread(self, size: tuple[int, int], values: Tensor) -> Tensor:
        """Return values, one an answer, in their places of ``(B, C)`` zeros."""
        return torch.zeros(size).index_put_((self.query, self.column), values)


class _Candidates:
    """Entities that are scored, a column each.

    Args:
        rows: Their rows, int64 ``(C,)``.
        size: Entity rows of the graph.
    """

    def __init__(self, rows: Ints, size: int) -> None:
        self.rows = rows
        self._column = positions_of(rows, size)

    def __len__(self) -> int:
        return len(self.rows)

    def among(self, query: NDArray[Any], entity: NDArray[Any], said: NDArray[np.float32]) -> _Found:
        """Return those of the answers that are candidates."""
        column = self._column[entity]
        kept = column >= 0
        return _Found(*(torch.from_numpy(x[kept]) for x in (query.astype(np.int64), column, said)))


class EvidenceScorer:
    """Scores candidates by their witnesses: the chance that rules or a statement are right.

    Args:
        witnesses: Rules and statements.
        n_entities: Number of entity rows that may be candidates, the first ones.
        n_relations: Number of relations, inverses not counted.
    """

    def __init__(self, witnesses: EvidenceSource, n_entities: int, n_relations: int) -> None:
        self._witnesses = witnesses
        self._n_entities = n_entities
        self._n_relations = n_relations
        self._last: tuple[bytes, tuple[_Heard, _Heard]] | None = None

    def score(
        self,
        anchors: Tensor,
        relations: Tensor,
        *,
        side: Side,
        candidates: Tensor | None = None,
        out: Tensor | None = None,  # noqa: ARG002 - several matrices are made on the way
    ) -> Tensor:
        """Score candidates as ``KgeModel.score`` does, from 0 to 1."""
        among = self.candidates(candidates)
        inferred, stated, _ = self.found(anchors, relations, side, among)
        size = (len(anchors), len(among))
        return _either(*(found.spread(size, found.said) for found in (inferred, stated)))

    def candidates(self, rows: Tensor | None) -> _Candidates:
        """Return the candidates in these entity rows, by default all that may be."""
        chosen = np.arange(self._n_entities) if rows is None else rows.numpy()
        return _Candidates(chosen, len(self._witnesses.connections.degree))

    def found(
        self, anchors: Tensor, relations: Tensor, side: Side, candidates: _Candidates
    ) -> tuple[_Found, _Found, Tensor]:
        """Return what rules infer, what sources state, and the chance of none of it, ``(B, 1)``."""
        heard = self._heard(anchors, directed(relations, side, self._n_relations))
        best = np.zeros(len(anchors), dtype=np.float32)
        np.maximum.at(best, heard[1].query, heard[1].said)
        inferred, stated = (candidates.among(x.query, x.entity, x.said) for x in heard)
        return inferred, stated, torch.from_numpy(1.0 - best)[:, None]

    def connections(
        self, anchors: Tensor, relations: Tensor, side: Side, candidates: _Candidates
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return whether each candidate is joined, and how often it answers and is an end."""
        known, width = self._witnesses.connections, len(candidates)
        along = directed(relations, side, self._n_relations).numpy()
        asked, which = np.unique(along, return_inverse=True)
        found = candidates.among(*known.answers(asked))
        frequent = found.spread((len(asked), width), found.said)[torch.from_numpy(which)]
        place, neighbour = known.neighbours(anchors.numpy())
        near = candidates.among(place, neighbour, np.ones(len(place), np.float32))
        joined = near.spread((len(anchors), width), near.said)
        degree = torch.from_numpy(known.degree[candidates.rows])
        return joined, frequent, degree.expand_as(frequent)

    def _heard(self, anchors: Tensor, asked_along: Tensor) -> tuple[_Heard, _Heard]:
        """Return what rules infer and what sources state.

        The last queries' answers are kept: their candidates may come in blocks.
        """
        key = anchors.numpy().tobytes() + asked_along.numpy().tobytes()
        last = self._last
        if last is None or last[0] != key:
            last = self._last = (key, self._ask(anchors.numpy(), asked_along.numpy()))
        return last[1]

    def _ask(self, x: Ints, relation: Ints) -> tuple[_Heard, _Heard]:
        width = 2 * self._n_relations
        columns = np.divmod(np.unique(x * width + relation), width)
        named = zip(("x", "relation"), columns, strict=True)
        asked = pl.DataFrame({name: column.astype(np.int32) for name, column in named})
        inferred, stated = (
            _heard(frame, x, relation)
            for frame in (self._witnesses.inferred(asked), self._witnesses.stated(asked))
        )
        return inferred, replace(stated, said=stated.said.clip(1 - SUREST, SUREST))


@dataclass(frozen=True, eq=False)
class _Heard:
    """Answers: the place of the query, the entity, and what is said of each, ``(M,)``."""

    query: Ints
    entity: Ints
    said: NDArray[np.float32]


def _heard(frame: pl.DataFrame, x: Ints, relation: Ints) -> _Heard:
    """Give each query ``(B,)`` its answers: ``x``, ``relation``, ``y`` and ``confidence``."""
    x_of, relation_of, y, said = (frame[name].to_numpy() for name in frame.columns)
    query, row = GroupedIndex.of(x_of, relation_of).rows(x, relation)
    return _Heard(query, y[row], said[row])


class EnsembleScorer:
    """Scores candidates by vectors and witnesses together.

    Args:
        kge: The vectors. What they are told is usual is left out, for a mixture weighs it itself.
        rules: The witnesses, which can also answer alone.
        weights: float ``(2 m, F)``, a mixture for each relation and each inverse.
    """

    def __init__(self, kge: KgeModel, rules: EvidenceScorer, weights: Tensor) -> None:
        self._kge = kge.with_prior(None)
        self.rules = rules
        self._weights = weights

    @property
    def n_entities(self) -> int:
        """Number of entity rows."""
        return self._kge.n_entities

    def score(
        self,
        anchors: Tensor,
        relations: Tensor,
        *,
        side: Side,
        candidates: Tensor | None = None,
        out: Tensor | None = None,  # noqa: ARG002 - several matrices are made on the way
    ) -> Tensor:
        """Score candidates as ``KgeModel.score`` does."""
        features = self.features(anchors, relations, side=side, candidates=candidates)
        return ensemble_scores(
            features, self._weights[directed(relations, side, self._kge.n_relations)]
        )

    def features(
        self, anchors: Tensor, relations: Tensor, *, side: Side, candidates: Tensor | None
    ) -> Features:
        """Return what the mixture weighs."""
        scores = self._kge.score(anchors, relations, side=side, candidates=candidates).cpu()
        size, among = (scores.shape[0], scores.shape[1]), self.rules.candidates(candidates)
        inferred, stated, unstated = self.rules.found(anchors, relations, side, among)
        return Features(
            scores,
            inferred.spread(size, torch.log1p(inferred.said / FAINT)),
            stated.spread(size, torch.ones_like(stated.said)),
            stated.spread(size, stated.said.logit()),
            unstated,
            *self.rules.connections(anchors, relations, side, among),
        )
