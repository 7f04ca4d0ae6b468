"""Answers to queries: the most plausible tails, heads or relations, and what is known already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from kgraft.graph.known_facts import Side
from kgraft.graph.vocabulary import Rows
from kgraft.inference.candidates import Candidates
from kgraft.inference.names import Named
from kgraft.io.named_facts import ROLES
from kgraft.model.evidence import By
from kgraft.model.scorer import Scorer
from kgraft.model.trained_model import TrainedModel
from kgraft.rules.evidence_index import EvidenceIndex


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

    @property
    def asked(self) -> str:
        """What it asks for: head, relation or tail."""
        return next(role for role in ROLES if getattr(self, role) is None)


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
        witnesses: What it goes by besides vectors, None where that is nothing.
        candidates: The entities that may be answers.

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
        self.witnesses: EvidenceIndex | None = None
        scorer: Scorer = model.kge
        if self.by != "vectors":
            evidence, target = model.ruled()
            self.witnesses = evidence.witnesses(model.graph, target)
            scorer = evidence.scorer(self.by, model.kge, self.witnesses)
        self.candidates = Candidates(self.named, self.by, scorer)

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
            head, relation, tail = self.resolve(query)
            if query.tail is None:
                asked["tail"].append((place, head, relation))
            elif query.head is None:
                asked["head"].append((place, tail, relation))
            else:
                found[place] = self._relations(head, tail, k, typed=typed)
        for side, rows in asked.items():
            if rows:
                numbers, anchors, relations = np.array(rows, dtype=np.int64).T
                self._entities(found, numbers, anchors, relations, side, k, typed=typed)
        return found

    def resolve(self, query: Query) -> tuple[int, int, int]:
        """Return the source's rows of a query's head, relation and tail, -1 for what is asked.

        Raises:
            UnknownNameError: If a name is unknown, a label means several entities, or an entity has
                no vector.
        """
        named = self.named
        head, tail = (
            -1 if text is None else named.entity(text) for text in (query.head, query.tail)
        )
        for entity in (head, tail):
            if entity >= 0:
                named.vector(entity)
        return head, -1 if query.relation is None else named.relation(query.relation), tail

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
        part = self.named.part
        asked = part.entity_rows[anchors], part.relation_rows[relations]
        for block, best in self.candidates.best(*asked, side, k, typed=typed):
            query, rank = np.nonzero(np.isfinite(best.scores))
            answer, anchor = best.places[query, rank], anchors[block][query]
            ends = (anchor, answer) if side == "tail" else (answer, anchor)
            facts = np.stack([ends[0], relations[block][query], ends[1]], axis=1)
            rows = part.entity_rows[answer]
            predictions = self._predictions(
                facts,
                [self.named.entity_label(row) for row in rows.tolist()],
                best.scores[query, rank],
                best.probability[query, rank],
            )
            for number, prediction in zip(numbers[block][query].tolist(), predictions, strict=True):
                found[number].append(prediction)

    def _relations(self, head: int, tail: int, k: int, *, typed: bool) -> list[Prediction]:
        """Return the best relations from one entity to another."""
        part, kge = self.named.part, self.model.kge
        start, end = part.entity_rows[[head, tail]].tolist()
        places = np.arange(len(part.relation_rows))
        if typed:
            ends = self.candidates.ends
            places = np.flatnonzero(
                [
                    head in self.candidates.places[ends(row, "head")]
                    and tail in self.candidates.places[ends(row, "tail")]
                    for row in part.relation_rows.tolist()
                ]
            )
        rows = part.relation_rows[places]
        heads, tails = (torch.full((len(rows),), row) for row in (start, end))
        best = kge.score_facts(heads, torch.from_numpy(rows), tails).topk(min(k, len(rows)))
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
