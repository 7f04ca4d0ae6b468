"""Joint graph: linked graphs in one id space, where linked entities share a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.errors import UnknownNameError, counted
from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples, no_triples
from kgraft.graph.vocabulary import Rows, Vocabulary
from kgraft.linking.links import LinkKind, Links
from kgraft.system.terminal import visible


@dataclass(frozen=True, eq=False)
class JointSource:
    """One source inside a joint graph.

    Args:
        entities: The source's own entity names, ``n`` of them.
        relations: The source's own relation names, ``m`` of them.
        entity_rows: Joint row of each of its entities, int64 ``(n,)``.
        relation_rows: Joint row of each of its relations, int64 ``(m,)``.
        labels: A readable label for each entity, null where there is none.
        license: The licence of its data, where it is known.
    """

    entities: Vocabulary
    relations: Vocabulary
    entity_rows: Rows
    relation_rows: Rows
    labels: pl.Series | None = None
    license: str = ""

    def joint(self, triples: Triples) -> Triples:
        """Return facts of the source, ``(n, 3)``, in joint rows."""
        heads, relations, tails = triples.T
        columns = (self.entity_rows[heads], self.relation_rows[relations], self.entity_rows[tails])
        return np.stack(columns, axis=1)

    def relation_name(self, row: int) -> str:
        """Return the source's name of a joint relation; the first of several."""
        return self.relations.name(int(np.flatnonzero(self.relation_rows == row)[0]))

    def known(self, graph: KnowledgeGraph, facts: Triples) -> Triples:
        """Return facts of a graph of the same names, ``(n, 3)``, in joint rows.

        Those of names that the source lacks are left out.
        """
        if not len(facts):
            return no_triples()
        heads, relations, tails = facts.T
        entities = self.entity_rows_of(graph.entities.names)
        rows = self.relation_rows_of(graph.relations.names)[relations]
        found = np.stack([entities[heads], rows, entities[tails]], axis=1)
        return found[(found >= 0).all(axis=1)]

    def entity_rows_of(self, names: pl.Series) -> Rows:
        """Return the joint row of each of the source's entities by name, or -1, int64 ``(n,)``."""
        return np.append(self.entity_rows, -1)[self.entities.rows(names)]

    def relation_rows_of(self, names: pl.Series) -> Rows:
        """Return the joint row of each of the source's relations by name, or -1, int64 ``(n,)``."""
        return np.append(self.relation_rows, -1)[self.relations.rows(names)]


@dataclass(frozen=True)
class LinkConflict:
    """A link that was left out, because it would have made two entities of one source one.

    Args:
        kind: Entity or relation.
        left: Source and name at the left end.
        right: Source and name at the right end.
        confidence: The link's confidence.
        source: The source that has both of the names in ``kept_apart``.
        kept_apart: The two names that the link would have joined.
        reason: ``confidence`` where links of higher confidence decided, ``apart`` for a tie.
    """

    kind: LinkKind
    left: tuple[str, str]
    right: tuple[str, str]
    confidence: float
    source: str
    kept_apart: tuple[str, str]
    reason: str


@dataclass(frozen=True, eq=False)
class JointGraph:
    """Sources in one id space.

    Args:
        parts: Each source by its name, in the order in which they were joined.
        n_entities: Number of joint entity rows.
        n_relations: Number of joint relation rows.
        triples: The sources' training facts in joint rows, int64 ``(n, 3)``; a fact of two
            sources occurs twice.
        triple_sources: For each fact, the position of its source in ``parts``, int16 ``(n,)``.
        conflicts: Links that were left out.
        confidence: Confidence that each fact is stated with, in (0, 1], float64 ``(n,)``; None: all
            are 1.
        known_false: Facts that a source knows to be false, in joint rows, ``(n, 3)``, by source.
        found_relations: Rows of relations of the first source that another has only because it was
            found to state much the same, by source, ``(k,)``; a loaded model's graph has none.
    """

    parts: Mapping[str, JointSource]
    n_entities: int
    n_relations: int
    triples: Triples
    triple_sources: NDArray[np.int16]
    conflicts: tuple[LinkConflict, ...] = ()
    confidence: NDArray[np.float64] | None = None
    known_false: Mapping[str, Triples] = field(default_factory=dict)
    found_relations: Mapping[str, Rows] = field(default_factory=dict)

    def __repr__(self) -> str:
        return visible(
            f"<JointGraph of {', '.join(self.parts)}: {counted(self.n_entities, 'entity')}, "
            f"{counted(self.n_relations, 'relation')}, {counted(len(self.triples), 'fact')}, "
            f"{counted(len(self.conflicts), 'conflict')}>"
        )

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the sources."""
        return tuple(self.parts)

    def part(self, source: str) -> JointSource:
        """Return one source.

        Raises:
            UnknownNameError: If the joint graph has no such source.
        """
        if source not in self.parts:
            known = ", ".join(self.parts)
            raise UnknownNameError(f"no source is called {source!r}; there are {known}")
        return self.parts[source]

    def graphs(self) -> Mapping[str, KnowledgeGraph]:
        """Return the sources as graphs, by name, each made when it is asked for."""
        return _SourceGraphs(self)

    def graph_of(self, source: str) -> KnowledgeGraph:
        """Return a source as a graph, with the training facts that it states of its entities.

        Raises:
            UnknownNameError: If the joint graph has no such source.
        """
        part = self.part(source)
        entities = positions_of(part.entity_rows, self.n_entities)
        relations = positions_of(part.relation_rows, self.n_relations)
        stated = self.triple_sources == self.sources.index(source)
        stated &= (entities[self.triples[:, [0, 2]]] >= 0).all(axis=1)
        false = self.known_false.get(source, no_triples())
        facts, own_false = (
            np.stack([entities[x[:, 0]], relations[x[:, 1]], entities[x[:, 2]]], axis=1)
            for x in (self.triples[stated], false)
        )
        return KnowledgeGraph(
            source,
            part.entities,
            part.relations,
            facts,
            labels=part.labels,
            known_false=own_false,
            confidence={} if self.confidence is None else {"train": self.confidence[stated]},
            license=part.license,
        )

    def held_out(self, graphs: Iterable[KnowledgeGraph]) -> dict[str, Triples]:
        """Return the validation and test facts of sources, ``(n, 3)``, in joint rows.

        Args:
            graphs: The sources with their held-out facts, found by name; others are left out, and
                so are facts of names that the joint graph lacks.
        """
        by_name = {graph.name: graph for graph in graphs}
        found = {}
        for name, part in self.parts.items():
            if (graph := by_name.get(name)) is not None:
                found[name] = part.known(graph, np.concatenate([graph.valid, graph.test]))
        return {name: facts for name, facts in found.items() if len(facts)}

    def labelled(self, label: str) -> Rows:
        """Return the entity rows with this label in any source, case ignored."""
        found = [
            part.entity_rows[(part.labels.str.to_lowercase() == label.lower()).fill_null(False)]
            for part in self.parts.values()
            if part.labels is not None
        ]
        return np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)

    def translate_links(
        self, links: Sequence[Links], graphs: Mapping[str, KnowledgeGraph]
    ) -> list[Links]:
        """Return links with their ends in the rows of this graph's sources, found by name.

        Args:
            links: Links in the rows of ``graphs``.
            graphs: Graphs by name; an end in one that is no source of this graph stays as it is.
                A pair with a name that a source lacks is left out.
        """
        return [self._translate_end(self._translate_end(x, graphs, 0), graphs, 1) for x in links]

    def _translate_end(self, links: Links, graphs: Mapping[str, KnowledgeGraph], end: int) -> Links:
        name = (links.left, links.right)[end]
        if name not in self.parts or name not in graphs:
            return links
        graph, part = graphs[name], self.parts[name]
        theirs = graph.entities if links.kind == "entity" else graph.relations
        own = part.entities if links.kind == "entity" else part.relations
        if theirs is own:
            return links
        pairs = links.pairs.copy()
        pairs[:, end] = own.rows(theirs.gather(links.pairs[:, end]))
        known = pairs[:, end] >= 0
        return replace(links, pairs=pairs[known], confidence=links.confidence[known])

    def rows_in(self, other: JointGraph) -> tuple[Rows, Rows]:
        """Map rows to those of another joint graph, by name.

        Returns:
            For each entity row, ``(n_entities,)``, and each relation row, ``(n_relations,)``, the
            row that the other graph gives one of its names, or -1. Where its names lead to several,
            the name in the first of this graph's sources decides.
        """
        entities = np.full(self.n_entities, -1, dtype=np.int64)
        relations = np.full(self.n_relations, -1, dtype=np.int64)
        for name in reversed(self.sources):
            if name in other.parts:
                own, theirs = self.parts[name], other.parts[name]
                for found, rows, places in (
                    (entities, theirs.entity_rows_of(own.entities.names), own.entity_rows),
                    (relations, theirs.relation_rows_of(own.relations.names), own.relation_rows),
                ):
                    found[places] = np.where(rows >= 0, rows, found[places])
        return entities, relations

    def among_first(self, n_entities: int) -> NDArray[np.bool_]:
        """Mask the facts whose ends are both among the first ``n_entities`` rows, ``(n,)``."""
        heads, _, tails = self.triples.T
        among: NDArray[np.bool_] = (heads < n_entities) & (tails < n_entities)
        return among

    def facts_of(self, sources: Sequence[str]) -> Triples:
        """Return the facts that the named sources state, ``(n, 3)``, in joint rows."""
        positions = [self.sources.index(source) for source in sources]
        return self.triples[np.isin(self.triple_sources, positions)]


class _SourceGraphs(Mapping[str, KnowledgeGraph]):
    """The sources of a joint graph as graphs, each made once it is asked for."""

    def __init__(self, joint: JointGraph) -> None:
        self._joint = joint
        self._made: dict[str, KnowledgeGraph] = {}

    def __getitem__(self, source: str) -> KnowledgeGraph:
        if source not in self._joint.parts:
            raise KeyError(source)
        if source not in self._made:
            self._made[source] = self._joint.graph_of(source)
        return self._made[source]

    def __iter__(self) -> Iterator[str]:
        return iter(self._joint.parts)

    def __len__(self) -> int:
        return len(self._joint.parts)


def positions_of(rows: Rows, size: int) -> Rows:
    """Return the position of each of ``size`` rows in ``rows``, or -1."""
    positions = np.full(size, -1, dtype=np.int64)
    positions[rows] = np.arange(len(rows))
    return positions
