"""Predictions: the most plausible tails, heads or relations, and the sources that state them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from kgraft.graph.known_facts import Side
from kgraft.graph.vocabulary import Rows
from kgraft.inference.candidates import Candidates
from kgraft.inference.fact_judge import FactJudge
from kgraft.inference.names import ModelNames
from kgraft.inference.results import Results
from kgraft.io.named_facts import ROLES
from kgraft.linking.added_facts import AddedFacts
from kgraft.model.evidence import By
from kgraft.model.scorer import Scorer
from kgraft.model.trained_model import TrainedModel
from kgraft.rules.evidence_index import EvidenceIndex
from kgraft.system.forks import require_threads

JUDGED = 100
"""Relations between two entities whose probability is looked at, the best by vectors."""


@dataclass(frozen=True)
class Query:
    """A query ``(h, r, ?)``, ``(?, r, t)`` or ``(h, ?, t)``; or a fact, to judge it.

    Args:
        head: Name or label of the head, or None to ask for it.
        relation: Name of the relation, or its last part where that is unambiguous, or None.
        tail: Name or label of the tail, or None.

    Raises:
        ValueError: If fewer than two of the three are given.
    """

    head: str | None = None
    relation: str | None = None
    tail: str | None = None

    def __post_init__(self) -> None:
        if [self.head, self.relation, self.tail].count(None) > 1:
            raise ValueError(
                "a query gives two of head, relation and tail, and asks for the third; or all three"
            )

    @property
    def asked(self) -> str:
        """The missing part: head, relation or tail; ``fact`` where none is missing."""
        return next((role for role in ROLES if getattr(self, role) is None), "fact")


@dataclass(frozen=True)
class Prediction:
    """One answer.

    Args:
        head: Name of the head.
        relation: Name of the relation.
        tail: Name of the tail.
        label: A readable label of the answer, from any source; its name where none has one.
        score: The model's score; higher is more plausible. Scores compare within one query only.
        stated_by: The sources that already state it, also in validation or test.
        probability: The probability that it is true (``kgraft.model.fact_probability``), 1 if the
            target states it; None where the model has none, for relations, and for sources other
            than the target.
        probability_if_asked: The probability that it is the answer, if someone asks and one is
            missing (``kgraft.model.calibration``); None likewise.
        contradicts: What the target states instead, in words, where the relation has one answer as
            a rule; empty where nothing.
    """

    head: str
    relation: str
    tail: str
    label: str
    score: float
    stated_by: tuple[str, ...]
    probability: float | None = None
    probability_if_asked: float | None = None
    contradicts: str = ""

    COLUMNS: ClassVar = {
        **dict.fromkeys(("head", "relation", "tail", "label"), pl.String),
        "score": pl.Float64,
        "probability": pl.Float64,
        "probability_if_asked": pl.Float64,
        "stated_by": pl.List(pl.String),
        "contradicts": pl.String,
    }

    def __str__(self) -> str:
        value = f"score {self.score:.3f}"
        if self.probability is not None:
            value = f"probability {self.probability:.3f}"
        known = f", stated by {', '.join(self.stated_by)}" if self.stated_by else ""
        against = f", but {self.contradicts}" if self.contradicts else ""
        return f"{self.label}: {value}{known}{against}"

    @property
    def known(self) -> bool:
        """Whether a source already states it."""
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
) -> Results[Prediction]:
    """Answer one query, as ``TrainedModel.predict`` says."""
    require_threads()
    query = Query(head, relation, tail)
    return prepared(model, source, by).answer([query], k, typed=typed)[0]


def prepared(model: TrainedModel, source: str | None = None, by: By | None = None) -> Predictor:
    """Return the model's predictor, which is made on the first call and kept with the model."""
    key = ("predictor", source, by)
    if key not in model.prepared:
        model.prepared[key] = Predictor(model, source, by)
    found: Predictor = model.prepared[key]
    return found


def _evidence(model: TrainedModel, by: By) -> tuple[EvidenceIndex | None, Scorer]:
    """Return the evidence that a way to answer goes by, and its scorer."""
    if by == "vectors":
        return None, model.kge
    evidence, target = model.require_evidence()
    index = evidence.index_in(model.graph, target)
    return index, evidence.scorer(by, model.kge, index)


class Predictor:
    """A model prepared to answer many queries.

    Args:
        model: A trained model.
        source: The graph whose names are used and whose entities are candidates; by default the
            model's target, or a teacher's first source.
        by: How entities are ranked; by default the way that validation facts favour.

    Attributes:
        model: The model.
        by: How entities are ranked.
        names: The model's names, seen from the source.
        evidence_index: Rules and statements that rank besides vectors; None for vectors alone.
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
        self.names = ModelNames(model, source)
        self.evidence_index, scorer = _evidence(model, self.by)
        self.candidates = Candidates(self.names, self.by, scorer)

    @cached_property
    def judge(self) -> FactJudge | None:
        """Judge of facts that the target lacks; None for other sources and without validation."""
        fitted = self.model.fact_probability
        if fitted is None or self.names.source != self.model.target:
            return None
        return FactJudge(self.names, fitted)

    def extended(self, model: TrainedModel, added: AddedFacts) -> Predictor:
        """Return the predictor of the model with a few more facts, without preparing it anew.

        Args:
            model: The model with them.
            added: The facts.
        """
        found = Predictor.__new__(Predictor)
        found.model, found.by = model, self.by
        found.names = self.names.extended(model, added)
        found.evidence_index, scorer = _evidence(model, self.by)
        found.candidates = Candidates(found.names, self.by, scorer)
        found.__dict__["judge"] = self.judge and self.judge.extended(found.names, added)
        return found

    def answer(
        self, queries: Sequence[Query], k: int = 10, *, typed: bool = False
    ) -> list[Results[Prediction]]:
        """Answer queries, in blocks.

        Args:
            queries: Queries for heads, relations or tails, and facts, in any mix.
            k: The maximum number of answers to each.
            typed: Answer only with entities in the observed domain or range of the relation.

        Returns:
            For each query its answers, the best first; for each fact itself.

        Raises:
            UnknownNameError: If a name is unknown, a label belongs to several entities, or an
                entity has no vector.
            ValueError: If ``k`` is below 1.
        """
        require_threads()
        if k < 1:
            raise ValueError(f"k is at least 1, not {k}")
        asked: dict[Side, list[tuple[int, int, int]]] = {"tail": [], "head": []}
        found = [Results(Prediction) for _ in queries]
        for place, query in enumerate(queries):
            head, relation, tail = self.resolve(query)
            if query.tail is None:
                asked["tail"].append((place, head, relation))
            elif query.head is None:
                asked["head"].append((place, tail, relation))
            elif query.relation is None:
                found[place] += self._relations(head, tail, k, typed=typed)
            else:
                found[place].append(self._fact(head, relation, tail))
        for side, rows in asked.items():
            if rows:
                self._entities(found, np.array(rows, dtype=np.int64), side, k, typed=typed)
        return found

    def resolve(self, query: Query) -> tuple[int, int, int]:
        """Return the source's rows of a query's head, relation and tail, -1 for a missing one.

        Raises:
            UnknownNameError: If a name is unknown, a label belongs to several entities, or an
                entity has no vector.
        """
        names = self.names
        head, tail = (
            -1 if text is None else names.entity(text) for text in (query.head, query.tail)
        )
        for entity in (head, tail):
            if entity >= 0:
                names.vector(entity)
        return head, -1 if query.relation is None else names.relation(query.relation), tail

    def _entities(
        self, found: list[Results[Prediction]], asked: Rows, side: Side, k: int, *, typed: bool
    ) -> None:
        """Answer queries for entities: place in ``found``, given entity, relation, ``(n, 3)``."""
        numbers, anchors, relations = asked.T
        part = self.names.part
        rows = part.entity_rows[anchors], part.relation_rows[relations]
        for block, best in self.candidates.top(*rows, side, k, typed=typed):
            query, rank = np.nonzero(np.isfinite(best.scores))
            answer, anchor = best.places[query, rank], anchors[block][query]
            ends = (anchor, answer) if side == "tail" else (answer, anchor)
            facts = np.stack([ends[0], relations[block][query], ends[1]], axis=1)
            labels = [self.names.entity_label(row) for row in part.entity_rows[answer].tolist()]
            scores, probability = best.scores[query, rank], best.probability[query, rank]
            predictions = self._predictions(facts, labels, scores, probability)
            for number, prediction in zip(numbers[block][query].tolist(), predictions, strict=True):
                found[number].append(prediction)

    def _relations(self, head: int, tail: int, k: int, *, typed: bool) -> list[Prediction]:
        """Return the most probable relations from one entity to another."""
        part, kge = self.names.part, self.model.kge
        start, end = part.entity_rows[[head, tail]].tolist()
        places = np.arange(len(part.relation_rows))
        if typed:
            own, ends = self.candidates.places, self.candidates.ends
            fits = [
                head in own[ends(row, "head")] and tail in own[ends(row, "tail")]
                for row in part.relation_rows.tolist()
            ]
            places = np.flatnonzero(fits)
        rows = part.relation_rows[places]
        asked = np.stack([np.full_like(rows, start), rows, np.full_like(rows, end)], axis=1)
        places = places[~self.names.known_false.contains(asked)]
        rows = part.relation_rows[places]
        heads, tails = (torch.full((len(rows),), row) for row in (start, end))
        best = kge.score_facts(heads, torch.from_numpy(rows), tails).topk(min(JUDGED, len(rows)))
        chosen = best.indices.numpy()
        facts = np.stack(
            [np.full_like(chosen, head), places[chosen], np.full_like(chosen, tail)], axis=1
        )
        labels = [self.names.relation_label(row) for row in rows[chosen].tolist()]
        scores, nothing = best.values.numpy(), np.full(len(chosen), np.nan)
        found = self._predictions(facts, labels, scores, nothing)
        return sorted(found, key=lambda x: (-(x.probability or 0.0), -x.score))[:k]

    def _fact(self, head: int, relation: int, tail: int) -> Prediction:
        """Return a fact of the source's rows, judged."""
        fact = np.array([[head, relation, tail]])
        row = self.names.part.joint(fact)[0].tolist()
        scored = self.candidates.score_fact((row[0], row[1], row[2]))
        if_asked = scored.probability_if_asked
        return self._predictions(
            fact,
            [self.names.entity_label(row[2])],
            np.array([scored.score], dtype=np.float32),
            np.array([np.nan if if_asked is None else if_asked]),
        )[0]

    def _predictions(
        self,
        facts: Rows,
        labels: Sequence[str],
        scores: NDArray[np.float32],
        if_asked: NDArray[np.float64],
    ) -> list[Prediction]:
        """Return predictions of facts of the source's rows, ``(n, 3)``."""
        part, n, judge = self.names.part, len(facts), self.judge
        heads, tails = (part.entities.names_of(facts[:, place]) for place in (0, 2))
        relations = part.relations.names_of(facts[:, 1])
        rows = part.joint(facts)
        stated = self.names.stated_by(rows)
        true, against = list[float | None]([None] * n), [""] * n
        if judge is not None:
            true = [*judge.probability(rows).tolist()]
            new = ~judge.known.contains(rows)
            contradicted = judge.contradicted(rows)
            against = [
                self.names.against(x) if y else "" for x, y in zip(contradicted, new, strict=True)
            ]
        asked = [None if np.isnan(x) else x for x in if_asked.tolist()]
        columns = heads, relations, tails, labels, scores.tolist(), stated, true, asked, against
        return [Prediction(*row) for row in zip(*columns, strict=True)]
