"""Facts of a table as names."""

from __future__ import annotations

from pathlib import Path

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.io.read_graph import read_graph
from kgraft.io.source import GraphSource


def read(path: Path, text: str, **options: object) -> KnowledgeGraph:
    """Write a text into a file, and read the file as a graph."""
    path.write_text(text)
    return read_graph(GraphSource(name="g", train=path, **options))  # type: ignore[arg-type]


def facts(graph: KnowledgeGraph) -> list[tuple[str, str, str]]:
    """Return the training facts of a graph as names."""
    e, r = graph.entities, graph.relations
    return [(e.name(h), r.name(p), e.name(t)) for h, p, t in graph.train]
