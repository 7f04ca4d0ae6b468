"""Facts added to a joint graph: a few more facts of one source, and new entities that they name.

A new entity that is linked to an entity of another source takes that one's row, with its facts;
all others get rows at the end. So no row changes its number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.grouped_index import Ints, first_of_each
from kgraft.graph.knowledge_graph import Triples, no_triples
from kgraft.graph.known_facts import KnownFacts
from kgraft.graph.vocabulary import Rows
from kgraft.linking.joint_graph import JointGraph, JointSource


@dataclass(frozen=True, eq=False)
class NewEntity:
    """An entity that a source does not have yet.

    Args:
        name: Its name there.
        linked: Rows of entities of other sources that it is linked to.
    """

    name: str
    linked: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class AddedFacts:
    """A joint graph with facts that were added to it.

    Args:
        before: The graph without them.
        graph: The graph with them; facts that it had come first.
        target: The source that states them.
        rows: Rows of the new entities, ``(N,)``.
        given: The target's new facts, ``(k, 3)``.
        moved: Facts of further entities that new ones are linked to, with their rows, ``(l, 3)``.
        origin: Position of each of those among the facts before, ``(l,)``.
    """

    before: JointGraph
    graph: JointGraph
    target: str
    rows: Rows
    given: Triples
    moved: Triples
    origin: Ints

    @property
    def facts(self) -> Triples:
        """All added facts, the target's and then others, ``(k + l, 3)``."""
        return np.concatenate([self.given, self.moved])

    def about_new(self) -> Ints:
        """Return the positions in the graph of all facts about new entities, ascending."""
        heads, _, tails = self.graph.triples.T
        return np.flatnonzero(np.isin(heads, self.rows) | np.isin(tails, self.rows))


def add_facts(
    graph: JointGraph, target: str, entities: Sequence[NewEntity], facts: Triples
) -> AddedFacts:
    """Add facts and new entities to a source of a joint graph.

    Args:
        graph: The graph.
        target: The source.
        entities: New entities, with names that the source lacks. One that is linked to several rows
            takes the first one.
        facts: Facts in rows of the graph, ``(n, 3)``, with entity ``i`` of ``entities`` as row
            ``graph.n_entities + i``. Those that the source states already are left out.
    """
    rows, n_entities = _rows_of(graph, entities)
    number = np.concatenate([np.arange(graph.n_entities), rows])
    given = np.stack([number[facts[:, 0]], facts[:, 1], number[facts[:, 2]]], axis=1)
    given = given[np.sort(first_of_each(given))] if len(given) else given
    own = graph.triples[graph.triple_sources == graph.sources.index(target)]
    given = given[~KnownFacts(own[np.isin(own[:, 0], given[:, 0])]).contains(given)]
    one = np.arange(graph.n_entities)
    for row, entity in zip(rows.tolist(), entities, strict=True):
        one[list(entity.linked)] = row
    moved, origin = _moved(graph, one)
    parts = {name: _with_rows(part, one) for name, part in graph.parts.items()}
    parts[target] = _with_entities(parts[target], rows, [x.name for x in entities])
    stating = np.full(len(given), graph.sources.index(target), dtype=np.int16)
    confidence = graph.confidence
    if confidence is not None:
        confidence = np.concatenate([confidence, np.ones(len(given)), confidence[origin]])
    after = replace(
        graph,
        parts=parts,
        n_entities=n_entities,
        triples=np.concatenate([graph.triples, given, moved]),
        triple_sources=np.concatenate(
            [graph.triple_sources, stating, graph.triple_sources[origin]]
        ),
        confidence=confidence,
    )
    return AddedFacts(graph, after, target, rows, given, moved, origin)


def _rows_of(graph: JointGraph, entities: Sequence[NewEntity]) -> tuple[Rows, int]:
    """Return the row of each new entity, and the number of rows with them."""
    rows, n_entities = np.empty(len(entities), dtype=np.int64), graph.n_entities
    for place, entity in enumerate(entities):
        rows[place] = entity.linked[0] if entity.linked else n_entities
        n_entities += not entity.linked
    return rows, n_entities


def _moved(graph: JointGraph, one: Rows) -> tuple[Triples, Ints]:
    """Return the facts about rows that become another one, and their positions."""
    changed = one != np.arange(len(one))
    if not changed.any():
        return no_triples(), np.empty(0, dtype=np.int64)
    heads, relations, tails = graph.triples.T
    origin = np.flatnonzero(changed[heads] | changed[tails])
    moved = np.stack([one[heads[origin]], relations[origin], one[tails[origin]]], axis=1)
    return moved, origin


def _with_rows(part: JointSource, one: Rows) -> JointSource:
    """Return a source whose entities have the rows that theirs become."""
    rows = one[part.entity_rows]
    return part if np.array_equal(rows, part.entity_rows) else replace(part, entity_rows=rows)


def _with_entities(part: JointSource, rows: Rows, names: Sequence[str]) -> JointSource:
    if not names:
        return part
    labels = part.labels
    if labels is not None:
        labels = pl.concat([labels, pl.Series([None] * len(names), dtype=pl.String)])
    return replace(
        part,
        entities=part.entities.extended(names),
        entity_rows=np.concatenate([part.entity_rows, rows]),
        labels=labels,
    )


def statements_about(added: AddedFacts) -> tuple[Triples, Ints]:
    """Return what other sources state about new entities, between entities of the target.

    Returns:
        Distinct facts that the target does not state, ``(n, 3)``, and for each fact of the graph
        that states one of them, its position and the number of that fact, ``(m, 2)``.
    """
    graph = added.graph
    own = graph.sources.index(added.target)
    positions = added.about_new()
    positions = positions[graph.triple_sources[positions] != own]
    is_target = _mask(graph.part(added.target).entity_rows, graph.n_entities)
    heads, _, tails = graph.triples[positions].T
    positions = positions[is_target[heads] & is_target[tails]]
    facts = graph.triples[positions]
    stated = ~KnownFacts(added.given).contains(facts)
    positions, facts = positions[stated], facts[stated]
    if not len(facts):
        return no_triples(), np.empty((0, 2), dtype=np.int64)
    distinct, number = np.unique(facts, axis=0, return_inverse=True)
    return distinct, np.stack([positions, number.reshape(-1)], axis=1)


def _mask(rows: Rows, size: int) -> NDArray[np.bool_]:
    mask = np.zeros(size, dtype=np.bool_)
    mask[rows] = True
    return mask
