"""What neighbours tell, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kgraft.alignment.nodes import Nodes
from kgraft.alignment.settings import StructureSettings
from kgraft.alignment.structure import Neighbours, neighbours
from kgraft.errors import DataError
from kgraft.linking.collection import Collection

SETTINGS = StructureSettings(pseudo_count=3, max_entities=2)


def told(collection: Collection) -> tuple[Nodes, Neighbours]:
    nodes = Nodes.of(collection, collection.links)
    relations = np.arange(2 * nodes.joint.n_relations)
    return nodes, neighbours(nodes, nodes.clusters(collection.links), relations, SETTINGS)


def test_what_is_said_of_one_entity_alone_is_as_good_as_a_name(collection_of) -> None:
    nodes, around = told(
        collection_of(
            {"a": "x capital p, y capital q", "b": "X capital P, Y capital Q"}, {"a b": "p=P"}
        )
    )
    assert around.probability.tolist() == [pytest.approx(0.99)]
    said = around.statements.toarray()[:, 0]
    assert [nodes.label(node) for node in np.flatnonzero(said)] == ["x", "X"]


def test_what_is_said_of_several_tells_less_and_less(collection_of) -> None:
    _, around = told(collection_of({"a": "x in p, y in p", "b": "X in P, Y in P"}, {"a b": "p=P"}))
    # Two entities each, and four facts with two distinct ends: (1 + 3 / 2) / (2 + 3).
    assert around.probability.tolist() == [pytest.approx(0.5)]


def test_what_is_said_of_too_many_or_in_one_graph_only_tells_nothing(collection_of) -> None:
    _, around = told(
        collection_of({"a": "x in p, y in p, z in p", "b": "X in P, V on W"}, {"a b": "p=P"})
    )
    assert around.probability.tolist() == []


def test_both_directions_speak(collection_of) -> None:
    nodes, around = told(collection_of({"a": "x likes y", "b": "X likes Y"}, {"a b": "x=X"}))
    assert around.relation.tolist() == [nodes.joint.n_relations]  # the inverse of likes


def test_links_join_two_graphs(collection_of) -> None:
    with pytest.raises(DataError, match="has one source"):
        Nodes.of(collection_of({"a": "x likes y"}), ())
