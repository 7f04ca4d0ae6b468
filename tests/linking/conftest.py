"""Graphs and links written as sentences, and joint graphs read back as sentences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sentences import collection_from

from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.collection import Collection
from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.links import LinkKind, Links

GraphOf = Callable[..., KnowledgeGraph]
LinksOf = Callable[..., Links]
CollectionOf = Callable[..., Collection]


def _facts(sentences: str) -> list[list[str]]:
    return [fact.split() for fact in sentences.split(",") if fact.strip()]


def _graph_of(name: str, train: str, *, test: str = "", also: str = "") -> KnowledgeGraph:
    facts = _facts(train) + _facts(test)
    ends = [end for head, _, tail in facts for end in (head, tail)]
    entities = Vocabulary.of(dict.fromkeys([*ends, *also.split()]))
    relations = Vocabulary.of(dict.fromkeys(relation for _, relation, _ in facts))

    def rows(sentences: str) -> Triples:
        return np.array(
            [[entities.row(h), relations.row(r), entities.row(t)] for h, r, t in _facts(sentences)],
            dtype=np.int64,
        ).reshape(-1, 3)

    return KnowledgeGraph(name, entities, relations, train=rows(train), test=rows(test))


def _links_of(
    left: KnowledgeGraph, right: KnowledgeGraph, pairs: str, kind: LinkKind = "entity"
) -> Links:
    rows, confidence = [], []
    for pair in pairs.split():
        ends, _, trust = pair.partition(":")
        one, other = ends.split("=")
        if kind == "entity":
            rows.append([left.entities.row(one), right.entities.row(other)])
        else:
            rows.append([left.relations.row(one), right.relations.row(other)])
        confidence.append(float(trust or 1.0))
    return Links(
        left.name,
        right.name,
        np.array(rows, dtype=np.int64).reshape(-1, 2),
        np.array(confidence, dtype=np.float32),
        kind,
    )


@pytest.fixture(scope="session")
def graph_of() -> GraphOf:
    """Make a graph: its name, and train and test facts as ``a likes b, b likes c``.

    ``also`` names entities that no fact mentions.
    """
    return _graph_of


@pytest.fixture(scope="session")
def links_of() -> LinksOf:
    """Make links of two graphs from pairs of names with a confidence, as ``a=A b=B:0.5``."""
    return _links_of


@pytest.fixture(scope="session")
def members() -> Callable[..., set[str]]:
    """Return each joint row that has several members, as ``mine:a big:A``."""

    def read(joint: JointGraph, kind: LinkKind = "entity") -> set[str]:
        found: dict[int, list[str]] = {}
        for source, part in joint.parts.items():
            names = part.entities if kind == "entity" else part.relations
            rows = part.entity_rows if kind == "entity" else part.relation_rows
            for name, row in zip(names.names, rows.tolist(), strict=True):
                found.setdefault(row, []).append(f"{source}:{name}")
        return {" ".join(names) for names in found.values() if len(names) > 1}

    return read


@pytest.fixture(scope="session")
def sentences() -> Callable[[JointGraph], list[str]]:
    """Return the facts of a joint graph in its order, as ``big: A likes B``."""

    def read(joint: JointGraph) -> list[str]:
        found = []
        for (head, relation, tail), source in zip(
            joint.triples.tolist(), joint.triple_sources.tolist(), strict=True
        ):
            part = joint.parts[joint.sources[source]]
            h, t = (
                part.entities.name(np.flatnonzero(part.entity_rows == x)[0]) for x in (head, tail)
            )
            r = part.relations.name(np.flatnonzero(part.relation_rows == relation)[0])
            found.append(f"{joint.sources[source]}: {h} {r} {t}")
        return found

    return read


@pytest.fixture(scope="session")
def collection_of() -> CollectionOf:
    """Make a collection from ``{"a": "x likes y, y likes z"}`` and ``{"a b": "x=X y=Y"}``."""
    return collection_from
