from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from kgraft.rules.rules import SCHEMA, Rules, rules_from

RulesOf = Callable[..., Rules]


def test_rules_are_ordered_by_confidence_support_and_body(rules_of: RulesOf) -> None:
    rules = rules_of(
        {"relation": 1, "first": 2, "confidence": 0.5},
        {"relation": 0, "first": 4, "second": 1, "confidence": 0.5},
        {"relation": 2, "first": 0, "confidence": 0.5, "support": 9},
        {"relation": 0, "first": 1, "answer": 7, "confidence": 0.9},
        {"relation": 0, "first": 1, "entity": 3, "answer": 7, "confidence": 0.9},
    )
    assert rules.frame.schema == SCHEMA
    assert len(rules) == 5
    assert rules.frame.select("relation", "first", "entity", "answer").rows() == [
        (0, 1, 3, 7),
        (0, 1, None, 7),
        (2, 0, None, None),
        (0, 4, None, None),
        (1, 2, None, None),
    ]
    assert rules.constants["rule"].to_list() == [0, 1]
    assert rules.paths["rule"].to_list() == [2, 3, 4]


def test_surer_rules_are_those_of_at_least_a_confidence(rules_of: RulesOf) -> None:
    rules = rules_of(
        {"relation": 0, "first": 1, "confidence": 0.5},
        {"relation": 0, "first": 2, "confidence": 0.25},
        {"relation": 0, "first": 4, "confidence": 0.125},
    )
    assert rules.with_min_confidence(0.25).frame["first"].to_list() == [1, 2]
    assert rules.with_min_confidence(0.25).n_relations == 3


def test_weights_come_from_the_same_rules_about_an_earlier_graph(rules_of: RulesOf) -> None:
    # Two relations there, three here; relation 1 here is 0 there, and entities have moved by one.
    earlier = rules_of(
        {"relation": 0, "first": 1, "second": 3, "confidence": 0.5, "weight": 1.0},
        {"relation": 2, "first": 1, "entity": 4, "answer": 5, "confidence": 0.5, "weight": 2.0},
        {"relation": 0, "first": 1, "answer": 5, "confidence": 0.5, "weight": 3.0},
        n_relations=2,
    )
    rules = rules_of(
        {"relation": 1, "first": 2, "second": 5, "confidence": 0.9},  # the first
        {"relation": 4, "first": 2, "entity": 5, "answer": 6, "confidence": 0.8},  # the second
        {"relation": 1, "first": 2, "answer": 6, "confidence": 0.7},  # the third
        {"relation": 1, "first": 2, "confidence": 0.6},  # shorter than the first
        {"relation": 0, "first": 2, "second": 5, "confidence": 0.5},  # of a relation that is new
        {"relation": 1, "first": 2, "answer": 0, "confidence": 0.4},  # of an entity that is new
    )
    entities, relations = np.arange(8) - 1, np.array([-1, 0, 1])
    found = rules.with_weights_of(earlier, entities, relations)
    assert found.frame["weight"].to_list() == [1, 2, 3, 0, 0, 0]
    assert found.frame.drop("weight").equals(rules.frame.drop("weight"))
    assert rules.with_weights_of(rules_from([], 2), entities, relations).frame.equals(rules.frame)


def test_no_parts_make_no_rules() -> None:
    rules = rules_from([], 2)
    assert rules.frame.schema == SCHEMA
    assert len(rules) == 0
    assert rules.paths.schema == {"rule": pl.UInt32, **SCHEMA}


def test_rules_move_to_the_rows_of_another_graph_and_leave_out_what_it_lacks() -> None:
    path = {"relation": 0, "first": 1, "second": 3, "support": 2, "confidence": 0.5}
    bound = {"relation": 2, "first": 1, "entity": 4, "answer": 0, "support": 2, "confidence": 0.4}
    unbound = {"relation": 0, "first": 2, "answer": 1, "support": 2, "confidence": 0.3}
    rules = rules_from([pl.DataFrame([rule]) for rule in (path, bound, unbound)], 2)
    rules = rules.with_weights(np.array([1.0, 2.0, 3.0]))
    # Of two relations the first is the third there, the second the first; entity 1 is gone.
    moved = rules.in_rows(np.array([7, -1, 5, 6, 9]), np.array([2, 0]), 3)
    assert moved.n_relations == 3
    # Relations 2 and 3 are the inverses of 0 and 1.
    rows = moved.frame.select("relation", "first", "second", "entity", "answer", "weight").rows()
    assert rows == [(2, 0, 3, None, None, 1.0), (5, 0, None, 9, 7, 2.0)]
    same = rules.in_rows(np.arange(5), np.arange(2), 2)
    assert same.frame.equals(rules.frame)
    gone = rules.in_rows(np.arange(5), np.array([0, -1]), 2)
    assert gone.frame["weight"].to_list() == [3.0]
