"""Answers to one query: the most plausible tails, heads or relations, and what is known already."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from kgraft.errors import UnknownNameError
from kgraft.graph.known_facts import Side
from kgraft.inference.names import Named
from kgraft.model.evidence import By
from kgraft.model.scorer import Scorer
from kgraft.model.trained import TrainedModel


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
    by: By | None = None,
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
        by: What entities are ranked by; by default what the model's validation facts favour.
            Relations are ranked by vectors.

    Returns:
        Answers from the best score down.

    Raises:
        UnknownNameError: If a name is unknown, a label means several entities, or an entity has
            no vector.
        ValueError: If not exactly two of the three are given, ``k`` is below 1, or the model has no
            rules to answer by.
    """
    if [head, relation, tail].count(None) != 1:
        raise ValueError("a query gives two of head, relation and tail, and asks for the third")
    if k < 1:
        raise ValueError(f"k is at least 1, not {k}")
    asked = _Asked(model, source or model.target or model.graph.sources[0], model.scorer(by))
    named = asked.named
    if relation is None:
        return asked.relations(named.entity(head or ""), named.entity(tail or ""), k)
    side: Side = "tail" if tail is None else "head"
    anchor = head if side == "tail" else tail
    return asked.entities(named.entity(anchor or ""), named.relation(relation), side, k)


class _Asked:
    """A model asked in the names of one of its sources."""

    def __init__(self, model: TrainedModel, source: str, scorer: Scorer) -> None:
        self._kge = model.kge
        self._scorer = scorer
        self.named = Named(model, source)

    def entities(self, anchor: int, relation: int, side: Side, k: int) -> list[Prediction]:
        """Return the best entities at one side of a fact."""
        part = self.named.part
        # Entities without a vector are no candidates.
        places = np.flatnonzero(part.entity_rows < self._kge.n_entities)
        scores = self._scorer.score(
            torch.tensor([self._row(anchor)]),
            torch.tensor([part.relation_rows[relation]]),
            side=side,
            candidates=torch.from_numpy(part.entity_rows[places]),
        )[0]
        best = scores.topk(min(k, len(scores)))
        entities = places[best.indices.numpy()]
        answers = [
            (anchor, relation, entity) if side == "tail" else (entity, relation, anchor)
            for entity in entities.tolist()
        ]
        labels = [self.named.entity_label(int(row)) for row in part.entity_rows[entities]]
        return self._predictions(answers, labels, best.values.tolist())

    def relations(self, head: int, tail: int, k: int) -> list[Prediction]:
        """Return the best relations from one entity to another."""
        part, kge = self.named.part, self._kge
        queries = kge.queries(
            torch.full((len(part.relation_rows),), self._row(head)),
            torch.from_numpy(part.relation_rows),
        )
        best = (queries @ kge.entities[self._row(tail)]).topk(min(k, len(part.relation_rows)))
        answers = [(head, relation, tail) for relation in best.indices.tolist()]
        rows = part.relation_rows[best.indices.numpy()]
        labels = [self.named.relation_label(int(row)) for row in rows]
        return self._predictions(answers, labels, best.values.tolist())

    def _row(self, entity: int) -> int:
        """Return the model's row of an entity, which needs a vector to be asked about."""
        row = int(self.named.part.entity_rows[entity])
        if row >= self._kge.n_entities:
            raise UnknownNameError(
                f"this model has no vector for {self.named.part.entities.name(entity)!r}, only "
                "rules go by it; ask about an entity that is linked to the target, or retrain "
                "with subgraph.vectors = 'all'"
            )
        return row

    def _predictions(
        self,
        answers: list[tuple[int, int, int]],
        labels: list[str],
        scores: Iterable[float],
    ) -> list[Prediction]:
        part = self.named.part
        facts = part.joint(np.array(answers, dtype=np.int64))
        return [
            Prediction(
                part.entities.name(head),
                part.relations.name(relation),
                part.entities.name(tail),
                label,
                float(score),
                self.named.stated_by(fact),
            )
            for (head, relation, tail), label, score, fact in zip(
                answers, labels, scores, facts, strict=True
            )
        ]
