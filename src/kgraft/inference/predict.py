"""Answers to one query: the most plausible tails, heads or relations, and what is known already."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from kgraft.errors import UnknownNameError
from kgraft.graph.known_facts import Side
from kgraft.graph.vocabulary import Rows, Vocabulary
from kgraft.linking.joint import Part
from kgraft.model.trained import TrainedModel

_BEFORE_LAST_PART = r"^.*[/#:]"
"""What stands before the readable end of a relation's name."""


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
    """

    head: str
    relation: str
    tail: str
    label: str
    score: float
    stated_by: tuple[str, ...]

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
) -> list[Prediction]:
    """Answer ``(h, r, ?)``, ``(?, r, t)`` or ``(h, ?, t)``: give two of the three.

    Args:
        model: A trained model.
        head: Name or label of the head.
        relation: Name of the relation, or its last part where that is unambiguous.
        tail: Name or label of the tail.
        source: The graph whose names are used and whose entities are candidates; by default the
            model's target, or a teacher's first source.
        k: The most answers.

    Returns:
        Answers from the best score down.

    Raises:
        UnknownNameError: If a name is unknown, or a label means several entities.
        ValueError: If not exactly two of the three are given, or ``k`` is below 1.
    """
    if [head, relation, tail].count(None) != 1:
        raise ValueError("a query gives two of head, relation and tail, and asks for the third")
    if k < 1:
        raise ValueError(f"k is at least 1, not {k}")
    asked = _Asked(model, source or model.target or model.graph.sources[0])
    if relation is None:
        return asked.relations(asked.entity(head or ""), asked.entity(tail or ""), k)
    side: Side = "tail" if tail is None else "head"
    anchor = head if side == "tail" else tail
    return asked.entities(asked.entity(anchor or ""), asked.relation(relation), side, k)


class _Asked:
    """A model asked in the names of one of its sources."""

    def __init__(self, model: TrainedModel, source: str) -> None:
        self._model = model
        self._source = source
        self._part: Part = model.graph.part(source)

    def entity(self, text: str) -> int:
        """Return the source's row of an entity by name, or by a label that only it has."""
        part = self._part
        if text in part.entities:
            return part.entities.row(text)
        rows = np.flatnonzero(np.isin(part.entity_rows, self._model.graph.labelled(text)))
        if len(rows) > 1:
            names = ", ".join(part.entities.names_of(rows[:5]))
            raise UnknownNameError(
                f"{text!r} is the label of {len(rows)} entities; name one of them: {names}"
            )
        return int(rows[0]) if len(rows) else part.entities.row(text)

    def relation(self, text: str) -> int:
        """Return the source's row of a relation by name, or by the unambiguous end of its name."""
        names = self._part.relations
        if text in names:
            return names.row(text)
        rows = np.flatnonzero(names.names.str.replace(_BEFORE_LAST_PART, "") == text)
        if len(rows) > 1:
            raise UnknownNameError(
                f"{text!r} may be any of {', '.join(names.names_of(rows))}; give the whole name"
            )
        return int(rows[0]) if len(rows) else names.row(text)

    def entities(self, anchor: int, relation: int, side: Side, k: int) -> list[Prediction]:
        """Return the best entities at one side of a fact."""
        part = self._part
        scores = self._model.kge.score(
            torch.tensor([part.entity_rows[anchor]]),
            torch.tensor([part.relation_rows[relation]]),
            side=side,
            candidates=torch.from_numpy(part.entity_rows),
        )[0]
        best = scores.topk(min(k, len(scores)))
        answers = [
            (anchor, relation, entity) if side == "tail" else (entity, relation, anchor)
            for entity in best.indices.tolist()
        ]
        labels = [self._label(entity) for entity in best.indices.tolist()]
        return self._predictions(answers, labels, best.values.tolist())

    def relations(self, head: int, tail: int, k: int) -> list[Prediction]:
        """Return the best relations from one entity to another."""
        part, kge = self._part, self._model.kge
        queries = kge.queries(
            torch.full((len(part.relation_rows),), int(part.entity_rows[head])),
            torch.from_numpy(part.relation_rows),
        )
        best = (queries @ kge.entities[int(part.entity_rows[tail])]).topk(
            min(k, len(part.relation_rows))
        )
        answers = [(head, relation, tail) for relation in best.indices.tolist()]
        labels = [_short(part.relations, relation) for _, relation, _ in answers]
        return self._predictions(answers, labels, best.values.tolist())

    def _label(self, entity: int) -> str:
        label = self._model.graph.label(int(self._part.entity_rows[entity]))
        return label or self._part.entities.name(entity)

    def _predictions(
        self,
        answers: list[tuple[int, int, int]],
        labels: list[str],
        scores: Iterable[float],
    ) -> list[Prediction]:
        part = self._part
        facts = part.joint(np.array(answers, dtype=np.int64))
        return [
            Prediction(
                part.entities.name(head),
                part.relations.name(relation),
                part.entities.name(tail),
                label,
                float(score),
                self._stated_by(fact),
            )
            for (head, relation, tail), label, score, fact in zip(
                answers, labels, scores, facts, strict=True
            )
        ]

    def _stated_by(self, fact: Rows) -> tuple[str, ...]:
        graph = self._model.graph
        stating = graph.triple_sources[(graph.triples == fact).all(axis=1)]
        return tuple(graph.sources[place] for place in np.unique(stating))


def _short(names: Vocabulary, row: int) -> str:
    return re.sub(_BEFORE_LAST_PART, "", names.name(row))
