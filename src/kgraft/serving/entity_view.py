"""Entity views: an entity's facts with their sources, and suggested queries about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.grouped_index import GroupedIndex
from kgraft.graph.known_facts import Side
from kgraft.inference.names import ModelNames
from kgraft.inference.similar import neighbours

SIMILAR = 20
"""Similar entities whose relations suggest queries."""

EXAMPLES = 8
"""Example entities on the first page."""

QUERIES = 12
"""Suggested queries about an entity."""

SIDES: dict[Side, int] = {"head": 0, "tail": 2}
"""Columns of the two sides in triples."""


@dataclass(frozen=True)
class Entity:
    """An entity.

    Args:
        name: Its name in the model's target, or else in another source.
        label: Its label, or else its name.
        queryable: True if the target has it and it has a vector, so that queries can name it.
    """

    name: str
    label: str
    queryable: bool


@dataclass(frozen=True)
class Relation:
    """A relation.

    Args:
        name: Its name.
        label: The readable end of the name.
    """

    name: str
    label: str


@dataclass(frozen=True)
class EntityFact:
    """A fact about an entity.

    Args:
        head: Its head.
        relation: Its relation.
        tail: Its tail.
        stated_by: The sources that state it.
    """

    head: Entity
    relation: Relation
    tail: Entity
    stated_by: tuple[str, ...]


@dataclass(frozen=True)
class SuggestedQuery:
    """A query about an entity that may have answers.

    Args:
        relation: The relation.
        asks_for: The side that is predicted; the entity is at the other one.
        similar: Number of similar entities, itself included, with facts that answer this query.
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
        named: A model in the names of a source.
    """

    def __init__(self, named: ModelNames) -> None:
        graph = named.model.graph
        self._named = named
        self._facts = graph.triples
        self._sources = graph.triple_sources
        self._own = graph.sources.index(named.source)
        self._by_side: dict[Side, GroupedIndex] = {
            side: GroupedIndex.of(self._facts[:, column]) for side, column in SIDES.items()
        }
        rows = named.part.relation_rows.tolist()
        names = named.part.relations.names.to_list()
        self.relations = {
            row: Relation(name, named.relation_label(row))
            for row, name in zip(rows, names, strict=True)
        }

    def examples(self) -> tuple[Entity, ...]:
        """Return the entities that have facts of the most relations in the source."""
        facts = pl.DataFrame(self._facts[self._sources == self._own], schema=["x", "relation", "y"])
        ends = pl.concat([facts.select("x", "relation"), facts.select(x="y", relation="relation")])
        counts = ends.group_by("x").agg(n=pl.col("relation").n_unique())
        first = counts.sort("n", "x", descending=[True, False])["x"].head(EXAMPLES)
        return tuple(self._entity(row) for row in first.to_list())

    def view(self, entity: str, max_facts: int) -> EntityView:
        """Return the view of an entity.

        Args:
            entity: Its name or label.
            max_facts: The most facts that are listed.

        Raises:
            UnknownNameError: If the name is unknown, a label means several entities, or the entity
                has no vector.
        """
        named = self._named
        row = named.vector(named.entity(entity))
        facts, n_facts = self._stated(row, max_facts)
        parts = named.model.graph.parts.items()
        places = ((source, part, np.flatnonzero(part.entity_rows == row)) for source, part in parts)
        return EntityView(
            named.entity_name(row),
            named.entity_label(row),
            {source: part.entities.name(at[0]) for source, part, at in places if len(at)},
            facts,
            n_facts,
            self._suggested(row),
        )

    def _places(self, row: int, side: Side) -> NDArray[np.integer]:
        """Return the places of the facts with an entity at one side."""
        _, places = self._by_side[side].rows(np.array([row]))
        return places

    def _stated(self, row: int, max_facts: int) -> tuple[tuple[EntityFact, ...], int]:
        """Return distinct facts with their sources, and the number of all."""
        places = np.unique(np.concatenate([self._places(row, side) for side in SIDES]))
        facts, sources = self._facts[places], self._sources[places]
        distinct, which = np.unique(facts, axis=0, return_inverse=True)
        which = which.reshape(-1)
        foreign = np.ones(len(distinct), dtype=np.int64)
        foreign[which[sources == self._own]] = 0
        order = np.lexsort((distinct[:, 2], distinct[:, 0], distinct[:, 1], foreign))[:max_facts]
        names = self._named.model.graph.sources
        found = []
        for at in order.tolist():
            head, relation, tail = distinct[at].tolist()
            stated_by = tuple(names[x] for x in np.unique(sources[which == at]))
            found.append(
                EntityFact(
                    self._entity(head), self._relation(relation), self._entity(tail), stated_by
                )
            )
        return tuple(found), len(distinct)

    def _suggested(self, row: int) -> tuple[SuggestedQuery, ...]:
        """Return queries that similar entities, or the entity itself, have answers to."""
        named = self._named
        similar = neighbours(named, named.entity_name(row), SIMILAR)
        rows = [named.vector(named.entity(x.name)) for x in similar]
        counts = Counter(query for other in (*rows, row) for query in self._answered(other))
        best = [x for x in counts.most_common() if x[0][0] in self.relations][:QUERIES]
        return tuple(SuggestedQuery(self.relations[x], side, count) for (x, side), count in best)

    def _answered(self, row: int) -> set[tuple[int, Side]]:
        """Return the queries that an entity's facts answer, as relation and predicted side."""
        return {
            (relation, "tail" if side == "head" else "head")
            for side in SIDES
            for relation in np.unique(self._facts[self._places(row, side), 1]).tolist()
        }

    def _entity(self, row: int) -> Entity:
        named = self._named
        own = row < named.model.kge.n_entities and bool((named.part.entity_rows == row).any())
        return Entity(named.entity_name(row), named.entity_label(row), own)

    def _relation(self, row: int) -> Relation:
        return self.relations.get(row) or Relation(
            self._named.names((0, row, 0))[1], self._named.relation_label(row)
        )
