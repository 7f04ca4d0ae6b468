"""Paths between two entities, and what the vectors make of them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kgraft.inference import paths
from kgraft.inference.paths import weighted_paths
from kgraft.linking.joint_graph import JointGraph
from kgraft.model.kge import KgeModel
from kgraft.rules.edges import Edges
from kgraft.settings import ModelSettings

M = 3
"""Relations; the inverse of r is r + 3."""

Fact = tuple[int, int, int]


def edges_of(facts: Iterable[Fact]) -> Edges:
    triples = np.array(list(facts), dtype=np.int64).reshape(-1, 3)
    return Edges.of(JointGraph({}, 9, M, triples, np.zeros(len(triples), dtype=np.int16)))


def turning(degrees: Iterable[float], n_entities: int = 6) -> KgeModel:
    """ComplEx of one complex number; a relation turns it so far, an inverse back."""
    angles = torch.deg2rad(torch.tensor([float(x) for x in degrees]))
    angles = torch.cat([angles, -angles])
    settings = ModelSettings(width=2)
    entities = torch.tensor([[1.0, 0.0]]).repeat(n_entities, 1)
    return KgeModel(settings, entities, torch.stack([angles.cos(), angles.sin()], dim=1))


def test_paths_of_up_to_three_steps_by_how_far_they_turn() -> None:
    # Relation 0 turns by 90 degrees; 1 by 60, 2 by 20.
    kge = turning([90, 60, 20])
    facts = [
        (0, 0, 1),  # the fact itself
        (0, 1, 1),  # 60
        (0, 1, 2), (2, 2, 1),  # 60 + 20
        (3, 2, 0), (3, 0, 4), (4, 2, 1),  # -20 + 90 + 20
    ]  # fmt: skip
    found = weighted_paths(kge, edges_of(facts), (0, 0, 1), 9)
    assert [steps for _, steps in found] == [
        [(0, 2 + M, 3), (3, 0, 4), (4, 2, 1)],
        [(0, 1, 2), (2, 2, 1)],
        [(0, 1, 1)],
    ]
    degrees = np.deg2rad([0, 10, 30])
    assert [weight for weight, _ in found] == pytest.approx(np.cos(degrees), abs=1e-6)
    assert weighted_paths(kge, edges_of(facts), (0, 0, 1), 1) == found[:1]


def test_entities_without_a_vector_are_not_passed() -> None:
    facts = [(0, 1, 2), (2, 2, 1), (0, 1, 5), (5, 1, 1)]
    found = weighted_paths(turning([90, 60, 20], n_entities=5), edges_of(facts), (0, 0, 1), 9)
    assert [steps for _, steps in found] == [[(0, 1, 2), (2, 2, 1)]]


def test_one_path_for_the_same_relations() -> None:
    facts = [(0, 1, 2), (2, 2, 1), (0, 1, 3), (3, 2, 1)]
    assert len(weighted_paths(turning([90, 60, 20]), edges_of(facts), (0, 0, 1), 9)) == 1


def test_there_may_be_no_path() -> None:
    assert weighted_paths(turning([90, 60, 20]), edges_of([(0, 1, 2)]), (0, 0, 1), 9) == []
    assert weighted_paths(turning([90, 60, 20]), edges_of([(0, 0, 1)]), (0, 0, 1), 9) == []


def test_between_hubs_only_some_paths_are_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "MAX_PATHS", 1)
    facts = [(0, 1, 2), (2, 2, 1), (0, 2, 3), (3, 1, 1), (0, 1, 1), (0, 2, 1)]
    lengths = [len(x) for _, x in weighted_paths(turning([9, 6, 2]), edges_of(facts), (0, 0, 1), 9)]
    assert sorted(lengths) == [1, 2]


Facts = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, M - 1), st.integers(0, 4)), min_size=1, max_size=14
)


@given(Facts, st.permutations(range(5)))
def test_every_path_holds(facts: list[Fact], ends: list[int]) -> None:
    head, tail = ends[:2]
    known = {*facts, *((t, r + M, h) for h, r, t in facts)}
    found = weighted_paths(turning([9, 60, 20]), edges_of(facts), (head, 0, tail), 99)
    for weight, steps in found:
        assert -1.001 <= weight <= 1.001
        assert set(steps) <= known
        met = [steps[0][0], *(there for _, _, there in steps)]
        assert (met[0], met[-1]) == (head, tail)
        assert len(set(met)) == len(met) == len(steps) + 1
        assert all(step[2] == after[0] for step, after in pairwise(steps))
        assert [(head, 0, tail)] != steps
    wanted = {relation for h, relation, t in known if (h, t) == (head, tail) and relation != 0}
    assert {steps[0][1] for _, steps in found if len(steps) == 1} == wanted
