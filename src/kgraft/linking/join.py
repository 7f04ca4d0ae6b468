"""Joining of graphs into one id space by their links."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.graph.vocabulary import Rows, Vocabulary
from kgraft.linking.joint_graph import JointGraph, JointSource, LinkConflict
from kgraft.linking.links import LinkKind, Links
from kgraft.linking.merge import Conflict, merge
from kgraft.system.arrays import is_mapped, pieces_of, spilled

_CERTAIN = 2.0
"""Confidence of certain links, above that of all others."""

_SAME_NAME = 3.0
"""Confidence of equal relation names: they are one even if an earlier join decided otherwise."""


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


def join_relations(
    joined: JointGraph, graphs: Sequence[KnowledgeGraph], links: Sequence[Links]
) -> JointGraph:
    """Join graphs as ``join`` does, where an earlier join differs in links of relations alone.

    Entities keep their rows, and facts in a file are not read into memory.

    Args:
        joined: The graphs, joined by fewer links of relations.
        graphs: The graphs.
        links: All links.
    """
    relation_rows, n_relations, conflicts = _merge_kind(graphs, links, (), "relation")
    rows = np.full(joined.n_relations, -1, dtype=np.int64)
    for graph, own in zip(graphs, relation_rows, strict=True):
        rows[joined.parts[graph.name].relation_rows] = own
    for graph, own in zip(graphs, relation_rows, strict=True):
        if not np.array_equal(rows[joined.parts[graph.name].relation_rows], own):
            return join(graphs, links)  # The links have parted relations that were one.

    def along(facts: Triples) -> Triples:
        heads, relations, tails = facts.T
        return np.stack([heads, rows[relations], tails], axis=1)

    store = spilled if is_mapped(joined.triples) else _concatenated
    triples = joined.triples
    return replace(
        joined,
        parts={
            graph.name: replace(joined.parts[graph.name], relation_rows=own)
            for graph, own in zip(graphs, relation_rows, strict=True)
        },
        n_relations=n_relations,
        triples=store(map(along, pieces_of(triples)), triples[:0], len(triples)),
        conflicts=(*(x for x in joined.conflicts if x.kind == "entity"), *conflicts),
        known_false={name: along(x) for name, x in joined.known_false.items()},
    )


def _concatenated(pieces: Iterable[Triples], like: Triples, _: int) -> Triples:
    return np.concatenate([like, *pieces])


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
