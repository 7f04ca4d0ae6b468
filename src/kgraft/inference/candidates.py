"""Candidate answers: the entities of a source, scored and ranked by a model in blocks of queries.

Shapes: n queries in all, b of one block, c candidates, k answers to each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.graph.known_facts import KnownFacts, Side
from kgraft.graph.vocabulary import Rows
from kgraft.inference.names import ModelNames
from kgraft.linking.joint_graph import positions_of
from kgraft.model.calibration import log_shares
from kgraft.model.evidence import By
from kgraft.model.scorer import Scorer, without_known

MAX_SCORES = 2**22
"""Scores held at once: 16 MiB of them."""

MAX_QUERIES = 256
"""Queries answered at once."""


@dataclass(frozen=True, eq=False)
class TopCandidates:
    """The best candidates of a block of queries, best first.

    Args:
        places: The source's rows of entities, int64 ``(b, k)``.
        scores: Their scores, -inf where there are fewer candidates than ``k``, ``(b, k)``.
        probability: Their probabilities if asked, NaN where the model has no calibration,
            ``(b, k)``.
    """

    places: Rows
    scores: NDArray[np.float32]
    probability: NDArray[np.float64]


class FactScore(NamedTuple):
    """Score, probability if asked (None without a calibration) and rank of a fact's tail.

    Candidates that the source states in training do not count for the rank.
    """

    score: float
    probability_if_asked: float | None
    rank: int


class Candidates:
    """The entities of a source that have a vector, with the scorer that ranks them.

    Args:
        names: The model's names, seen from the source.
        by: How the model answers.
        scorer: Scores entities in the model's rows.

    Attributes:
        places: Their rows in the source, int64 ``(c,)``.
        rows: Their rows in the model, ``(c,)``.
    """

    def __init__(self, names: ModelNames, by: By, scorer: Scorer) -> None:
        self._names, self._by, self._scorer = names, by, scorer
        entity_rows = names.part.entity_rows
        self.places = np.flatnonzero(names.model.kge.has_vector(entity_rows))
        self.rows: Rows = entity_rows[self.places]
        own = names.source == names.model.target
        self._calibration = names.model.calibration.get(by) if own else None

    def __len__(self) -> int:
        return len(self.places)

    @torch.inference_mode()
    def top(
        self,
        anchors: Rows,
        relations: Rows,
        side: Side,
        k: int,
        *,
        typed: bool = False,
        without: KnownFacts | None = None,
    ) -> Iterator[tuple[slice, TopCandidates]]:
        """Yield the best candidates of queries, in blocks; facts known to be false are none.

        The queries' own entities that ``own`` returns are left out.

        Args:
            anchors: The model's rows of the given entities, which have a vector, int64 ``(n,)``.
            relations: The model's rows of relations, ``(n,)``.
            side: The side that is asked for.
            k: The maximum number of candidates for each query.
            typed: Leave out entities outside the observed domain or range of the relation.
            without: Facts to leave out, in the model's rows.
        """
        size = min(max(MAX_SCORES // max(len(self), 1), 1), MAX_QUERIES)
        for start in range(0, len(anchors), size):
            block = slice(start, start + size)
            scores, unknown = self._scores(anchors[block], relations[block], side, self._scorer)
            false = self._names.known_false
            shown = scores
            if len(false):
                shown = self._without(scores, anchors[block], relations[block], side, false)
            if without is not None:
                shown = self._without(shown, anchors[block], relations[block], side, without)
            shown = self._without_loops(shown, anchors[block], relations[block])
            if typed:
                shown = shown.masked_fill(~self._typed(relations[block], side), -torch.inf)
            top = shown.topk(min(k, len(self)))
            probability = torch.full(top.values.shape, torch.nan, dtype=torch.float64)
            if self._calibration is not None:
                share = log_shares(top.values, unknown, self._by)
                probability = self._calibration.probability(share)
            places = self.places[top.indices.numpy()]
            yield block, TopCandidates(places, top.values.numpy(), probability.numpy())

    @torch.inference_mode()
    def shares(self, anchors: Rows, relations: Rows, side: Side) -> Tensor:
        """Return the log share of all candidates of a few queries, ``(b, c)``; none is left out.

        Those that the source does not state have shares of 1 in all, but for the far tail.

        Args:
            anchors: The model's rows of the given entities, which have a vector, int64 ``(b,)``.
            relations: The model's rows of relations, ``(b,)``.
            side: The side that is asked for.
        """
        scores, unknown = self._scores(anchors, relations, side, self._scorer)
        return log_shares(scores, unknown, self._by)

    @torch.inference_mode()
    def score_fact(self, fact: tuple[int, int, int], scorer: Scorer | None = None) -> FactScore:
        """Score the tail of a fact of the model's rows, and rank it among the candidates.

        Args:
            fact: Head, relation and tail; both entities are candidates.
            scorer: Scores them, in place of the usual scorer.
        """
        head, relation, tail = (np.array([row]) for row in fact)
        scores, unknown = self._scores(head, relation, "tail", scorer or self._scorer)
        own = scores[:, self._column[tail]]
        probability = None
        if self._calibration is not None:
            share = log_shares(own, unknown, self._by)
            probability = self._calibration.probability(share).item()
        return FactScore(own.item(), probability, 1 + int((unknown > own).sum()))

    @property
    def calibrated(self) -> bool:
        """Whether scores become probabilities."""
        return self._calibration is not None

    def ends(self, relation: int, side: Side) -> Rows:
        """Return the places of the candidates in a relation's observed domain or range, ``(n,)``.

        These are heads or tails of the facts of any source along the relation, a row of the model.
        """
        relations, entities = self._observed[side].T
        start, stop = relations.searchsorted([relation, relation + 1])
        column = self._column[entities[start:stop]]
        found: Rows = column[column >= 0]
        return found

    def own(self, anchors: Rows, relations: Rows) -> tuple[Rows, Rows]:
        """Return the queries ``(n,)`` whose entity is no answer itself, and its candidate ``(n,)``.

        An entity may answer a query about itself where a source states a fact along the relation
        that leads from an entity to itself.

        Args:
            anchors: The model's rows of the given entities, ``(b,)``.
            relations: The model's rows of relations, ``(b,)``.
        """
        column = self._column[anchors]
        query = np.flatnonzero((column >= 0) & ~self._has_loops[relations])
        return query, column[query]

    def _without_loops(self, scores: Tensor, anchors: Rows, relations: Rows) -> Tensor:
        """Return scores ``(b, c)`` with -inf for the query's entity, where no fact is a loop."""
        query, own = self.own(anchors, relations)
        left = scores.clone()
        left[torch.from_numpy(query), torch.from_numpy(own)] = -torch.inf
        return left

    @cached_property
    def _has_loops(self) -> NDArray[np.bool_]:
        """Mask of the relations with a fact from an entity to itself, ``(m,)``."""
        graph = self._names.model.graph
        heads, relations, tails = graph.triples.T
        found = np.zeros(graph.n_relations, dtype=np.bool_)
        found[relations[heads == tails]] = True
        return found

    @cached_property
    def _observed(self) -> dict[Side, Rows]:
        """Distinct pairs of relation and entity at each side of all facts, sorted."""
        triples = self._names.model.graph.triples
        columns: dict[Side, list[int]] = {"head": [1, 0], "tail": [1, 2]}
        return {side: np.unique(triples[:, x], axis=0) for side, x in columns.items()}

    def _scores(
        self, anchors: Rows, relations: Rows, side: Side, scorer: Scorer
    ) -> tuple[Tensor, Tensor]:
        """Return scores ``(b, c)``, and again with -inf for what the source states or denies.

        These are its training facts, and those known to be false.
        """
        scores = scorer.score(
            torch.from_numpy(anchors),
            torch.from_numpy(relations),
            side=side,
            candidates=torch.from_numpy(self.rows),
        )
        trained, false = self._names.trained[self._names.source], self._names.known_false
        unknown = self._without(scores, anchors, relations, side, trained)
        if len(false):
            unknown = self._without(unknown, anchors, relations, side, false)
        return scores, unknown

    def _without(
        self, scores: Tensor, anchors: Rows, relations: Rows, side: Side, known: KnownFacts
    ) -> Tensor:
        """Return scores ``(b, c)`` with -inf for known facts."""
        return without_known(scores, self._column, known, anchors, relations, side)

    def _typed(self, relations: Rows, side: Side) -> Tensor:
        """Mark the candidates that each query's relation has been seen with, bool ``(b, c)``."""
        seen = torch.zeros(len(relations), len(self), dtype=torch.bool)
        for place, relation in enumerate(relations.tolist()):
            seen[place, torch.from_numpy(self.ends(relation, side))] = True
        return seen

    @cached_property
    def _column(self) -> Rows:
        """The column of each of the model's entities, or -1."""
        return positions_of(self.rows, self._names.model.graph.n_entities)
