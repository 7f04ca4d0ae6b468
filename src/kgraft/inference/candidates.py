"""The entities that may be answers, scored and ranked in blocks: rows in, rows out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.graph.known_facts import Side
from kgraft.graph.vocabulary import Rows
from kgraft.inference.names import Named
from kgraft.inference.observed import Observed
from kgraft.linking.joint_graph import places_of
from kgraft.model.calibration import shares
from kgraft.model.evidence import By
from kgraft.model.scorer import Scorer

SCORES_AT_ONCE = 2**22
"""Scores held at once: 16 MiB of them."""

MOST_QUERIES = 256
"""Queries answered at once."""


@dataclass(frozen=True, eq=False)
class Best:
    """The best candidates of ``b`` queries, best first.

    Args:
        places: The source's rows of entities, int64 ``(b, k)``.
        scores: Their scores, -inf where there are fewer candidates than ``k``, ``(b, k)``.
        probability: Their probabilities, NaN where the model has no calibration, ``(b, k)``.
    """

    places: Rows
    scores: NDArray[np.float32]
    probability: NDArray[np.float64]


class Standing(NamedTuple):
    """How a fact's tail stands among the candidates.

    Args:
        score: Its score.
        probability: Its probability, None where the model has no calibration.
        rank: One more than the candidates of a higher score that the source does not state.
    """

    score: float
    probability: float | None
    rank: int


class Candidates:
    """The entities of a source that have a vector, to be scored by a model.

    Args:
        named: The model in the names of the source.
        by: What they are ranked by.
        scorer: What does it.

    Attributes:
        places: Their rows in the source, int64 ``(c,)``.
        rows: Their rows in the model, ``(c,)``.
    """

    def __init__(self, named: Named, by: By, scorer: Scorer) -> None:
        self._named, self._by, self._scorer = named, by, scorer
        entity_rows = named.part.entity_rows
        self.places = np.flatnonzero(entity_rows < named.model.kge.n_entities)
        self.rows: Rows = entity_rows[self.places]
        own = named.source == named.model.target
        self._calibration = named.model.calibration.get(by) if own else None

    def __len__(self) -> int:
        return len(self.places)

    @torch.inference_mode()
    def best(
        self,
        anchors: Rows,
        relations: Rows,
        side: Side,
        k: int,
        *,
        typed: bool = False,
        new: bool = False,
    ) -> Iterator[tuple[slice, Best]]:
        """Yield the best candidates of queries, in blocks.

        Args:
            anchors: The model's rows of entities with a vector, int64 ``(n,)``.
            relations: The model's rows of relations, ``(n,)``.
            side: What is asked for.
            k: The most candidates.
            typed: Leave out what is not in the observed domain or range of the relation.
            new: Leave out what the source states.
        """
        size = min(max(SCORES_AT_ONCE // max(len(self), 1), 1), MOST_QUERIES)
        for start in range(0, len(anchors), size):
            block = slice(start, start + size)
            scores, unknown = self._scores(anchors[block], relations[block], side, self._scorer)
            shown = unknown if new else scores
            if typed:
                shown = shown.masked_fill(~self._typed(relations[block], side), -torch.inf)
            top = shown.topk(min(k, len(self)))
            probability = torch.full(top.values.shape, torch.nan, dtype=torch.float64)
            if self._calibration is not None:
                share = shares(top.values, unknown, self._by)
                probability = self._calibration.probability(share)
            places = self.places[top.indices.numpy()]
            yield block, Best(places, top.values.numpy(), probability.numpy())

    @torch.inference_mode()
    def standing(self, fact: tuple[int, int, int], scorer: Scorer | None = None) -> Standing:
        """Return how the tail of a fact of the model's rows stands among the candidates.

        Args:
            fact: Head, relation and tail; both entities are candidates.
            scorer: Scores them, by default as everything is scored.
        """
        head, relation, tail = (np.array([row]) for row in fact)
        scores, unknown = self._scores(head, relation, "tail", scorer or self._scorer)
        own = scores[:, self._column[tail]]
        probability = None
        if self._calibration is not None:
            share = shares(own, unknown, self._by)
            probability = self._calibration.probability(share).item()
        return Standing(own.item(), probability, 1 + int((unknown > own).sum()))

    @property
    def calibrated(self) -> bool:
        """Whether scores become probabilities."""
        return self._calibration is not None

    def ends(self, relation: int, side: Side) -> Rows:
        """Return the candidates at a side of the facts that some source states with a relation.

        Args:
            relation: A row of the model.
            side: The side: heads are the relation's observed domain, tails its range.

        Returns:
            Places among the candidates, int64 ``(n,)``.
        """
        column = self._column[self._observed.ends(relation, side)]
        return column[column >= 0]

    @cached_property
    def _observed(self) -> Observed:
        return Observed(self._named.model.graph.triples)

    def _scores(
        self, anchors: Rows, relations: Rows, side: Side, scorer: Scorer
    ) -> tuple[Tensor, Tensor]:
        """Return scores ``(b, c)``, and again with -inf for what the source states."""
        scores = scorer.score(
            torch.from_numpy(anchors),
            torch.from_numpy(relations),
            side=side,
            candidates=torch.from_numpy(self.rows),
        )
        known = self._named.known[self._named.source]
        query, entity = known.answers(anchors, relations, side)
        column = self._column[entity]
        there = column >= 0
        unknown = scores.clone()
        unknown[torch.from_numpy(query[there]), torch.from_numpy(column[there])] = -torch.inf
        return scores, unknown

    def _typed(self, relations: Rows, side: Side) -> Tensor:
        """Say which candidates the relation of a query has been seen with, bool ``(b, c)``."""
        seen = torch.zeros(len(relations), len(self), dtype=torch.bool)
        for place, relation in enumerate(relations.tolist()):
            seen[place, torch.from_numpy(self.ends(relation, side))] = True
        return seen

    @cached_property
    def _column(self) -> Rows:
        """The column of each of the model's entities, or -1."""
        return places_of(self.rows, self._named.model.graph.n_entities)
