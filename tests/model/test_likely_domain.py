"""Likely domains, by relations that occur together."""

from __future__ import annotations

import numpy as np
import pytest

from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.joint_graph import JointGraph, JointSource
from kgraft.model.likely_domain import LikelyDomain

BORN, CITIZEN, MADE = range(3)
M = 3


@pytest.fixture
def domain() -> LikelyDomain:
    """Entities 0 to 3 are born somewhere, 4; of them 0 and 1 are citizens of 5; 6 is made of 7."""
    facts = [(0, BORN, 4), (1, BORN, 4), (2, BORN, 4), (3, BORN, 4), (0, CITIZEN, 5)]
    facts += [(1, CITIZEN, 5), (6, MADE, 7)]
    names = Vocabulary.of([f"e{number}" for number in range(8)])
    part = JointSource(
        names, Vocabulary.of(["born", "citizen", "made"]), np.arange(8), np.arange(M)
    )
    graph = JointGraph({"mine": part}, 8, M, np.array(facts), np.zeros(7, dtype=np.int16))
    return LikelyDomain(graph, "mine")


def test_who_was_born_may_be_a_citizen(domain: LikelyDomain) -> None:
    assert domain.queries(CITIZEN).tolist() == [0, 1, 2, 3]
    assert domain.queries(MADE).tolist() == [6]
    assert domain.queries(BORN + M).tolist() == [4]


def test_shares_by_other_relations(domain: LikelyDomain) -> None:
    # Half of those born are citizens; all citizens were born; what is made is neither.
    largest, mean = domain.shares(np.array([2, 0, 0, 6]), np.array([CITIZEN, BORN, CITIZEN, BORN]))
    assert largest.tolist() == [0.5, 1.0, 0.5, 0.0]
    # The mean is over all of an entity's relations.
    assert mean.tolist() == [0.5, 0.5, 0.25, 0.0]
