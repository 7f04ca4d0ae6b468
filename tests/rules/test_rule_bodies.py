from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from kgraft.rules import rule_bodies
from kgraft.rules.edges import Edges
from kgraft.rules.rule_bodies import Adjacency, BodyTree, relation_masks
from kgraft.rules.rules import Rules

EdgesOf = Callable[..., Edges]
RulesOf = Callable[..., Rules]


def test_adjacency_lists_the_edges_of_entities(edges_of: EdgesOf) -> None:
    graph = Adjacency(edges_of([(0, 0, 1), (0, 0, 2), (3, 1, 0)]))
    place, relation, end = graph.edges(np.array([3, 9, 0]))
    found = sorted(zip(place.tolist(), relation.tolist(), end.tolist(), strict=True))
    assert found == [(0, 1, 0), (2, 0, 1), (2, 0, 2), (2, 4, 3)]
    assert all(part.size == 0 for part in Adjacency(edges_of([])).edges(np.array([0])))


def test_bodies_that_begin_alike_share_nodes(rules_of: RulesOf) -> None:
    paths = rules_of(
        {"relation": 0, "first": 1, "second": 2, "confidence": 0.5},
        {"relation": 0, "first": 1, "second": 2, "third": 1, "confidence": 0.4},
        {"relation": 1, "first": 1, "second": 2, "confidence": 0.3},
    ).paths
    together, apart = (BodyTree(paths, 3, by_relation=by) for by in (False, True))
    assert len(together.start) - 1 == 1 + 3  # the root, and a node for each step
    assert len(apart.start) - 1 == 6 + 2 + 2 + 1
    assert together.relation.tolist() == [0, 1, 0]
    # node 0 is the root, 1 and 2 are the steps on the way; two rules end at 2, one at 3
    assert together.start.tolist() == [0, 0, 0, 2, 3]


def test_queries_are_followed_in_parts_with_the_same_result(
    edges_of: EdgesOf, rules_of: RulesOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(0)
    facts = np.stack([draw.integers(0, n, 300) for n in (40, 3, 40)], axis=1)
    graph = Adjacency(edges_of(facts.tolist()))
    rules = rules_of(
        {"relation": 0, "first": 1, "second": 5, "third": 0, "confidence": 0.5},
        {"relation": 0, "first": 1, "second": 2, "confidence": 0.4},
    )
    tree = BodyTree(rules.paths, 3, by_relation=False)
    entities = np.arange(40)

    def reached() -> tuple[int, pl.DataFrame]:
        wanted = np.ones(len(entities), dtype=np.bool_)
        parts = list(tree.follow(graph, entities, np.zeros_like(entities), wanted))
        columns = [[part.query, part.node, part.entity] for part in parts]
        rows = np.concatenate([np.stack(part, axis=1) for part in columns])
        return len(parts), pl.DataFrame(rows).sort(pl.all())

    n_whole, whole = reached()
    monkeypatch.setattr(rule_bodies, "BATCH_EDGES", 10)
    n_parts, parts = reached()
    assert n_whole == 3 < n_parts
    assert parts.equals(whole)
    assert whole.is_duplicated().sum() == 0


def test_hubs_are_sampled_for_each_query(
    edges_of: EdgesOf, rules_of: RulesOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaves = [(leaf, 0, 0) for leaf in range(1, 201)]
    graph = Adjacency(edges_of([*leaves, (201, 0, 202), (203, 0, 202)]))
    rules = rules_of({"relation": 1, "first": 0, "second": 3, "confidence": 0.5})
    tree = BodyTree(rules.paths, 3, by_relation=False)

    def siblings(*entities: int) -> list[set[int]]:
        wanted = np.ones(204, dtype=np.bool_)
        _, last, *_ = tree.follow(
            graph, np.array(entities), np.zeros(len(entities), dtype=np.int64), wanted
        )
        return [set(last.entity[last.query == i].tolist()) for i in range(len(entities))]

    assert siblings(1, 201) == [set(range(2, 201)), {203}]
    monkeypatch.setattr(rule_bodies, "MAX_QUERY_EDGES", 50)
    few, rest = siblings(1, 201)
    assert 49 <= len(few) <= 50
    assert few < set(range(2, 201))
    assert rest == {203}
    assert siblings(1, 201) == [few, rest]


def test_spans_without_a_common_bit_share_no_relation() -> None:
    relations = np.array([1, 70, 6, 3, 127])
    masks = relation_masks(np.array([0, 2, 2, 4, 5]), relations)
    assert masks.tolist() == [1 << 1 | 1 << 6, 0, 1 << 6 | 1 << 3, 1 << 63]
    assert relation_masks(np.array([0, 0]), relations[:0]).tolist() == [0]
