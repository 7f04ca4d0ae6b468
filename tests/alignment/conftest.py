"""Small collections written as sentences, and alignments read back as pairs of names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from kgraft.alignment.align import Alignment
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.collection import Collection, collect
from kgraft.linking.links import Links

CollectionOf = Callable[..., Collection]
PairsOf = Callable[[Alignment], set[str]]


def _graph_of(name: str, sentences: str, labels: dict[str, str] | None) -> KnowledgeGraph:
    facts = [fact.split() for fact in sentences.split(",")]
    entities = Vocabulary.of(dict.fromkeys(end for head, _, tail in facts for end in (head, tail)))
    relations = Vocabulary.of(dict.fromkeys(relation for _, relation, _ in facts))
    rows = [[entities.row(h), relations.row(r), entities.row(t)] for h, r, t in facts]
    called = None
    if labels is not None:
        called = pl.Series([labels.get(x) for x in entities.names.to_list()], dtype=pl.String)
    return KnowledgeGraph(name, entities, relations, np.array(rows, dtype=np.int64), labels=called)


def _collection_of(
    graphs: dict[str, str],
    links: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
) -> Collection:
    made = {name: _graph_of(name, text, labels) for name, text in graphs.items()}
    joined = []
    for ends, text in (links or {}).items():
        left, right = (made[name] for name in ends.split())
        pairs = [pair.split("=") for pair in text.split()]
        rows = [[left.entities.row(one), right.entities.row(other)] for one, other in pairs]
        confidence = np.ones(len(rows), dtype=np.float32)
        joined.append(Links(left.name, right.name, np.array(rows, dtype=np.int64), confidence))
    return collect(made.values(), joined)


@pytest.fixture(scope="session")
def collection_of() -> CollectionOf:
    """Make a collection from ``{"a": "x likes y, y likes z"}`` and ``{"a b": "x=X y=Y"}``."""
    return _collection_of


@pytest.fixture(scope="session")
def pairs_of() -> PairsOf:
    """Return what was found, as ``x=X``."""

    def read(found: Alignment) -> set[str]:
        graphs = {graph.name: graph for graph in found.nodes.graphs}
        return {
            f"{graphs[x.links.left].entities.name(one)}={graphs[x.links.right].entities.name(two)}"
            for x in found.proposed
            for one, two in x.links.pairs.tolist()
        }

    return read
