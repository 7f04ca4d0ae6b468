from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from kgraft.rules.edges import Edges
from kgraft.rules.mining import mine_rules
from kgraft.rules.path_rules import WEIGHT_UNIT, confident_rules
from kgraft.rules.rules import Rules
from kgraft.settings import RuleSettings

EdgesOf = Callable[..., Edges]
Mined = Callable[[Rules], dict[tuple[Any, ...], tuple[int, float]]]


def path(relation: int, first: int, second: int | None = None, third: int | None = None) -> Any:
    return (relation, first, second, third, None, None)


def test_a_relation_that_follows_from_another(
    edges_of: EdgesOf, mined: Mined, everything: RuleSettings
) -> None:
    # relation 1 holds of three pairs, relation 0 of two of them, and of one the other way round
    edges = edges_of([(0, 1, 1), (2, 1, 3), (4, 1, 5), (0, 0, 1), (2, 0, 3), (5, 0, 4)])
    rules = mined(mine_rules(edges, np.array([0]), everything))
    assert rules[path(0, 1)] == (2, pytest.approx(2 / (3 + 5)))
    assert rules[path(0, 4)] == (1, pytest.approx(1 / (3 + 5)))
    assert {key for key in rules if key[-1] is None} == {path(0, 1), path(0, 4)}


def test_paths_of_two_count_every_way_through(
    edges_of: EdgesOf, mined: Mined, everything: RuleSettings
) -> None:
    # 0 reaches 9 by relations 1 and 2 through 1 and through 2; 5 reaches 8 through 6
    ways = [(0, 1, 1), (1, 2, 9), (0, 1, 2), (2, 2, 9), (5, 1, 6), (6, 2, 8)]
    rules = mined(mine_rules(edges_of([*ways, (0, 0, 9)]), np.array([0]), everything))
    # one answer, right by two of three paths
    assert rules[path(0, 1, 2)] == (1, pytest.approx(2 / (3 + 5)))


def test_paths_of_three(edges_of: EdgesOf, mined: Mined, everything: RuleSettings) -> None:
    ways = [(0, 1, 1), (2, 2, 1), (2, 1, 3), (4, 1, 5), (6, 2, 5), (6, 1, 7)]
    edges = edges_of([*ways, (0, 0, 3), (4, 0, 8)])
    rules = mined(mine_rules(edges, np.array([0]), everything))
    # x -1-> a <-2- b -1-> y leads from 0 to 3, a fact, and from 4 to 7, none
    assert rules[path(0, 1, 5, 1)] == (1, pytest.approx(1 / (2 + 5)))
    shorter = mined(mine_rules(edges, np.array([0]), everything.model_copy(update={"longest": 2})))
    assert path(0, 1, 5, 1) not in shorter
    assert {key for key in rules if key[3] is None} == shorter.keys()


def test_a_fact_does_not_explain_itself(
    edges_of: EdgesOf, mined: Mined, everything: RuleSettings
) -> None:
    assert mined(mine_rules(edges_of([(0, 0, 1)]), np.array([0]), everything)) == {}
    assert mined(mine_rules(edges_of([(0, 0, 0), (1, 0, 1)]), np.array([0]), everything)) == {}
    # a pair of facts that are each other's inverse do explain each other
    both = mined(mine_rules(edges_of([(0, 0, 1), (1, 0, 0)]), np.array([0]), everything))
    assert both[path(0, 3)] == (2, pytest.approx(2 / (2 + 5)))


def test_rules_below_support_or_confidence_are_dropped(edges_of: EdgesOf, mined: Mined) -> None:
    pairs = [(2 * i, r, 2 * i + 1) for i in range(5) for r in (0, 1)]
    edges = edges_of([*pairs, (20, 0, 21), (20, 2, 21)])

    def found(**settings: Any) -> set[Any]:
        rules = mined(mine_rules(edges, np.array([0]), RuleSettings(**settings)))
        return {key for key in rules if key[-1] is None}

    assert found(support=1) == {path(0, 1), path(0, 2)}  # 5 of 5 + 5, and 1 of 1 + 5
    assert found(support=2) == {path(0, 1)}
    assert found(support=1, confidence=0.2) == {path(0, 1)}
    assert found(support=1, confidence=0.51) == set()


def test_few_sampled_hits_give_a_low_confidence() -> None:
    # Of 6 groundings, 3 hits were sampled with a weight of 200 each: their number is bounded by
    # that of groundings, and the 5 wrong ones have the same weight. Of 600, 300 with weight 1.
    counted = pl.DataFrame(
        {
            "relation": [0, 0],
            "first": [1, 2],
            "support": [3, 300],
            "seen": [3, 300],
            "hits": [600 * WEIGHT_UNIT, 300 * WEIGHT_UNIT],
        }
    )
    groundings = pl.DataFrame({"first": [1, 2], "groundings": [6, 600]})
    found = confident_rules(counted, groundings, RuleSettings(confidence=1e-4)).sort("first")
    assert found["confidence"].to_list() == pytest.approx([6 / 1006, 300 / 605])
