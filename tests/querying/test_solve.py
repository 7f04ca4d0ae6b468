"""Best assignments, by hand and beside all assignments tried one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("rdflib", reason="needs the extra 'ask'")

from made_facts import SHAPES, MadeFacts, Numbered, best

from kgraft.querying.pattern import QueryError
from kgraft.querying.solve import Solver
from kgraft.querying.sparql import read_query

SIZE = 5


def made(seed: int, size: int = SIZE) -> MadeFacts:
    """Return three relations: a third of the facts stated, a third false, others between."""
    draw = np.random.default_rng(seed)
    table = draw.random((3, size, size))
    kind = draw.integers(3, size=table.shape)
    return MadeFacts(np.where(kind == 0, 1.0, np.where(kind == 1, 0.0, table)))


def solved(facts: MadeFacts, pattern: str, asked: str = "?x", **limits: int) -> dict[int, float]:
    """Return the probability of each value of the first variable that is asked for."""
    query = read_query(f"SELECT {asked} WHERE {pattern}", Numbered())
    taken: dict[int, float] = {}
    for branch in query.branches:
        found = Solver(facts, **limits).solve(branch, query.variables)
        for entity, value in zip(
            found.columns[query.variables[0]].tolist(), found.probability.tolist(), strict=True
        ):
            taken[entity] = max(taken.get(entity, 0.0), value)
    return taken


def expected(facts: MadeFacts, pattern: str) -> dict[int, float]:
    query = read_query(f"SELECT ?x WHERE {pattern}", Numbered())
    values = {
        x: max(best(facts, branch, {"x": x}) for branch in query.branches)
        for x in range(facts.size)
    }
    return {x: pytest.approx(value, rel=1e-4) for x, value in values.items() if value > 0}


def test_by_hand() -> None:
    """From 0 along r0 to 1 (stated) and 2 (0.5); from 1 to 3 with 0.4, from 2 with 0.9."""
    table = np.zeros((3, 5, 5))
    table[0, 0, 1], table[0, 0, 2] = 1, 0.5
    table[1, 1, 3], table[1, 2, 3], table[1, 1, 4] = 0.4, 0.9, 1
    table[2, 3, 0] = 0.25
    facts = MadeFacts(table)
    two = "{ :e0 :r0 ?v . ?v :r1 ?x }"
    assert solved(facts, two) == {4: 1, 3: pytest.approx(0.45)}
    query = read_query(f"SELECT ?x WHERE {two}", Numbered())
    found = Solver(facts).solve(query.branches[0], ("x",))
    assert found.columns["v"].tolist() == [1, 2]
    without = "{ :e0 :r0/:r1 ?x . FILTER NOT EXISTS { ?x :r2 :e0 } }"
    assert solved(facts, without) == {4: 1, 3: pytest.approx(0.45 * 0.75)}
    both = "{ { :e0 :r0 ?x } UNION { ?x ^:r1 :e1 } }"
    assert solved(facts, both) == {1: 1, 2: pytest.approx(0.5), 3: pytest.approx(0.4), 4: 1}
    anything = "{ ?x :r1 ?v . FILTER(?x != :e1) }"
    assert solved(facts, anything) == {2: pytest.approx(0.9)}


@pytest.mark.parametrize("shape", SHAPES)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=20)
def test_every_shape_is_solved_exactly(shape: str, seed: int) -> None:
    facts = made(seed)
    assert solved(facts, SHAPES[shape]) == expected(facts, SHAPES[shape])


OTHERS = {
    "a free end": "{ :e0 :r0 ?x . ?x :r1 ?l }",
    "a free path": "{ :e0 :r0 ?x . ?x :r1 ?l . ?k :r2 ?l }",
    "two facts between two": "{ :e0 :r0 ?v . ?v :r1 ?x . ?x :r2 ?v }",
    "values": "{ ?x :r0 ?v . VALUES ?v { :e1 :e2 } }",
    "no free end": "{ :e0 :r0 ?x . FILTER NOT EXISTS { ?x :r1 ?l } }",
    "negated union": "{ :e0 :r0 ?x MINUS { { ?x :r1 :e1 } UNION { ?x :r2 ?l . ?l :r0 :e1 } } }",
    "other part": "{ :e0 :r0 ?x . :e1 :r1 ?w }",
    "negated at a free variable": "{ :e0 :r0 ?x . ?x :r1 ?l FILTER NOT EXISTS { ?l :r2 :e1 } }",
    "nothing given": "{ ?x :r0 ?l . ?l :r1 ?k }",
    "in": "{ :e0 :r0 ?x . FILTER(?x IN (:e1, :e2) && ?x != :e2) }",
}


@pytest.mark.parametrize("name", OTHERS)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=20)
def test_other_patterns_are_solved_exactly(name: str, seed: int) -> None:
    facts = made(seed, 4)
    assert solved(facts, OTHERS[name]) == expected(facts, OTHERS[name])


CYCLES = {
    "a triangle": "{ ?x :r0 ?v . ?v :r1 ?w . ?w :r2 ?x }",
    "a loop": "{ :e0 :r0 ?x . ?x :r1 ?x }",
    "different": "{ :e0 :r0 ?v . ?v :r1 ?x . FILTER(?x != ?v) }",
    "two values": "{ ?x :r0 ?v . VALUES (?x ?v) { (:e0 :e1) (:e2 UNDEF) } }",
    "no fact between": "{ :e0 :r0 ?v . ?v :r1 ?x . FILTER NOT EXISTS { ?x :r2 ?v } }",
}


@pytest.mark.parametrize("name", CYCLES)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=20)
def test_cycles_are_searched(name: str, seed: int) -> None:
    facts = made(seed, 4)
    assert solved(facts, CYCLES[name]) == expected(facts, CYCLES[name])


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20)
def test_several_variables_get_all_their_bindings(seed: int) -> None:
    facts = made(seed, 4)
    query = read_query("SELECT ?x ?y { :e0 :r0 ?v . ?v :r1 ?x . ?x :r2 ?y }", Numbered())
    (branch,) = query.branches
    found = Solver(facts).solve(branch, ("x", "y"))
    pairs = zip(found.columns["x"].tolist(), found.columns["y"].tolist(), strict=True)
    taken: dict[tuple[int, int], float] = {}
    for pair, value in zip(pairs, found.probability.tolist(), strict=True):
        taken.setdefault(pair, value)
    wanted = {(x, y): best(facts, branch, {"x": x, "y": y}) for x in range(4) for y in range(4)}
    assert taken == {
        pair: pytest.approx(value, rel=1e-4) for pair, value in wanted.items() if value
    }
    assert found.probability.tolist() == sorted(found.probability.tolist(), reverse=True)


def test_of_many_entities_all_go_on_to_stated_facts_and_the_best_to_others() -> None:
    table = np.zeros((3, 50, 50))
    table[0, 0, 1:41] = 1
    table[1, np.arange(1, 41), 41] = 0.5
    table[1, 40, 42] = 1
    found = solved(MadeFacts(table), "{ :e0 :r0 ?v . ?v :r1 ?x }", beam=3)
    assert found == {42: 1, 41: pytest.approx(0.5)}
    query = read_query("SELECT ?x { :e0 :r0 ?v . ?v :r1 ?x }", Numbered())
    assert Solver(MadeFacts(table), beam=3).solve(query.branches[0], ("x",)).cut == 1
    assert Solver(MadeFacts(table)).solve(query.branches[0], ("x",)).cut == 0


def test_a_time_limit_ends_the_search() -> None:
    query = read_query("SELECT ?x { :e0 :r0 ?v . ?v :r1 ?x }", Numbered())
    with pytest.raises(QueryError, match="takes too long"):
        Solver(made(0), deadline=0.0).solve(query.branches[0], ("x",))
