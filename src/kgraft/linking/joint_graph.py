"""Joint graph: linked graphs in one id space, where linked entities share a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.errors import UnknownNameError, counted
from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples, no_triples
from kgraft.graph.vocabulary import Rows, Vocabulary
from kgraft.linking.links import LinkKind, Links
from kgraft.linking.merge import Conflict, merge
from kgraft.system.arrays import pieces_of
from kgraft.system.terminal import visible

_CERTAIN = 2.0
"""Confidence of certain links, above that of all others."""

_SAME_NAME = 3.0
"""Confidence of equal relation names: they are one even if an earlier join decided otherwise."""


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

    def graphs(self) -> dict[str, KnowledgeGraph]:
        """Return each source as a graph, with the training facts that it states of its entities."""
        found = {}
        for place, (name, part) in enumerate(self.parts.items()):
            entities = positions_of(part.entity_rows, self.n_entities)
            relations = positions_of(part.relation_rows, self.n_relations)
            stated = self.triple_sources == place
            stated &= (entities[self.triples[:, [0, 2]]] >= 0).all(axis=1)
            false = self.known_false.get(name, no_triples())
            facts, own_false = (
                np.stack([entities[x[:, 0]], relations[x[:, 1]], entities[x[:, 2]]], axis=1)
                for x in (self.triples[stated], false)
            )
            given = {} if self.confidence is None else {"train": self.confidence[stated]}
            found[name] = KnowledgeGraph(
                name,
                part.entities,
                part.relations,
                facts,
                labels=part.labels,
                known_false=own_false,
                confidence=given,
                license=part.license,
            )
        return found

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
        if theirs == own:
            return links
        pairs = links.pairs.copy()
        pairs[:, end] = own.rows(theirs.names)[links.pairs[:, end]]
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


def positions_of(rows: Rows, size: int) -> Rows:
    """Return the position of each of ``size`` rows in ``rows``, or -1."""
    positions = np.full(size, -1, dtype=np.int64)
    positions[rows] = np.arange(len(rows))
    return positions


Store = Callable[[Iterable[Triples], int], Triples]
"""Makes one array of pieces, which have so many rows together."""


def in_memory(pieces: Iterable[Triples], n_rows: int) -> Triples:
    """Return the facts of pieces in one array in memory."""
    found, begin = np.empty((n_rows, 3), dtype=np.int64), 0
    for piece in pieces:
        found[begin : begin + len(piece)] = piece
        begin += len(piece)
    return found


def join(
    graphs: Sequence[KnowledgeGraph],
    links: Sequence[Links] = (),
    *,
    certain: Sequence[Links] = (),
    store: Store = in_memory,
) -> JointGraph:
    """Join graphs into one id space by their links.

    Linked entities become one, and so do relations of one name and linked ones. A link that would
    join two entities (or relations) of one source is left out and listed. The first graph's
    entities keep their rows. Links to graphs that are not among ``graphs`` are ignored.

    Args:
        graphs: The graphs, with distinct names; only their training facts are taken over, and
            those known to be false.
        links: Links between them.
        certain: Links of an earlier join, which outrank all others.
        store: Where the joint facts go.

    Raises:
        ValueError: If there is no graph, or two have one name.
    """
    names = [graph.name for graph in graphs]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"joining takes graphs with distinct names, not {names}")
    entity_rows, n_entities, entity_conflicts = _merge_kind(graphs, links, certain, "entity")
    relation_rows, n_relations, relation_conflicts = _merge_kind(graphs, links, certain, "relation")
    parts = {
        graph.name: JointSource(
            graph.entities,
            graph.relations,
            own_entities,
            own_relations,
            graph.labels,
            graph.license,
        )
        for graph, own_entities, own_relations in zip(
            graphs, entity_rows, relation_rows, strict=True
        )
    }
    sizes = [len(graph.train) for graph in graphs]
    is_given = any("train" in graph.confidence for graph in graphs)
    given = [graph.confidence_of("train") for graph in graphs if is_given]
    return JointGraph(
        parts=parts,
        n_entities=n_entities,
        n_relations=n_relations,
        triples=store(
            (parts[graph.name].joint(x) for graph in graphs for x in pieces_of(graph.train)),
            sum(sizes),
        ),
        triple_sources=np.repeat(np.arange(len(graphs), dtype=np.int16), sizes),
        conflicts=entity_conflicts + relation_conflicts,
        confidence=np.concatenate(given) if given else None,
        known_false={
            x.name: parts[x.name].joint(x.known_false) for x in graphs if len(x.known_false)
        },
    )


def _merge_kind(
    graphs: Sequence[KnowledgeGraph],
    links: Sequence[Links],
    certain: Sequence[Links],
    kind: LinkKind,
) -> tuple[list[Rows], int, tuple[LinkConflict, ...]]:
    """Merge entities or relations; return each graph's joint rows, their number, the conflicts."""
    vocabularies = [g.entities if kind == "entity" else g.relations for g in graphs]
    sizes = np.array([len(vocabulary) for vocabulary in vocabularies])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    position = {graph.name: index for index, graph in enumerate(graphs)}
    pairs, confidence = [], []
    for group, outranks in ((links, False), (certain, True)):
        for x in group:
            if x.kind == kind and x.left in position and x.right in position:
                shift = np.array([offsets[position[x.left]], offsets[position[x.right]]])
                pairs.append(x.pairs + shift)
                confidence.append(np.where(outranks, _CERTAIN, x.confidence.astype(np.float64)))
    if kind == "relation":
        same_name = _pairs_by_name(vocabularies, offsets)
        pairs.append(same_name)
        confidence.append(np.full(len(same_name), _SAME_NAME))
    all_pairs = np.concatenate(pairs) if pairs else np.empty((0, 2), dtype=np.int64)
    all_confidence = np.concatenate(confidence) if confidence else np.empty(0)
    source_of = np.repeat(np.arange(len(graphs)), sizes)
    merged = merge(int(offsets[-1]), source_of, all_pairs, all_confidence)

    def named(node: int) -> tuple[str, str]:
        source = int(source_of[node])
        return graphs[source].name, vocabularies[source].name(node - int(offsets[source]))

    conflicts = tuple(
        _in_words(conflict, kind, all_pairs, all_confidence, named) for conflict in merged.conflicts
    )
    rows = np.split(merged.clusters, offsets[1:-1])
    n_rows = int(merged.clusters.max()) + 1 if merged.clusters.size else 0
    return rows, n_rows, conflicts


def _pairs_by_name(
    vocabularies: Sequence[Vocabulary], offsets: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Pair every name with its first occurrence in an earlier vocabulary, as nodes ``(n, 2)``."""
    names = pl.concat([vocabulary.names.rename("name") for vocabulary in vocabularies])
    nodes = pl.DataFrame({"name": names, "node": np.arange(offsets[-1], dtype=np.int64)})
    nodes = nodes.with_columns(first=pl.col("node").min().over("name"))
    repeats = nodes.filter(pl.col("node") != pl.col("first"))
    return repeats.select("first", "node").to_numpy().astype(np.int64)


def _in_words(
    conflict: Conflict,
    kind: LinkKind,
    pairs: NDArray[np.int64],
    confidence: NDArray[np.float64],
    named: Callable[[int], tuple[str, str]],
) -> LinkConflict:
    left, right = (named(int(node)) for node in pairs[conflict.link])
    (source, one), (_, other) = (named(node) for node in conflict.kept_apart)
    limited = min(float(confidence[conflict.link]), 1.0)
    return LinkConflict(kind, left, right, limited, source, (one, other), conflict.reason)
