"""Links between a graph to graft and a teacher's sources: given ones, and equal IRIs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import KnowledgeGraph, no_triples
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.link_ends import LeftOut, warn_of_left_out
from kgraft.io.read_links import links_by_name, read_links
from kgraft.linking.collection import Collection
from kgraft.linking.links import LinkKind, Links

SAME_IRI = "same IRI"


def translated(
    known: Collection, own: KnowledgeGraph, sources: Mapping[str, KnowledgeGraph]
) -> list[Links]:
    """Return a collection's links of a graph with a teacher's sources, in the rows of those.

    The graph is at the left. Links to names that a source lacks are left out.
    """
    found = []
    for x in known.links:
        links = x if x.left == own.name else x.reversed() if x.right == own.name else None
        if links is None or links.right not in sources:
            continue
        theirs, mine = known.graphs[links.right], sources[links.right]
        of_kind = "entities" if links.kind == "entity" else "relations"
        rows = getattr(mine, of_kind).rows(getattr(theirs, of_kind).names)[links.pairs[:, 1]]
        kept = rows >= 0
        if kept.any():
            pairs = np.stack([links.pairs[kept, 0], rows[kept]], axis=1)
            found.append(replace(links, pairs=pairs, confidence=links.confidence[kept]))
    return found


def same_iri_links(own: KnowledgeGraph, sources: Mapping[str, KnowledgeGraph]) -> list[Links]:
    """Return links of entities that have one IRI."""
    found = []
    for source in sources.values():
        links = links_by_name(own, source)
        is_iri = own.entities.names.gather(links.pairs[:, 0]).str.contains("://", literal=True)
        pairs = links.pairs[is_iri.to_numpy()]
        if len(pairs):
            sure = np.ones(len(pairs), dtype=np.float32)
            found.append(Links(own.name, source.name, pairs, sure, "entity", SAME_IRI))
    return found


def file_links(
    path: Path, own: KnowledgeGraph, sources: Mapping[str, KnowledgeGraph]
) -> list[Links]:
    """Read a file of links between a graph and any of a teacher's sources.

    It holds links of entities or of relations, the graph's names in either column.

    Raises:
        DataError: If it cannot be read, or none of its links joins the graph with a source.

    Warns:
        KgraftWarning: With the number of links that were left out.
    """
    every = _all_names(sources)
    kinds: tuple[LinkKind, ...] = ("entity", "relation")
    for kind in kinds:
        for left, right in ((own, every), (every, own)):
            left_out: list[LeftOut] = []
            links = read_links(
                path, left, right, kind=kind, unknown="skip", spelling="normal", left_out=left_out
            )
            if len(links):
                warn_of_left_out(left_out)
                return _by_source(links if left is own else links.reversed(), every, sources)
    raise DataError(
        f"none of these links joins a name of {own.name!r}, as {own.entities.name(0)!r}, with one "
        f"of the teacher's, as {every.entities.name(0)!r}",
        remedy="Give two columns, a name of the graph and one of the teacher's, as they are in "
        "their files",
        path=path,
    )


def _all_names(sources: Mapping[str, KnowledgeGraph]) -> KnowledgeGraph:
    """Return a graph without facts that has the names of all sources."""
    entities, relations = (
        Vocabulary(pl.concat([x.names.rename("name") for x in kind]).unique(maintain_order=True))
        for kind in (
            [x.entities for x in sources.values()],
            [x.relations for x in sources.values()],
        )
    )
    return KnowledgeGraph("the teacher", entities, relations, no_triples())


def _by_source(
    links: Links, every: KnowledgeGraph, sources: Mapping[str, KnowledgeGraph]
) -> list[Links]:
    """Return links to names of all sources as links to each source that has them."""
    found = []
    for name, source in sources.items():
        theirs, named = (
            (source.entities, every.entities)
            if links.kind == "entity"
            else (source.relations, every.relations)
        )
        rows = theirs.rows(named.names.gather(links.pairs[:, 1]))
        kept = rows >= 0
        if kept.any():
            pairs = np.stack([links.pairs[kept, 0], rows[kept]], axis=1)
            confidence = links.confidence[kept]
            found.append(replace(links, right=name, pairs=pairs, confidence=confidence))
    return found
