"""Tiny graphs as edges, rules written as tuples, and both read back as tuples."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import polars as pl
import pytest

from kgraft.linking.joint_graph import JointGraph
from kgraft.rules.edges import Edges
from kgraft.rules.rules import Rules, rules_from
from kgraft.settings import RuleSettings

Fact = tuple[int, int, int]
EdgesOf = Callable[..., Edges]


def _edges_of(facts: Iterable[Fact], n_relations: int = 3) -> Edges:
    triples = np.array(list(facts), dtype=np.int64).reshape(-1, 3)
    n_entities = int(triples[:, [0, 2]].max(initial=-1)) + 1
    sources = np.zeros(len(triples), dtype=np.int16)
    return Edges.of(JointGraph({}, n_entities, n_relations, triples, sources))


def _rules_of(*rules: dict[str, Any], n_relations: int = 3) -> Rules:
    return rules_from([pl.DataFrame([{"support": 2} | rule]) for rule in rules], n_relations)


def _mined(rules: Rules) -> dict[tuple[Any, ...], tuple[int, float]]:
    columns = ("relation", "first", "second", "third", "entity", "answer")
    return {
        tuple(row[name] for name in columns): (row["support"], row["confidence"])
        for row in rules.frame.to_dicts()
    }


@pytest.fixture(scope="session")
def edges_of() -> EdgesOf:
    """Make edges of facts ``(head, relation, tail)``, of three relations unless said otherwise."""
    return _edges_of


@pytest.fixture(scope="session")
def rules_of() -> Callable[..., Rules]:
    """Make rules of dictionaries with some of the columns of rules; their support is 2."""
    return _rules_of


@pytest.fixture(scope="session")
def mined() -> Callable[[Rules], dict[tuple[Any, ...], tuple[int, float]]]:
    """Return support and confidence by relation, first, second, third, entity, answer."""
    return _mined


@pytest.fixture(scope="session")
def everything() -> RuleSettings:
    """Settings that sample nothing and keep every rule."""
    return RuleSettings(support=1, confidence=1e-9, samples=1000)
