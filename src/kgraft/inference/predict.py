"""Answers to queries: the most plausible tails, heads or relations, and what is known already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.graph.known_facts import Side
from kgraft.graph.vocabulary import Rows
from kgraft.inference.names import Named
from kgraft.inference.observed import Observed
from kgraft.linking.joint import places_of
from kgraft.model.calibration import shares
from kgraft.model.evidence import By
from kgraft.model.trained import TrainedModel

SCORES_AT_ONCE = 2**22
"""Scores held at once: 16 MiB of them."""

MOST_QUERIES = 256
"""Queries answered at once."""


@dataclass(frozen=True)
class Query:
    """A question ``(h, r, ?)``, ``(?, r, t)`` or ``(h, ?, t)``.

    Args:
        head: Name or label of the head, or None to ask for it.
        relation: Name of the relation, or its last part where that is unambiguous, or None.
        tail: Name or label of the tail, or None.

    Raises:
        ValueError: If not exactly two of the three are given.
    """

    head: str | None = None
    relation: str | None = None
    tail: str | None = None

    def __post_init__(self) -> None:
        if [self.head, self.relation, self.tail].count(None) != 1:
            raise ValueError("a query gives two of head, relation and tail, and asks for the third")


@dataclass(frozen=True)
class Prediction:
    """One answer.

    Args:
        head: Name of the head.
        relation: Name of the relation.
        tail: Name of the tail.
        label: What a person calls the answer: its label, here or in a linked source, or its name.
        score: The model's score, higher is more plausible; it compares within one query only.
        stated_by: The sources whose training facts state it already.
        probability: The chance that it is right, as ``kgraft.model.calibration`` says; None where
            the model has no calibration, for relations, and for other sources than the target.
    """

    head: str
    relation: str
    tail: str
    label: str
    score: float
    stated_by: tuple[str, ...]
    probability: float | None = None

    @property
    def known(self) -> bool:
        """Whether a source states it already."""
        return bool(self.stated_by)


def predict(
    model: TrainedModel,
    *,
    head: str | None = None,
    relation: str | None = None,
    tail: str | None = None,
    source: str | None = None,
    k: int = 10,
    by: By | None = None,
    typed: bool = False,
) -> list[Prediction]:
    """Answer ``(h, r, ?)``, ``(?, r, t)`` or ``(h, ?, t)``: give two of the three.

    For more than one query, prepare a ``Predictor``.

    Args:
        model: A trained model.
        head: Name or label of the head.
        relation: Name of the relation, or its last part where that is unambiguous.
        tail: Name or label of the tail.
        source: The graph whose names are used and whose entities are candidates; by default the
            model's target, or a teacher's first source.
        k: The most answers.
        by: What entities are ranked by; by default what the model's validation facts favour.
            Relations are ranked by vectors.
        typed: Answer only by what is in the observed domain or range of the relation.

    Returns:
        Answers from the best score down.

    Raises:
        UnknownNameError: If a name is unknown, a label means several entities, or an entity has
            no vector.
        ValueError: If not exactly two of the three are given, ``k`` is below 1, or the model has no
            rules to answer by.
    """
    query = Query(head, relation, tail)
    return Predictor(model, source, by).answer([query], k, typed=typed)[0]


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


class Predictor:
    """A model made ready to answer many queries.

    Args:
        model: A trained model.
        source: The graph whose names are used and whose entities are candidates; by default the
            model's target, or a teacher's first source.
        by: What entities are ranked by; by default what the model's validation facts favour.

    Attributes:
        model: The model.
        by: What entities are ranked by.
        named: The model in the names of the source.

    Raises:
        UnknownNameError: If the model has no such source.
        ValueError: If the model has no rules to answer by.
    """

    def __init__(
        self, model: TrainedModel, source: str | None = None, by: By | None = None
    ) -> None:
        self.model = model
        self.by: By = by or model.answers_by
        self.named = Named(model, source)
        self.scorer = model.scorer(self.by)
        # Entities without a vector are no candidates.
        rows = self.named.part.entity_rows
        self.places = np.flatnonzero(rows < model.kge.n_entities)
        self.candidates = torch.from_numpy(rows[self.places])
        own = self.named.source == model.target
        self.calibration = model.calibration.get(self.by) if own else None

    def answer(
        self, queries: Sequence[Query], k: int = 10, *, typed: bool = False
    ) -> list[list[Prediction]]:
        """Answer queries, in blocks.

        Args:
            queries: Any mix of questions.
            k: The most answers to each.
            typed: Answer only by what is in the observed domain or range of the relation.

        Returns:
            For each query its answers, from the best score down.

        Raises:
            UnknownNameError: If a name is unknown, a label means several entities, or an entity has
                no vector.
            ValueError: If ``k`` is below 1.
        """
        if k < 1:
            raise ValueError(f"k is at least 1, not {k}")
        asked: dict[Side, list[tuple[int, int, int]]] = {"tail": [], "head": []}
        found: list[list[Prediction]] = [[] for _ in queries]
        for place, query in enumerate(queries):
            if query.relation is None:
                found[place] = self._relations(query, k, typed=typed)
                continue
            side: Side = "tail" if query.tail is None else "head"
            anchor = self.named.entity((query.head if side == "tail" else query.tail) or "")
            self.named.vector(anchor)
            asked[side].append((place, anchor, self.named.relation(query.relation)))
        for side, rows in asked.items():
            if rows:
                numbers, anchors, relations = np.array(rows, dtype=np.int64).T
                self._entities(found, numbers, anchors, relations, side, k, typed=typed)
        return found

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
            anchors: The source's rows of entities with a vector, int64 ``(n,)``.
            relations: The source's rows of relations, ``(n,)``.
            side: What is asked for.
            k: The most candidates.
            typed: Leave out what is not in the observed domain or range of the relation.
            new: Leave out what the source states.
        """
        part = self.named.part
        size = min(max(SCORES_AT_ONCE // max(len(self.places), 1), 1), MOST_QUERIES)
        for start in range(0, len(anchors), size):
            block = slice(start, start + size)
            asked, along = part.entity_rows[anchors[block]], part.relation_rows[relations[block]]
            scores = self.scorer.score(
                torch.from_numpy(asked),
                torch.from_numpy(along),
                side=side,
                candidates=self.candidates,
            )
            unknown = self._unknown(scores, asked, along, side)
            shown = unknown if new else scores
            if typed:
                shown = shown.masked_fill(~self._typed(along, side), -torch.inf)
            top = shown.topk(min(k, shown.shape[1]))
            probability = torch.full(top.values.shape, torch.nan, dtype=torch.float64)
            if self.calibration is not None:
                probability = self.calibration.probability(shares(top.values, unknown, self.by))
            places = self.places[top.indices.numpy()]
            yield block, Best(places, top.values.numpy(), probability.numpy())

    def _unknown(self, scores: Tensor, anchors: Rows, relations: Rows, side: Side) -> Tensor:
        """Return scores with -inf for what the source states."""
        query, entity = self.named.known[self.named.source].answers(anchors, relations, side)
        column = self._columns[entity]
        unknown = scores.clone()
        unknown[
            torch.from_numpy(query[column >= 0]), torch.from_numpy(column[column >= 0])
        ] = -torch.inf
        return unknown

    @cached_property
    def _columns(self) -> Rows:
        """The column of each of the model's entities among the candidates, or -1."""
        return places_of(self.candidates.numpy(), self.model.graph.n_entities)

    @cached_property
    def observed(self) -> Observed:
        """What the model's facts show of each relation's domain and range."""
        return Observed(self.model.graph.triples)

    def _typed(self, relations: Rows, side: Side) -> Tensor:
        """Say which candidates a query's relation has been seen with, bool ``(b, c)``."""
        seen = torch.zeros(len(relations), len(self.places), dtype=torch.bool)
        for place, relation in enumerate(relations.tolist()):
            column = self._columns[self.observed.ends(relation, side)]
            seen[place, torch.from_numpy(column[column >= 0])] = True
        return seen

    def _entities(
        self,
        found: list[list[Prediction]],
        numbers: Rows,
        anchors: Rows,
        relations: Rows,
        side: Side,
        k: int,
        *,
        typed: bool,
    ) -> None:
        """Answer queries for entities, each into its place of ``found``."""
        for block, best in self.best(anchors, relations, side, k, typed=typed):
            query, rank = np.nonzero(np.isfinite(best.scores))
            answer, anchor = best.places[query, rank], anchors[block][query]
            ends = (anchor, answer) if side == "tail" else (answer, anchor)
            facts = np.stack([ends[0], relations[block][query], ends[1]], axis=1)
            rows = self.named.part.entity_rows[answer]
            predictions = self._predictions(
                facts,
                [self.named.entity_label(row) for row in rows.tolist()],
                best.scores[query, rank],
                best.probability[query, rank],
            )
            for number, prediction in zip(numbers[block][query].tolist(), predictions, strict=True):
                found[number].append(prediction)

    def _relations(self, query: Query, k: int, *, typed: bool) -> list[Prediction]:
        """Return the best relations from one entity to another."""
        part, kge = self.named.part, self.model.kge
        head, tail = (self.named.entity(text or "") for text in (query.head, query.tail))
        start, end = self.named.vector(head), self.named.vector(tail)
        places = np.arange(len(part.relation_rows))
        if typed:
            seen = [
                start in self.observed.ends(row, "head") and end in self.observed.ends(row, "tail")
                for row in part.relation_rows.tolist()
            ]
            places = np.flatnonzero(seen)
        rows = part.relation_rows[places]
        queries = kge.queries(torch.full((len(rows),), start), torch.from_numpy(rows))
        best = (queries @ kge.entities[end]).topk(min(k, len(rows)))
        chosen = best.indices.numpy()
        facts = np.stack(
            [np.full_like(chosen, head), places[chosen], np.full_like(chosen, tail)], axis=1
        )
        labels = [self.named.relation_label(row) for row in rows[chosen].tolist()]
        return self._predictions(facts, labels, best.values.numpy(), np.full(len(chosen), np.nan))

    def _predictions(
        self,
        facts: Rows,
        labels: Sequence[str],
        scores: NDArray[np.float32],
        probability: NDArray[np.float64],
    ) -> list[Prediction]:
        """Put facts of the source's rows ``(n, 3)`` into words."""
        part = self.named.part
        heads, tails = (part.entities.names_of(facts[:, place]) for place in (0, 2))
        relations = part.relations.names_of(facts[:, 1])
        stated = self.named.stated_by(part.joint(facts))
        columns = heads, relations, tails, labels, scores.tolist(), stated
        known = [None if np.isnan(chance) else chance for chance in probability.tolist()]
        return [Prediction(*row) for row in zip(*columns, known, strict=True)]
