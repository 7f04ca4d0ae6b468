"""Entity views: an entity's facts with their sources, and suggested queries about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.errors import UnknownNameError
from kgraft.graph.grouped_index import GroupedIndex
from kgraft.graph.known_facts import Side
from kgraft.inference.names import ModelNames
from kgraft.inference.similar import neighbours

MAX_NAME_LENGTH = 10_000  # characters of a name or a search that can be asked for
N_SIMILAR = 20  # similar entities whose relations suggest queries
N_EXAMPLES = 8  # example entities on the start page
N_QUERIES = 12  # suggested queries about an entity

COLUMNS: dict[Side, int] = {"head": 0, "tail": 2}


@dataclass(frozen=True)
class Entity:
    """An entity by its name in the target, or else in another source.

    It is queryable if the target has it, the model has a vector for it, and its name is not longer
    than the API takes.
    """

    name: str
    label: str
    queryable: bool


@dataclass(frozen=True)
class Relation:
    """A relation by its name, and the readable end of it."""

    name: str
    label: str


@dataclass(frozen=True)
class EntityFact:
    """A fact about an entity, and the sources that state it."""

    head: Entity
    relation: Relation
    tail: Entity
    stated_by: tuple[str, ...]


@dataclass(frozen=True)
class SuggestedQuery:
    """A query about an entity by a relation and the side that it asks for.

    ``similar`` is the number of similar entities, itself included, whose facts answer it.
    """

    relation: Relation
    asks_for: Side
    similar: int


@dataclass(frozen=True)
class EntityView:
    """An entity with its facts and suggested queries.

    Args:
        name: Its name.
        label: Its label, or else its name.
        names: Its name in each source that has it.
        facts: Facts about it, those of the target first.
        n_facts: Number of all facts, of which ``facts`` may hold only the first.
        queries: Suggested queries, the most promising first.
    """

    name: str
    label: str
    names: dict[str, str]
    facts: tuple[EntityFact, ...]
    n_facts: int
    queries: tuple[SuggestedQuery, ...]


class EntityIndex:
    """The facts of a model by entity.

    Args:
        names: A model's names, seen from a source.
    """

    def __init__(self, names: ModelNames) -> None:
        graph = names.model.graph
        self._names = names
        self._facts = graph.triples
        self._sources = graph.triple_sources
        self._own = graph.sources.index(names.source)
        self._by_side: dict[Side, GroupedIndex] = {
            side: GroupedIndex.of(self._facts[:, column]) for side, column in COLUMNS.items()
        }
        part = names.part
        self.relations = {
            row: Relation(name, names.relation_label(row))
            for row, name in zip(part.relation_rows.tolist(), part.relations.names, strict=True)
        }

    def examples(self) -> tuple[Entity, ...]:
        """Return the entities that have facts of the most relations in the source."""
        facts = pl.DataFrame(self._facts[self._sources == self._own], schema=["x", "relation", "y"])
        ends = pl.concat([facts.select("x", "relation"), facts.select(x="y", relation="relation")])
        counts = ends.group_by("x").agg(n=pl.col("relation").n_unique())
        first = counts.sort("n", "x", descending=[True, False])["x"].head(N_EXAMPLES)
        return tuple(self._entity(row) for row in first.to_list())

    def view(self, entity: str, max_facts: int, relation: str | None = None) -> EntityView:
        """Return the view of an entity.

        Args:
            entity: Its name or label.
            max_facts: The most facts that are listed.
            relation: The name or label of a relation, to list only facts along it.

        Raises:
            UnknownNameError: If the name is unknown, a label means several entities, the entity has
                no vector, or no facts along the relation.
        """
        names = self._names
        row = names.vector(names.entity(entity))
        facts, n_facts = self._stated(row, max_facts, relation)
        places = {
            source: (part, np.flatnonzero(part.entity_rows == row))
            for source, part in names.model.graph.parts.items()
        }
        return EntityView(
            names.entity_name(row),
            names.entity_label(row),
            {source: part.entities.name(at[0]) for source, (part, at) in places.items() if len(at)},
            facts,
            n_facts,
            self._suggested(row),
        )

    def _stated(
        self, row: int, max_facts: int, relation: str | None
    ) -> tuple[tuple[EntityFact, ...], int]:
        """Return distinct facts with their sources, and the number of all."""
        found = [index.rows(np.array([row]))[1] for index in self._by_side.values()]
        places = np.unique(np.concatenate(found))
        if relation is not None:
            places = places[np.isin(self._facts[places, 1], self._along(relation, places))]
        return self._listed(places, max_facts)

    def along(self, row: int, max_facts: int) -> tuple[tuple[EntityFact, ...], int]:
        """Return distinct facts along one of the model's relations, and the number of all."""
        return self._listed(np.flatnonzero(self._facts[:, 1] == row), max_facts)

    def _listed(
        self, places: NDArray[np.int64], max_facts: int
    ) -> tuple[tuple[EntityFact, ...], int]:
        """Return the distinct ones of some facts, those of the target first, and their number."""
        facts, sources = self._facts[places], self._sources[places]
        distinct, which = np.unique(facts, axis=0, return_inverse=True)
        which = which.reshape(-1)
        foreign = np.ones(len(distinct), dtype=np.int64)
        foreign[which[sources == self._own]] = 0
        order = np.lexsort((distinct[:, 2], distinct[:, 0], distinct[:, 1], foreign))[:max_facts]
        names = self._names.model.graph.sources
        listed = []
        for at in order.tolist():
            head, along, tail = distinct[at].tolist()
            stated_by = tuple(names[x] for x in np.unique(sources[which == at]))
            ends = self._entity(head), self._entity(tail)
            listed.append(EntityFact(ends[0], self._relation(along), ends[1], stated_by))
        return tuple(listed), len(distinct)

    def _along(self, relation: str, places: NDArray[np.int64]) -> list[int]:
        """Return the relations of some facts that go by a name or a label."""
        rows: list[int] = np.unique(self._facts[places, 1]).tolist()
        named = {row: self._relation(row) for row in rows}
        found = [row for row, x in named.items() if relation in (x.name, x.label)]
        if not found:
            labels = ", ".join(sorted(x.label for x in named.values())) or "no relation"
            raise UnknownNameError(
                f"it has no facts along {relation!r}; those that are stated are along {labels}"
            )
        return found

    def _suggested(self, row: int) -> tuple[SuggestedQuery, ...]:
        """Return queries that facts of similar entities, or of the entity itself, answer."""
        names = self._names
        similar = neighbours(names, names.entity_name(row), N_SIMILAR)
        rows = np.array([*(names.vector(names.entity(x.name)) for x in similar), row])
        counts = Counter[tuple[int, Side]]()
        for side, asks_for in zip(COLUMNS, reversed(COLUMNS), strict=True):
            which, places = self._by_side[side].rows(rows)
            pairs = np.unique(np.stack([which, self._facts[places, 1]], axis=1), axis=0)
            counts.update((relation, asks_for) for relation in pairs[:, 1].tolist())
        best = [x for x in counts.most_common() if x[0][0] in self.relations][:N_QUERIES]
        return tuple(SuggestedQuery(self.relations[x], side, count) for (x, side), count in best)

    def _entity(self, row: int) -> Entity:
        names = self._names
        own = row < names.model.kge.n_entities and bool((names.part.entity_rows == row).any())
        name = names.entity_name(row)
        return Entity(name, names.entity_label(row), own and len(name) <= MAX_NAME_LENGTH)

    def _relation(self, row: int) -> Relation:
        names = self._names
        own = self.relations.get(row)
        return own or Relation(names.names((0, row, 0))[1], names.relation_label(row))
