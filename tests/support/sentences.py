"""Collections written as sentences."""

from __future__ import annotations

import numpy as np
import polars as pl

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.collection import Collection, collect
from kgraft.linking.links import Links


def _graph_of(name: str, sentences: str, labels: dict[str, str] | None) -> KnowledgeGraph:
    facts = [fact.split() for fact in sentences.split(",")]
    entities = Vocabulary.of(dict.fromkeys(end for head, _, tail in facts for end in (head, tail)))
    relations = Vocabulary.of(dict.fromkeys(relation for _, relation, _ in facts))
    rows = [[entities.row(h), relations.row(r), entities.row(t)] for h, r, t in facts]
    called = None
    if labels is not None:
        called = pl.Series([labels.get(x) for x in entities.names.to_list()], dtype=pl.String)
    return KnowledgeGraph(name, entities, relations, np.array(rows, dtype=np.int64), labels=called)


def collection_from(
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
