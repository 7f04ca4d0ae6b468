"""A teacher's sources as graphs to align with, and the links that have joined them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.graph.vocabulary import Rows
from kgraft.linking.joint_graph import JointGraph, JointSource, positions_of
from kgraft.linking.links import LinkKind, Links
from kgraft.model.trained_model import TrainedModel


def teacher_sources(teacher: TrainedModel) -> dict[str, KnowledgeGraph]:
    """Return each source with its training facts, its held-out ones as validation facts.

    Attributes come along as far as the teacher has kept them.
    """
    attributes, found = teacher.attributes(), {}
    for name, graph in teacher.graph.graphs().items():
        facts = teacher.held_out.get(name)
        valid = graph.valid if facts is None else _in_own_rows(teacher.graph, name, facts)
        found[name] = replace(graph, valid=valid, attributes=attributes.get(name))
    return found


def _in_own_rows(graph: JointGraph, source: str, facts: Triples) -> Triples:
    part = graph.part(source)
    entities = positions_of(part.entity_rows, graph.n_entities)
    relations = positions_of(part.relation_rows, graph.n_relations)
    own = [entities[facts[:, 0]], relations[facts[:, 1]], entities[facts[:, 2]]]
    return np.stack(own, axis=1)


def joining_links(graph: JointGraph) -> list[Links]:
    """Return certain links between the sources of a joint graph that make it again.

    Each row of a source is linked to the row of the first source that shares its joint row.
    """
    kinds: tuple[LinkKind, ...] = ("entity", "relation")
    return [x for kind in kinds for x in _joining_links(graph, kind)]


def _joining_links(graph: JointGraph, kind: LinkKind) -> list[Links]:
    n_rows = graph.n_entities if kind == "entity" else graph.n_relations
    owner, place = (np.full(n_rows, -1, dtype=np.int64) for _ in range(2))
    links = []
    for number, (name, part) in enumerate(graph.parts.items()):
        rows = _rows(part, kind)
        for first in np.unique(owner[rows][owner[rows] >= 0]).tolist():
            own = np.flatnonzero(owner[rows] == first)
            pairs = np.stack([place[rows[own]], own], axis=1)
            sure = np.ones(len(pairs), dtype=np.float32)
            links.append(Links(graph.sources[first], name, pairs, sure, kind, "the teacher"))
        new = np.flatnonzero(owner[rows] < 0)
        owner[rows[new]], place[rows[new]] = number, new
    return links


def _rows(part: JointSource, kind: LinkKind) -> Rows:
    return part.entity_rows if kind == "entity" else part.relation_rows
