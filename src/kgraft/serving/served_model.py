"""A loaded model with all that requests need computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from kgraft.errors import UnknownNameError
from kgraft.inference.explain import Explainer
from kgraft.inference.explanation import Explanation
from kgraft.inference.fold_in import fold_into
from kgraft.inference.predict import Prediction, Predictor, Query
from kgraft.inference.similar import Neighbour, neighbours
from kgraft.model.directory import load_model
from kgraft.querying.ask import Asker
from kgraft.querying.questions import QuestionAsker, is_question, learned_beside
from kgraft.serving.entity_view import EntityIndex, EntityView
from kgraft.serving.map_view import Projection, map_view
from kgraft.serving.missing_facts import MissingFacts
from kgraft.serving.relation_view import RelationIndex
from kgraft.serving.schema import (
    MAX_ANSWERS,
    MAX_NEW,
    AskAnswers,
    ModelInfo,
    PredictJob,
    SourceSize,
    encoded,
)
from kgraft.serving.search import EntitySearch

Answers = tuple[tuple[Prediction, ...], ...]
"""The predictions of each query of a request."""

Position = tuple[float, float]
"""Coordinates on the map, from -1 to 1."""


@dataclass(frozen=True)
class PlacedEntity(Neighbour):
    """A similar entity with its position on the map."""

    position: Position


@dataclass(frozen=True)
class SimilarEntities:
    """The position of an entity on the map, and the most similar entities."""

    position: Position
    neighbours: list[PlacedEntity]


class ServedModel:
    """A model with search, entity views, map and explainer.

    Args:
        directory: A model directory.

    Raises:
        ModelDirectoryError: If it is missing, damaged, or of a newer format.
    """

    def __init__(self, directory: Path) -> None:
        self.model = load_model(directory)
        self.predictor = Predictor(self.model)
        self.named = self.predictor.names
        self.search = EntitySearch(self.named)
        self.entities = EntityIndex(self.named)
        candidates = self.predictor.candidates
        self.projection = Projection(self.model.kge.vectors(torch.from_numpy(candidates.rows)))
        self.map_json = encoded(map_view(self.named, candidates.rows, self.projection))
        names = self.named.part.entities.names_of(candidates.places)
        self._candidate = {name: at for at, name in enumerate(names)}
        self.relations = RelationIndex(self.predictor, self.entities)
        self.missing = MissingFacts(self.predictor)
        self._explainer = Explainer(self.predictor)
        self._asker = Asker(self.predictor)
        self._questions = QuestionAsker(self._asker, learned_beside(directory))
        self.info = self._info()
        self.info_json = encoded(self.info)

    def _info(self) -> ModelInfo:
        trained, graph, by = self.model, self.model.graph, self.predictor.by
        return ModelInfo(
            kind=trained.kind,
            source=self.named.source,
            answers_by=by,
            calibrated=by in trained.calibration,
            entities=len(self.search),
            sources=[
                SourceSize(name, len(part.entities), len(graph.facts_of([name])))
                for name, part in graph.parts.items()
            ],
            relations=list(self.entities.relations.values()),
            examples=list(self.entities.examples()),
            metrics=dict(trained.metrics),
        )

    def predict(self, jobs: Sequence[PredictJob]) -> list[Answers | Exception]:
        """Answer jobs together, typed and untyped apart; each gets answers or an error."""
        errors: dict[int, Exception] = {}
        blocks: dict[bool, list[tuple[int, Query]]] = {False: [], True: []}
        for number, job in enumerate(jobs):
            try:
                blocks[job.typed] += [(number, self._resolve(query)) for query in job.queries]
            except UnknownNameError as error:
                errors[number] = error
        found = [list[tuple[Prediction, ...]]() for _ in jobs]
        for typed, block in blocks.items():
            if block:
                k = max(jobs[number].k for number, _ in block)
                answers = self.predictor.answer([query for _, query in block], k, typed=typed)
                for (number, _), predictions in zip(block, answers, strict=True):
                    found[number].append(tuple(predictions[: jobs[number].k]))
        return [errors.get(number) or tuple(answers) for number, answers in enumerate(found)]

    def predict_with_facts(self, job: PredictJob) -> Answers:
        """Answer a job with its facts folded into the model, which stays as it is.

        Raises:
            UnknownNameError: If a query names an entity, or a fact a relation, that is unknown.
            KgraftError: If there are too many new entities, or a link cannot be followed.
        """
        predictor, _ = fold_into(
            self.predictor, job.facts, job.links, dict(job.texts), max_entities=MAX_NEW
        )
        for query in job.queries:
            for text in (query.head, query.tail):
                if text is not None and predictor.names.known_entity(text) is None:
                    self.entity_name(text)
        answers = predictor.answer(job.queries, job.k, typed=job.typed)
        return tuple(map(tuple, answers))

    def ask(self, query: str, limit: int, seconds: float, most: int = MAX_ANSWERS) -> AskAnswers:
        """Answer SPARQL or a question, with so many answers at most, whatever its own limit is.

        Raises:
            QueryError: If it cannot be read, has what is not supported, or takes too long.
            UnknownNameError: If a name is unknown.
        """
        if not is_question(query):
            found = self._asker.ask(query, limit=limit, most=most, seconds=seconds)
            return AskAnswers(list(found), found.bounded)
        answers = self._questions.ask(query, limit=limit, most=most, seconds=seconds)
        return AskAnswers(list(answers), answers.bounded, answers.reading)

    def similar(self, entity: str, k: int) -> SimilarEntities:
        """Return an entity's position on the map, and the most similar entities with theirs."""
        name = self.entity_name(entity)
        found = neighbours(self.named, name, k)
        placed = [PlacedEntity(**vars(x), position=self._position(x.name)) for x in found]
        return SimilarEntities(self._position(name), placed)

    def explain(self, head: str, relation: str, tail: str) -> Explanation:
        """Explain a fact."""
        return self._explainer.explain(self.entity_name(head), relation, self.entity_name(tail))

    def view(self, entity: str, max_facts: int, relation: str | None = None) -> EntityView:
        """Return the view of an entity, as ``EntityIndex.view`` does."""
        return self.entities.view(self.entity_name(entity), max_facts, relation)

    def label(self, name: str) -> str:
        """Return the readable label of an entity, given its name."""
        return self.named.entity_label(int(self.named.part.entity_rows[self.named.entity(name)]))

    def relation_label(self, name: str) -> str:
        """Return the readable end of a relation's name."""
        return self.named.relation_label(self.named.relation_row(name))

    def _position(self, name: str) -> Position:
        x, y = self.projection.positions[self._candidate[name]].tolist()
        return x, y

    def _resolve(self, query: Query) -> Query:
        """Return a query in names that the model knows, so that its block cannot fail."""
        head, tail = (None if x is None else self.entity_name(x) for x in (query.head, query.tail))
        relation = query.relation
        if relation is not None:
            relation = self.named.part.relations.name(self.named.relation(relation))
        return Query(head, relation, tail)

    def entity_name(self, text: str) -> str:
        """Return the name of an entity that has a vector, given its name or label.

        Raises:
            UnknownNameError: If there is none, or the label means several.
        """
        names = self.named.part.entities
        if text not in names:
            rows = self.model.graph.labelled(text)
            if not np.isin(self.named.part.entity_rows, rows).any():
                # The library's hint compares all names, which is slow for large graphs.
                near = " or ".join(repr(x.name) for x in self.search.find(text, 3))
                hint = f"did you mean {near}?" if near else "search for it by a word."
                raise UnknownNameError(f"no entity is called {text!r}; {hint}")
        place = self.named.entity(text)
        self.named.vector(place)
        return names.name(place)
