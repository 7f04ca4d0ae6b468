"""A model made ready for clients: whatever a question needs is computed once, when it is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from kgraft.errors import UnknownNameError
from kgraft.inference.explain import Explainer
from kgraft.inference.explanation import Explanation
from kgraft.inference.predict import Prediction, Predictor, Query
from kgraft.inference.similar import Neighbour, neighbours
from kgraft.model.directory import load_model
from kgraft.serving.entity_view import Neighbourhood, Surroundings
from kgraft.serving.projection import Atlas
from kgraft.serving.search import EntitySearch

Place = tuple[float, float]


@dataclass(frozen=True)
class Asked:
    """What a request asks to be predicted.

    Args:
        queries: Its queries.
        k: The most answers to each.
        typed: Answer only by what is in the observed domain or range of the relation.
    """

    queries: tuple[Query, ...]
    k: int
    typed: bool


@dataclass(frozen=True)
class PlacedNeighbour:
    """A similar entity, and where it is on the map.

    Args:
        neighbour: The entity.
        place: Its coordinates, from -1 to 1.
    """

    neighbour: Neighbour
    place: Place


class ServedModel:
    """A model that clients ask.

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
        self.neighbourhood = Neighbourhood(self.named)
        part = self.named.part
        candidates = self.predictor.candidates
        self.atlas = Atlas(self.model.kge.vectors(torch.from_numpy(candidates.rows)))
        names = part.entities.names_of(candidates.places)
        self._column = {name: at for at, name in enumerate(names)}
        self._explainer = Explainer(self.predictor)

    def predict(
        self, jobs: Sequence[Asked]
    ) -> list[tuple[tuple[Prediction, ...], ...] | Exception]:
        """Answer requests in one block for each way to answer; each has answers or an error."""
        found: list[tuple[tuple[Prediction, ...], ...] | Exception] = []
        blocks: dict[bool, list[tuple[int, Query]]] = {False: [], True: []}
        for number, job in enumerate(jobs):
            try:
                queries = [self._understood(query) for query in job.queries]
            except UnknownNameError as error:
                found.append(error)
            else:
                found.append(())
                blocks[job.typed] += [(number, query) for query in queries]
        for typed, block in blocks.items():
            if not block:
                continue
            k = max(jobs[number].k for number, _ in block)
            answers = self.predictor.answer([query for _, query in block], k, typed=typed)
            for (number, _), predictions in zip(block, answers, strict=True):
                done = found[number]
                if isinstance(done, tuple):
                    found[number] = (*done, tuple(predictions[: jobs[number].k]))
        return found

    def similar(self, entity: str, k: int) -> tuple[Place, tuple[PlacedNeighbour, ...]]:
        """Return where an entity is on the map, and the most similar ones."""
        name = self._entity(entity)
        found = neighbours(self.named, name, k)
        return self._place(name), tuple(PlacedNeighbour(x, self._place(x.name)) for x in found)

    def explain(self, head: str, relation: str, tail: str) -> Explanation:
        """Explain a fact."""
        return self._explainer.explain(self._entity(head), relation, self._entity(tail))

    def around(self, entity: str, most: int) -> Surroundings:
        """Return what is around an entity."""
        return self.neighbourhood.around(self._entity(entity), most)

    def _place(self, name: str) -> Place:
        x, y = self.atlas.places[self._column[name]].tolist()
        return x, y

    def _understood(self, query: Query) -> Query:
        """Return a query in names that are known for certain, so that a block cannot fail."""
        head, tail = (None if x is None else self._entity(x) for x in (query.head, query.tail))
        relation = query.relation
        if relation is not None:
            relation = self.named.part.relations.name(self.named.relation(relation))
        return Query(head, relation, tail)

    def _entity(self, text: str) -> str:
        """Return the name of an entity with a vector, which is given by name or by label.

        Raises:
            UnknownNameError: If there is none, or the label means several.
        """
        names = self.named.part.entities
        if text not in names:
            rows = self.model.graph.labelled(text)
            if not np.isin(self.named.part.entity_rows, rows).any():
                # The library's own hint compares with every name, which is slow with very many.
                near = " or ".join(repr(x.name) for x in self.search.find(text, 3))
                hint = f"did you mean {near}?" if near else "search for it by a word."
                raise UnknownNameError(f"no entity is called {text!r}; {hint}")
        place = self.named.entity(text)
        self.named.vector(place)
        return names.name(place)
