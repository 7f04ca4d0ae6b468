from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgraft.rules import rule_answers
from kgraft.rules.edges import Edges
from kgraft.rules.rule_answers import (
    CONFIDENCE_OFFSET,
    NO_ANSWER_ODDS,
    SCHEMA,
    RuleApplier,
    combine_rules,
)
from kgraft.rules.rules import Rules, rules_from

EdgesOf = Callable[..., Edges]
RulesOf = Callable[..., Rules]
Fact = tuple[int, int, int]
M = 3
N = 5
FACTS = st.lists(
    st.tuples(st.integers(0, N), st.integers(0, M - 1), st.integers(0, N)), max_size=16
)
STEP = st.integers(0, 2 * M - 1)
PATHS = st.tuples(st.integers(0, M - 1), st.lists(STEP, min_size=1, max_size=3))
CONSTANTS = st.tuples(STEP, STEP, st.none() | st.integers(0, N), st.integers(0, N))


def asked(*rows: tuple[int, ...]) -> pl.DataFrame:
    names = ["x", "relation"][: len(rows[0])]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Int32), orient="row")


def turned(relation: int) -> int:
    return (relation + M) % (2 * M)


def by_definition(rules: Rules, facts: set[Fact]) -> set[tuple[int, int, int, int]]:
    leaving: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for x, r, y in facts:
        leaving[x].append((r, y))
        leaving[y].append((r + M, x))
    found = set()
    for number, rule in enumerate(rules.frame.to_dicts()):
        steps = [rule[name] for name in ("first", "second", "third") if rule[name] is not None]
        for x in range(N + 1):
            if rule["answer"] is not None:
                if any(r == steps[0] and rule["entity"] in (None, y) for r, y in leaving[x]):
                    found.add((x, rule["relation"], rule["answer"], number))
                continue
            ways = [(rule["relation"], steps)]
            ways.append((rule["relation"] + M, [turned(r) for r in reversed(steps)]))
            for relation, body in ways:
                here = {x}
                for step in body:
                    here = {y for at in here for r, y in leaving[at] if r == step and y != x}
                found |= {(x, relation, y, number) for y in here}
    return found


def rules_in(
    paths: list[tuple[int, list[int]]], constants: list[tuple[int, int, int | None, int]]
) -> Rules:
    rows: dict[tuple[Any, ...], None] = {}
    for relation, body in paths:
        rows[(relation, *body, *[None] * (3 - len(body)), None, None)] = None
    for relation, first, entity, end in constants:
        rows[(relation, first, None, None, entity, end)] = None
    names = list(answer_schema)
    frame = pl.DataFrame(list(rows), schema=dict.fromkeys(names, pl.Int32), orient="row")
    return rules_from([frame.with_columns(support=2, confidence=0.5)], M)


answer_schema = ("relation", "first", "second", "third", "entity", "answer")


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(FACTS, st.lists(PATHS, max_size=6), st.lists(CONSTANTS, max_size=6))
def test_answers_are_those_of_the_definition(
    edges_of: EdgesOf,
    facts: list[Fact],
    paths: list[tuple[int, list[int]]],
    constants: list[tuple[int, int, int | None, int]],
) -> None:
    rules = rules_in(paths, constants)
    answerer = RuleApplier(rules, edges_of(facts, M))
    wanted = by_definition(rules, set(facts))
    found = answerer.answers(asked(*((x,) for x in range(N + 1))))
    assert dict(found.schema) == SCHEMA
    some = RuleApplier(rules, edges_of(facts, M), np.arange(1, N, 2))
    fewer = some.answers(asked(*((x,) for x in range(N + 1))))
    assert sorted(fewer.rows()) == sorted(row for row in found.rows() if row[2] in range(1, N, 2))
    assert sorted(found.drop("confidence", "weight").rows()) == sorted(wanted)
    queries = [(x, r) for x in range(N + 1) for r in range(0, 2 * M, 2)]
    found = answerer.answers(asked(*queries))
    assert sorted(found.drop("confidence", "weight").rows()) == sorted(
        row for row in wanted if row[:2] in queries
    )


def test_answers_name_their_rules(edges_of: EdgesOf, rules_of: RulesOf) -> None:
    rules = rules_of(
        {"relation": 0, "first": 1, "second": 2, "confidence": 0.5},
        {"relation": 0, "first": 1, "answer": 7, "confidence": 0.75, "weight": 2.0},
    )
    answerer = RuleApplier(rules, edges_of([(0, 1, 1), (1, 2, 2), (1, 2, 3), (1, 2, 0)]))
    found = answerer.answers(asked((0, 0), (3, 3), (2, 0)))
    assert sorted(found.rows()) == [
        (0, 0, 2, 1, 0.5, 0.0),
        (0, 0, 3, 1, 0.5, 0.0),
        (0, 0, 7, 0, 0.75, 2.0),
        (3, 3, 0, 1, 0.5, 0.0),  # who has 3 for relation 0
    ]


def test_nothing_asked_or_known_gives_no_answers(edges_of: EdgesOf, rules_of: RulesOf) -> None:
    rule = rules_of({"relation": 0, "first": 1, "confidence": 0.5})
    nothing = pl.DataFrame(schema={"x": pl.Int32, "relation": pl.Int32})
    for rules in (rule, rules_from([], 3)):
        for edges in (edges_of([]), edges_of([(0, 0, 0)]), edges_of([(0, 1, 1)])):
            answerer = RuleApplier(rules, edges)
            for question in (nothing, nothing.drop("relation"), asked((9, 0)), asked((9,))):
                found = answerer.answers(question)
                assert found.is_empty()
                assert dict(found.schema) == SCHEMA
                assert combine_rules(found).schema == {
                    **dict.fromkeys(["x", "relation", "y"], pl.Int32),
                    **dict.fromkeys(["confidence", "probability"], pl.Float32),
                }
            assert answerer.infer_facts().columns == [
                "head", "relation", "tail", "confidence"
            ]  # fmt: skip


def test_the_three_most_confident_rules_are_combined() -> None:
    found = pl.DataFrame(
        {
            "x": [1, 1, 1, 1, 0, 1],
            "relation": [2, 2, 2, 2, 2, 0],
            "y": [3, 3, 3, 3, 3, 3],
            "rule": [9, 1, 3, 2, 1, 1],
            "confidence": [0.125, 0.5, 0.25, 0.5, 0.5, 1.0],
            "weight": [0.0] * 6,
        },
        schema=SCHEMA,
    )
    assert combine_rules(found).drop("probability").rows() == [
        (0, 2, 3, 0.5),
        (1, 0, 3, 1.0),
        (1, 2, 3, 1 - 0.5 * 0.5 * 0.75),  # 0.125 comes too late
    ]
    assert combine_rules(found.reverse()).equals(combine_rules(found))


def test_the_weights_of_all_rules_count_for_the_probability() -> None:
    found = pl.DataFrame(
        {
            "x": [1, 1, 1, 1, 1, 5],
            "relation": [2, 2, 2, 2, 2, 2],
            "y": [3, 3, 3, 3, 4, 4],
            "rule": [1, 2, 3, 4, 1, 1],
            "confidence": [0.5, 0.5, 0.5, 0.125, 0.75, 0.25],
            "weight": [1.0, -0.5, 0.25, 2.0, -1.0, 0.0],
        },
        schema=SCHEMA,
    )
    # the fourth rule comes too late for the confidence, and counts by its weight
    three, four = (
        (0.875 + CONFIDENCE_OFFSET) * math.exp(2.75),
        (0.75 + CONFIDENCE_OFFSET) * math.exp(-1.0),
    )
    of_all = three + four + NO_ANSWER_ODDS
    alone = (0.25 + CONFIDENCE_OFFSET) / (0.25 + CONFIDENCE_OFFSET + NO_ANSWER_ODDS)
    probabilities = [three / of_all, four / of_all, alone]
    assert combine_rules(found)["probability"].to_list() == pytest.approx(probabilities, rel=1e-6)
    assert combine_rules(found.reverse()).equals(combine_rules(found))


def test_consequences_are_new_facts_among_the_candidates(
    edges_of: EdgesOf, rules_of: RulesOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = rules_of(
        {"relation": 0, "first": 1, "confidence": 0.5},
        {"relation": 0, "first": 2, "confidence": 0.25},
        {"relation": 2, "first": 4, "confidence": 0.75},
        {"relation": 3, "first": 1, "answer": 4, "confidence": 0.125},
    )
    edges = edges_of([(3, 1, 1), (3, 2, 1), (0, 1, 1), (0, 0, 1), (2, 1, 9), (1, 1, 2)])
    answerer = RuleApplier(rules, edges, np.array([4, 3, 2, 1, 0, 3]))
    whole = answerer.infer_facts()
    assert whole.rows() == [
        (1, 0, 2, 0.5),
        (1, 2, 0, 0.75),
        (1, 2, 3, 0.75),
        (2, 2, 1, 0.75),
        (3, 0, 1, 1 - 0.5 * 0.75),  # two rules; (0, 0, 1) is known, 9 is no candidate
        (4, 0, 0, 0.125),
        (4, 0, 1, 0.125),
        (4, 0, 2, 0.125),
        (4, 0, 3, 0.125),
    ]
    monkeypatch.setattr(rule_answers, "BATCH_ENTITIES", 1)
    assert answerer.infer_facts().equals(whole)
    with ThreadPoolExecutor(3) as threads:
        assert answerer.infer_facts(threads.map).equals(whole)


def test_a_fact_found_from_both_ends_has_its_surer_confidence(
    edges_of: EdgesOf, rules_of: RulesOf
) -> None:
    rules = rules_of(
        {"relation": 0, "first": 1, "answer": 1, "confidence": 0.25},
        {"relation": 3, "first": 4, "answer": 0, "confidence": 0.5},
    )
    found = RuleApplier(rules, edges_of([(0, 1, 1)])).infer_facts()
    assert found.rows() == [(0, 0, 1, 0.5)]
