"""What is around an entity: who states what about it, and what may be asked about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from kgraft.graph.known_facts import Side
from kgraft.graph.vocabulary import Rows
from kgraft.inference.names import ModelNames
from kgraft.inference.similar import neighbours

ALIKE = 20
"""Similar entities whose relations an entity may have too."""

EXAMPLES = 8
"""Entities with much to see, that one may begin with."""

ASKED = 12
"""Questions that are proposed about an entity."""


@dataclass(frozen=True)
class Thing:
    """An entity in a fact.

    Args:
        name: Its name in the model's target, or where that has none in another source.
        label: What a person calls it.
        askable: Whether questions can be asked about it.
    """

    name: str
    label: str
    askable: bool


@dataclass(frozen=True)
class Verb:
    """A relation.

    Args:
        name: Its name.
        label: The readable end of it.
    """

    name: str
    label: str


@dataclass(frozen=True)
class NearFact:
    """A fact about an entity.

    Args:
        head: Its head.
        relation: Its relation.
        tail: Its tail.
        stated_by: The sources that state it.
    """

    head: Thing
    relation: Verb
    tail: Thing
    stated_by: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """What may be asked about an entity.

    Args:
        relation: The relation.
        asks_for: The side that is asked for; the entity is at the other one.
        alike: How many of the most similar entities have facts of that relation and side.
    """

    relation: Verb
    asks_for: Side
    alike: int


@dataclass(frozen=True)
class Surroundings:
    """What is around an entity.

    Args:
        name: Its name.
        label: What a person calls it.
        named_by: Its name in each source that has it.
        facts: Facts about it, those of the target first.
        n_facts: How many there are; not all of very many are listed.
        questions: What may be asked about it, the likeliest first.
    """

    name: str
    label: str
    named_by: dict[str, str]
    facts: tuple[NearFact, ...]
    n_facts: int
    questions: tuple[Question, ...]


class _Ends(NamedTuple):
    """Facts in the order of one of their ends, and where each entity's begin."""

    order: Rows
    start: Rows


class Neighbourhood:
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
        bounds = np.arange(graph.n_entities + 1)
        self._ends: dict[Side, _Ends] = {}
        sides: tuple[tuple[Side, int], ...] = (("head", 0), ("tail", 2))
        for side, column in sides:
            order = np.argsort(self._facts[:, column], kind="stable")
            start = np.searchsorted(self._facts[order, column], bounds)
            self._ends[side] = _Ends(order, start)
        rows = named.part.relation_rows.tolist()
        names = named.part.relations.names.to_list()
        self.verbs = {
            row: Verb(name, named.relation_label(row))
            for row, name in zip(rows, names, strict=True)
        }

    def examples(self) -> tuple[Thing, ...]:
        """Return entities that the source states facts of the most relations of."""
        facts = pl.DataFrame(self._facts[self._sources == self._own], schema=["x", "relation", "y"])
        ends = pl.concat([facts.select("x", "relation"), facts.select(x="y", relation="relation")])
        counts = ends.group_by("x").agg(n=pl.col("relation").n_unique())
        richest = counts.sort("n", "x", descending=[True, False])["x"].head(EXAMPLES)
        return tuple(self._thing(row) for row in richest.to_list())

    def around(self, entity: str, most: int) -> Surroundings:
        """Return what is around an entity.

        Args:
            entity: Its name or label.
            most: The most facts.

        Raises:
            UnknownNameError: If the name is unknown, a label means several entities, or the entity
                has no vector.
        """
        named = self._named
        row = named.vector(named.entity(entity))
        facts, n_facts = self._stated(row, most)
        parts = named.model.graph.parts.items()
        places = ((source, part, np.flatnonzero(part.entity_rows == row)) for source, part in parts)
        return Surroundings(
            named.entity_name(row),
            named.entity_label(row),
            {source: part.entities.name(at[0]) for source, part, at in places if len(at)},
            facts,
            n_facts,
            self._questions(row),
        )

    def _of(self, row: int, side: Side) -> Rows:
        """Return the facts that have an entity at one side."""
        order, start = self._ends[side]
        return order[start[row] : start[row + 1]]

    def _stated(self, row: int, most: int) -> tuple[tuple[NearFact, ...], int]:
        """Return facts with all who state them, and how many different ones there are."""
        places = np.unique(np.concatenate([self._of(row, "head"), self._of(row, "tail")]))
        facts, sources = self._facts[places], self._sources[places]
        different, which = np.unique(facts, axis=0, return_inverse=True)
        which = which.reshape(-1)
        foreign = np.ones(len(different), dtype=np.int64)
        foreign[which[sources == self._own]] = 0
        order = np.lexsort((different[:, 2], different[:, 0], different[:, 1], foreign))[:most]
        names = self._named.model.graph.sources
        found = []
        for at in order.tolist():
            head, relation, tail = different[at].tolist()
            stating = tuple(names[x] for x in np.unique(sources[which == at]))
            found.append(
                NearFact(self._thing(head), self._verb(relation), self._thing(tail), stating)
            )
        return tuple(found), len(different)

    def _questions(self, row: int) -> tuple[Question, ...]:
        """Propose what similar entities have, then what the entity has itself."""
        named = self._named
        alike = neighbours(named, named.entity_name(row), ALIKE)
        rows = [named.vector(named.entity(x.name)) for x in alike]
        seen: Counter[tuple[int, Side]] = Counter()
        for other in rows:
            seen.update(self._asked(other))
        for question in self._asked(row):
            seen[question] += 1
        likeliest = [x for x in seen.most_common() if x[0][0] in self.verbs][:ASKED]
        return tuple(Question(self.verbs[x], side, count) for (x, side), count in likeliest)

    def _asked(self, row: int) -> set[tuple[int, Side]]:
        """Return the relations of an entity, each with the side that they would be asked for."""
        ends: tuple[tuple[Side, Side], ...] = (("head", "tail"), ("tail", "head"))
        return {
            (relation, asked)
            for side, asked in ends
            for relation in np.unique(self._facts[self._of(row, side), 1]).tolist()
        }

    def _thing(self, row: int) -> Thing:
        named = self._named
        own = row < named.model.kge.n_entities and bool((named.part.entity_rows == row).any())
        return Thing(named.entity_name(row), named.entity_label(row), own)

    def _verb(self, row: int) -> Verb:
        return self.verbs.get(row) or Verb(
            self._named.names((0, row, 0))[1], self._named.relation_label(row)
        )
