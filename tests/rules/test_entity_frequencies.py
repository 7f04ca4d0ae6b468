"""How entities are connected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.linking.joint_graph import JointGraph
from kgraft.rules.edges import Edges
from kgraft.rules.entity_frequencies import EntityFrequencies
from kgraft.rules.rule_bodies import Adjacency

ANN, BOB, CAY, DAN, EVE, Z = range(6)
LIKES, KNOWS, SEES = range(3)
M = 3


@pytest.fixture
def graph(tiny: Collection) -> JointGraph:
    """Mine states ann likes bob, as big does, bob knows cay, cay likes dan, and eve likes dan.

    Big states besides: ann likes cay, bob sees Z.
    """
    joint = join(list(tiny.graphs.values()), tiny.links)
    return replace(
        joint,
        triples=np.concatenate([joint.triples, [[EVE, LIKES, DAN]]]),
        triple_sources=np.append(joint.triple_sources, np.int16(0)),
    )


def connections_of(graph: JointGraph) -> EntityFrequencies:
    return EntityFrequencies(graph, "mine", Adjacency(Edges.of(graph)))


def counts(connections: EntityFrequencies, *relations: int) -> list[tuple[int, int, int]]:
    place, entity, count = connections.answers(np.array(relations, dtype=np.int64))
    rounded = np.rint(np.expm1(count)).astype(int)
    return list(zip(place.tolist(), entity.tolist(), rounded.tolist(), strict=True))


def test_answers_of_the_target_are_counted_along_each_relation(graph: JointGraph) -> None:
    found = counts(connections_of(graph), LIKES, SEES, KNOWS, LIKES)
    assert found == [(0, BOB, 1), (0, DAN, 2), (2, CAY, 1), (3, BOB, 1), (3, DAN, 2)]


def test_heads_answer_along_inverses(graph: JointGraph) -> None:
    found = counts(connections_of(graph), LIKES + M, KNOWS + M)
    assert found == [(0, ANN, 1), (0, CAY, 1), (0, EVE, 1), (1, BOB, 1)]


def test_facts_of_all_sources_make_a_degree(graph: JointGraph) -> None:
    degree = np.expm1(connections_of(graph).degree)
    assert degree == pytest.approx(np.array([3, 4, 3, 2, 1, 1]))


def test_a_target_without_facts_answers_nothing(graph: JointGraph) -> None:
    others = replace(graph, triple_sources=np.ones_like(graph.triple_sources))
    assert counts(connections_of(others), LIKES, SEES + M) == []


def test_facts_of_all_sources_join(graph: JointGraph) -> None:
    place, neighbour = connections_of(graph).neighbours(np.array([EVE, ANN, Z]))
    found = sorted(zip(place.tolist(), neighbour.tolist(), strict=True))
    assert found == [(0, DAN), (1, BOB), (1, CAY), (2, BOB)]
