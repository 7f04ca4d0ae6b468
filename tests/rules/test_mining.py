"""Mining against the definition of what it mines, and what it samples."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgraft.rules import path_rules
from kgraft.rules.edges import Edges
from kgraft.rules.mining import mine_rules
from kgraft.rules.rules import SCHEMA, Rules
from kgraft.settings import RuleSettings

EdgesOf = Callable[..., Edges]
Fact = tuple[int, int, int]
Found = dict[tuple[Any, ...], tuple[int, float]]
M = 3
FACTS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, M - 1), st.integers(0, 5)), max_size=16
)


def both_ways(facts: set[Fact]) -> list[Fact]:
    return sorted(facts | {(y, r + M, x) for x, r, y in facts})


def chains(edges: list[Fact], length: int) -> list[list[Fact]]:
    found = [[edge] for edge in edges]
    for _ in range(length - 1):
        found = [[*chain, edge] for chain, edge in product(found, edges) if chain[-1][2] == edge[0]]
    return found


def paths_by_definition(facts: set[Fact]) -> Found:
    rules: Found = {}
    for length in (1, 2, 3):
        groundings: Counter[tuple[int, ...]] = Counter()
        hits: Counter[tuple[int, ...]] = Counter()
        answers = defaultdict(set)
        for chain in chains(both_ways(facts), length):
            body = tuple(relation for _, relation, _ in chain)
            groundings[body] += 1
            nodes = [chain[0][0], *(end for _, _, end in chain)]
            if len(set(nodes)) <= length:  # it meets itself, so it explains nothing
                continue
            for r in range(M):
                ends = (nodes[0], r, nodes[-1])
                if ends in facts and body != (r,):
                    hits[(r, *body)] += 1
                    answers[(r, *body)].add(ends)
        for (r, *body), n in hits.items():
            key = (r, *body, *[None] * (3 - length), None, None)
            share = min(1.0, n / (groundings[tuple(body)] + 5))
            rules[key] = (len(answers[(r, *body)]), share)
    return rules


def constants_by_definition(facts: set[Fact]) -> Found:
    edges = both_ways(facts)
    special: dict[tuple[Any, ...], set[int]] = defaultdict(set)
    general: dict[tuple[Any, ...], set[int]] = defaultdict(set)
    for (x, r, c), (other, first, entity) in product(edges, edges):
        if x != other or x == c:
            continue
        if (r, c) != (first, entity):
            special[(r, first, None, None, entity, c)].add(x)
        if r != first:
            general[(r, first, None, None, None, c)].add(x)
    having = Counter((first, entity) for _, first, entity in edges)
    kinds = Counter(first for _, first in {(x, first) for x, first, _ in edges})
    rules = {key: (len(xs), len(xs) / (kinds[key[1]] + 5)) for key, xs in general.items()}
    for key, xs in special.items():
        share = len(xs) / (having[(key[1], key[4])] + 5)
        known = rules.get((*key[:4], None, key[5]))
        if known is None or share > known[1] + 1e-9:
            rules[key] = (len(xs), share)
    return rules


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(FACTS)
def test_rules_are_those_of_the_definition(
    edges_of: EdgesOf,
    mined: Callable[[Rules], Found],
    everything: RuleSettings,
    facts: list[Fact],
) -> None:
    rules = mined(mine_rules(edges_of(facts, M), np.arange(M), everything))
    wanted = paths_by_definition(set(facts)) | constants_by_definition(set(facts))
    assert rules.keys() == wanted.keys()
    assert {key: support for key, (support, _) in rules.items()} == {
        key: support for key, (support, _) in wanted.items()
    }
    assert [rules[key][1] for key in wanted] == pytest.approx(
        [share for _, share in wanted.values()], rel=1e-6
    )


def planted() -> list[Fact]:
    """Return facts of which 60 % of relation 1, and 30 % of 2 after 1, are relation 0."""
    draw = np.random.default_rng(0)
    facts: list[Fact] = []
    for x, y, z in draw.integers(0, 400, (1500, 3)).tolist():
        facts += [(x, 1, y), (y, 2, z)]
        facts += [(x, 0, y)] * (draw.random() < 0.6) + [(x, 0, z)] * (draw.random() < 0.3)
    return facts


def test_sampling_keeps_confidences_near_the_exact_ones(
    edges_of: EdgesOf, mined: Callable[[Rules], Found]
) -> None:
    edges = edges_of(planted(), M)
    exact = mined(mine_rules(edges, np.arange(M), RuleSettings(samples=1000)))
    few = mined(mine_rules(edges, np.arange(M), RuleSettings(samples=9, facts_per_relation=500)))
    sure = {key for key, (support, share) in exact.items() if support > 100 and share > 0.05}
    assert {(0, 1, None, None, None, None), (0, 1, 2, None, None, None)} <= sure
    for key in sure:
        assert few[key][1] == pytest.approx(exact[key][1], rel=0.25)
        assert few[key][0] < exact[key][0]


def test_rules_are_of_the_wanted_relations(edges_of: EdgesOf) -> None:
    edges = edges_of(planted(), M)
    rules = mine_rules(edges, np.array([1]), RuleSettings())
    assert rules.paths["relation"].unique().to_list() == [1]
    assert set(rules.constants["relation"]) <= {1, 1 + M}


@pytest.mark.parametrize(
    ("facts", "relations"),
    [([], [0, 1, 2]), ([], []), ([(0, 0, 1)], [0]), ([(0, 0, 0), (1, 0, 1)], [0, 1]),
     ([(0, 0, 1), (0, 1, 1)], [2]), ([(0, 0, 1), (0, 1, 1)], []), ([(0, 0, 1)], [7])],
)  # fmt: skip
def test_nothing_to_explain_makes_no_rules(
    edges_of: EdgesOf, facts: list[Fact], relations: list[int]
) -> None:
    rules = mine_rules(
        edges_of(facts), np.array(relations, dtype=np.int64), RuleSettings(support=1)
    )
    assert len(rules) == 0
    assert rules.frame.schema == SCHEMA


def test_a_graph_without_relations_makes_no_rules(edges_of: EdgesOf) -> None:
    assert len(mine_rules(edges_of([], 0), np.empty(0, dtype=np.int64), RuleSettings())) == 0


def test_no_longest_path_mines_nothing(edges_of: EdgesOf) -> None:
    assert len(mine_rules(edges_of(planted(), M), np.arange(M), RuleSettings(longest=0))) == 0


@pytest.mark.slow
def test_rules_repeat_by_seed_whatever_the_threads(edges_of: EdgesOf) -> None:
    edges = edges_of(planted(), M)
    settings = RuleSettings(samples=9, facts_per_relation=500)
    here = mine_rules(edges, np.arange(M), settings, seed=4)
    assert here.frame.equals(mine_rules(edges, np.arange(M), settings, seed=4).frame)
    assert not here.frame.equals(mine_rules(edges, np.arange(M), settings, seed=5).frame)
    program = f"""
import sys, numpy as np, polars as pl
from io import BytesIO
from kgraft.settings import RuleSettings
from kgraft.rules.edges import Edges
from kgraft.rules.mining import mine_rules
edges = Edges(pl.read_ipc(BytesIO(sys.stdin.buffer.read())), {M})
settings = RuleSettings(samples=9, facts_per_relation=500)
mine_rules(edges, np.arange({M}), settings, seed=4).frame.write_ipc(sys.stdout.buffer)
"""
    threads = "3" if pl.thread_pool_size() != 3 else "2"
    there = subprocess.run(
        [sys.executable, "-c", program],
        input=edges.frame.write_ipc(None).getvalue(),
        env=os.environ | {"POLARS_MAX_THREADS": threads},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert pl.read_ipc(there.stdout).equals(here.frame)


def test_where_time_runs_out_rules_are_fewer_and_no_surer(
    edges_of: EdgesOf, everything: RuleSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path_rules, "MAX_JOINED_ROWS", 1)
    draw = np.random.default_rng(0)
    edges = edges_of(np.unique(draw.integers(0, [30, M, 30], size=(200, 3)), axis=0).tolist(), M)
    key = ["relation", "first", "second", "third", "entity", "answer"]
    every, some = (
        mine_rules(edges, np.arange(M), everything.model_copy(update={"seconds": seconds})).frame
        for seconds in (None, 1e-9)
    )
    assert 0 < len(some) < len(every)
    both = some.join(every, on=key, nulls_equal=True)
    assert len(both) == len(some)
    assert (both["confidence"] <= both["confidence_right"]).all()
