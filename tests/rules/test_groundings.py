"""The atoms of rules, and facts that they explain."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgraft.rules import groundings as groundings_module
from kgraft.rules.edges import Edges
from kgraft.rules.groundings import atoms, examples

EdgesOf = Callable[..., Edges]
Fact = tuple[int, int, int]
M, N = 3, 4
"""Relations (the inverse of r is r + 3), and entities of random graphs."""


def rule(
    relation: int, *body: int, answer: int | None = None, entity: int | None = None
) -> dict[str, Any]:
    first, second, third = (*body, None, None, None)[:3]
    return {
        "relation": relation, "first": first, "second": second, "third": third,
        "answer": answer, "entity": entity,
    }  # fmt: skip


def found(a_rule: dict[str, Any], edges: Edges, limit: int = 100) -> list[dict[str, int]]:
    return examples(a_rule, edges, limit).to_dicts()


def test_atoms_lead_from_x_to_y() -> None:
    assert atoms(rule(0, 5)) == [("x", 5, "y")]
    assert atoms(rule(0, 1, 5)) == [("x", 1, "a"), ("a", 5, "y")]
    assert atoms(rule(0, 1, 0, 2)) == [("x", 1, "a"), ("a", 0, "b"), ("b", 2, "y")]


def test_a_rule_with_an_answer_has_one_atom() -> None:
    assert atoms(rule(3, 0, answer=0, entity=0)) == [("x", 0, "a")]
    assert atoms(rule(3, 0, answer=0)) == [("x", 0, "a")]


def test_examples_of_one_relation(edges_of: EdgesOf) -> None:
    # 0 leads from 0 to 1 and from 2 to 3; 1 leads there too, and back from 3 to 2
    edges = edges_of([(0, 0, 1), (2, 0, 3), (0, 1, 1), (3, 1, 2), (0, 1, 4)])
    assert found(rule(0, 1), edges) == [{"x": 0, "y": 1}]
    assert found(rule(0, 1 + M), edges) == [{"x": 2, "y": 3}]


def test_examples_of_two_relations(edges_of: EdgesOf) -> None:
    # by way of 5 and 6, against relation 2
    edges = edges_of([(0, 0, 1), (0, 0, 2), (0, 1, 6), (0, 1, 5), (1, 2, 5), (1, 2, 6), (2, 1, 5)])
    assert found(rule(0, 1, 2 + M), edges) == [{"x": 0, "y": 1, "a": 5}]  # one way of two


def test_examples_of_three_relations(edges_of: EdgesOf) -> None:
    ways = [(0, 1, 1), (2, 2, 1), (2, 1, 3), (4, 1, 5), (6, 2, 5), (6, 1, 7)]
    edges = edges_of([*ways, (0, 0, 3), (4, 0, 8), (8, 0, 7)])
    assert found(rule(0, 1, 2 + M, 1), edges) == [{"x": 0, "y": 3, "a": 1, "b": 2}]


def test_examples_of_rules_with_constants(edges_of: EdgesOf) -> None:
    edges = edges_of([(0, 0, 9), (1, 0, 9), (2, 0, 8), (0, 1, 5), (1, 1, 6), (2, 1, 5), (3, 1, 5)])
    assert found(rule(0, 1, answer=9, entity=5), edges) == [{"x": 0, "y": 9, "a": 5}]
    anything = [{"x": 0, "y": 9, "a": 5}, {"x": 1, "y": 9, "a": 6}]
    assert found(rule(0, 1, answer=9), edges) == anything
    # whom 1 has: those that anything has, 1 itself not counted
    turned = rule(0 + M, 0 + M, answer=1)
    assert found(turned, edges) == [{"x": 9, "y": 1, "a": 0}]
    assert found(turned | {"entity": 1}, edges) == []


@pytest.mark.parametrize("a_rule", [rule(0, 1), rule(0, 2, 2, 2), rule(0, 2, answer=1)], ids=str)
def test_nothing_may_be_explained(edges_of: EdgesOf, a_rule: dict[str, Any]) -> None:
    for facts in ([], [(0, 0, 1)], [(0, 1, 1)], [(0, 0, 1), (1, 1, 0)]):
        assert found(a_rule, edges_of(facts)) == []


def test_a_limit_keeps_the_first(edges_of: EdgesOf, monkeypatch: pytest.MonkeyPatch) -> None:
    edges = edges_of([(x, relation, x + 50) for x in range(9) for relation in (0, 1)])
    monkeypatch.setattr(groundings_module, "SLICE_HEADS", 2)
    for limit in (1, 3, 9, 20):
        wanted = [{"x": x, "y": x + 50} for x in range(min(limit, 9))]
        assert found(rule(0, 1), edges, limit) == wanted


def test_no_more_facts_are_searched_than_a_limit_needs(
    edges_of: EdgesOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    edges = edges_of([(x, relation, x + 50) for x in range(9) for relation in (0, 1)])
    searched, whole = list[int](), groundings_module._grounded

    def watched(heads: pl.DataFrame, bodies: list[pl.DataFrame]) -> pl.DataFrame:
        searched.append(len(heads))
        return whole(heads, bodies)

    monkeypatch.setattr(groundings_module, "SLICE_HEADS", 2)
    monkeypatch.setattr(groundings_module, "_grounded", watched)
    assert len(found(rule(0, 1), edges, 3)) == 3
    assert searched == [2, 2]


FACTS = st.lists(
    st.tuples(st.integers(0, N - 1), st.integers(0, M - 1), st.integers(0, N - 1)), max_size=14
)
STEP = st.integers(0, 2 * M - 1)
ENTITY = st.integers(0, N - 1)
PATHS = st.builds(
    lambda relation, body: rule(relation, *body),
    st.integers(0, M - 1),
    st.lists(STEP, min_size=1, max_size=3),
)
CONSTANTS = st.builds(
    lambda relation, first, answer, entity: rule(relation, first, answer=answer, entity=entity),
    STEP,
    STEP,
    ENTITY,
    st.none() | ENTITY,
)


def true(facts: set[Fact], x: int, relation: int, y: int) -> bool:
    return (x, relation, y) in facts if relation < M else (y, relation - M, x) in facts


def groundings(a_rule: dict[str, Any], facts: set[Fact]) -> list[dict[str, int]]:
    """Every way to make head and body true, in order."""
    body = atoms(a_rule)
    names = list(dict.fromkeys(["x", "y", *(end for x, _, y in body for end in (x, y))]))
    ways = []
    for values in product(range(N), repeat=len(names)):
        way = dict(zip(names, values, strict=True))
        fits = a_rule["answer"] in (None, way["y"])
        fits = fits and a_rule["entity"] in (None, way.get("a"))
        whole = [("x", a_rule["relation"], "y"), *body]
        if fits and all(true(facts, way[left], r, way[right]) for left, r, right in whole):
            ways.append(way)
    return ways


@settings(max_examples=150)
@given(FACTS, PATHS | CONSTANTS, st.integers(1, 3))
def test_every_fact_with_a_grounding_is_an_example(
    edges_of: EdgesOf, facts: list[Fact], a_rule: dict[str, Any], size: int
) -> None:
    every = groundings(a_rule, set(facts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groundings_module, "SLICE_HEADS", size)
        shown = found(a_rule, edges_of(facts, M))
    assert all(way in every for way in shown)
    ends = [(way["x"], way["y"]) for way in shown]
    assert ends == sorted(set(ends))
    # A way that meets no entity twice is always worth showing.
    plain = {(way["x"], way["y"]) for way in every if len(set(way.values())) == len(way)}
    assert plain <= set(ends)


def test_no_fact_explains_itself(edges_of: EdgesOf) -> None:
    # r(x, y) if r(x, a) and r(b, a) and r(b, y): by way of two others
    facts = [(0, 0, 1), (2, 0, 1), (2, 0, 3), (0, 0, 3)]
    roundabout = rule(0, 0, 0 + M, 0)
    assert found(roundabout, edges_of(facts))[0] == {"x": 0, "a": 3, "b": 2, "y": 1}
    assert found(roundabout, edges_of(facts[:1])) == []


# ------------------------------------------------------------------------------ one answer's body


def bodies(a_rule: dict[str, Any], edges: Edges, x: int, y: int) -> list[dict[str, int]]:
    return groundings_module.groundings(a_rule, edges, x, y, 9).to_dicts()


def test_bodies_between_two_entities(edges_of: EdgesOf) -> None:
    edges = edges_of([(0, 1, 1), (1, 2, 2), (0, 1, 3), (3, 2, 4), (3, 2, 2)])
    assert bodies(rule(0, 1, 2), edges, 0, 4) == [{"x": 0, "a": 3, "y": 4}]
    both = [{"x": 0, "a": 1, "y": 2}, {"x": 0, "a": 3, "y": 2}]
    assert bodies(rule(0, 1, 2), edges, 0, 2) == both
    assert groundings_module.groundings(rule(0, 1, 2), edges, 0, 2, 1).to_dicts() == both[:1]
    assert bodies(rule(0, 1, 2), edges, 0, 1) == []
    assert bodies(rule(0, 2, 1), edges, 0, 2) == []


def test_bodies_that_meet_no_entity_twice_come_first(edges_of: EdgesOf) -> None:
    # From 0 along 1 twice: by 1 itself (1 leads from 1 to 1), or by 2.
    edges = edges_of([(0, 1, 1), (1, 1, 1), (0, 1, 2), (2, 1, 1)])
    wanted = [{"x": 0, "a": 2, "y": 1}, {"x": 0, "a": 1, "y": 1}]
    assert bodies(rule(0, 1, 1), edges, 0, 1) == wanted
    # A rule never leads back over the entity that is asked about.
    assert bodies(rule(0, 1, 1), edges_of([(0, 1, 0), (0, 1, 1)]), 0, 1) == []


def test_the_body_of_a_rule_with_an_answer(edges_of: EdgesOf) -> None:
    edges = edges_of([(0, 1, 1), (0, 1, 2)])
    named = rule(0, 1, answer=3, entity=2)
    assert bodies(named, edges, 0, 3) == [{"x": 0, "y": 3, "a": 2}]
    assert [x["a"] for x in bodies(rule(0, 1, answer=3), edges, 0, 3)] == [1, 2]
    assert bodies(rule(0, 1, answer=3), edges, 1, 3) == []
