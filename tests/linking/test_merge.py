"""Merging follows links, but never joins two nodes of one source, whatever the order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgraft.linking.merge import Merge, merge

# Nodes of hand-made cases: a1 is node 0, a2 node 1, b1 node 2, ... of sources a, b, c, d.
NAMES = [f"{source}{number}" for source in "abcd" for number in (1, 2)]
SOURCES = np.repeat(np.arange(4), 2)


def case(*links: str) -> Merge:
    """Merge links written as ``a1-b1`` or ``a1-b1:0.5``."""
    pairs, confidence = [], []
    for link in links:
        ends, _, trust = link.partition(":")
        pairs.append([NAMES.index(end) for end in ends.split("-")])
        confidence.append(float(trust or 1.0))
    return merge(len(NAMES), SOURCES, np.array(pairs).reshape(-1, 2), np.array(confidence))


def together(merged: Merge) -> set[str]:
    clusters: dict[int, list[str]] = {}
    for name, cluster in zip(NAMES, merged.clusters.tolist(), strict=True):
        clusters.setdefault(cluster, []).append(name)
    return {"".join(members) for members in clusters.values() if len(members) > 1}


def rejected(merged: Merge) -> list[tuple[int, str, str]]:
    return [
        (c.link, "".join(NAMES[node] for node in c.kept_apart), c.reason) for c in merged.conflicts
    ]


def test_clean_links_give_components_numbered_by_first_node() -> None:
    merged = case("b2-d1", "a2-c1", "c1-b1")
    assert merged.clusters.tolist() == [0, 1, 1, 2, 1, 3, 2, 4]
    assert merged.conflicts == ()


def test_no_links_leave_every_node_alone() -> None:
    assert case().clusters.tolist() == list(range(8))
    nothing = merge(0, np.empty(0, int), np.empty((0, 2), int), np.empty(0))
    assert nothing.clusters.shape == (0,)


def test_higher_confidence_decides() -> None:
    merged = case("a1-b2:0.5", "a1-b1:0.9")
    assert together(merged) == {"a1b1"}
    assert rejected(merged) == [(0, "b1b2", "confidence")]


def test_corroboration_decides_between_equal_confidence() -> None:
    merged = case("a1-b2", "a1-b1", "a1-c1", "b1-c1")
    assert together(merged) == {"a1b1c1"}
    assert rejected(merged) == [(0, "b1b2", "confidence")]


def test_a_tie_leaves_all_excluding_links_apart() -> None:
    merged = case("a1-b1", "a1-b2")
    assert together(merged) == set()
    assert rejected(merged) == [(0, "b1b2", "apart"), (1, "b1b2", "apart")]


def test_a_tie_breaks_only_the_shortest_contradiction() -> None:
    merged = case("c1-b1", "b1-a1", "a1-b2", "b2-c2")
    assert together(merged) == {"b1c1", "b2c2"}
    assert rejected(merged) == [(1, "b1b2", "apart"), (2, "b1b2", "apart")]


def test_a_long_contradiction_falls_whole_but_not_what_hangs_on_it() -> None:
    merged = case("a1-b1", "b1-c1", "c1-a2", "a1-d1")
    assert together(merged) == {"a1d1"}
    assert rejected(merged) == [(link, "a1a2", "apart") for link in (0, 1, 2)]


def test_a_weaker_detour_settles_a_tie() -> None:
    merged = case("a1-b1", "a1-b2", "a1-c1:0.5", "c1-d1:0.5", "d1-b1:0.5")
    assert together(merged) == {"a1b1c1d1"}
    assert rejected(merged) == [(1, "b1b2", "apart")]


def test_the_same_link_twice_counts_once_with_its_best_confidence() -> None:
    merged = case("a1-b1:0.2", "b1-a1:0.9", "a1-b2:0.5")
    assert together(merged) == {"a1b1"}
    assert rejected(merged) == [(2, "b1b2", "confidence")]


def test_a_link_inside_one_source_is_a_conflict_by_itself() -> None:
    merged = case("a1-a2:0.9", "a1-b1:0.5")
    assert together(merged) == {"a1b1"}
    assert rejected(merged) == [(0, "a1a2", "apart")]


def test_a_clash_with_joined_clusters_names_the_source_that_clashes() -> None:
    merged = case("a1-b1", "c1-b2", "a1-c1:0.5")
    assert rejected(merged) == [(2, "b1b2", "confidence")]


def test_a_conflict_leaves_other_components_as_they_are() -> None:
    merged = case("a1-b1", "a1-b2", "a2-c1", "c1-d2")
    assert together(merged) == {"a2c1d2"}


@pytest.mark.parametrize(
    ("sources", "pairs", "confidence"),
    [
        ([0, 1, 2], [[0, 1]], [1.0]),
        ([0, 1], [[0, 1]], [1.0, 1.0]),
        ([0, 1], [[0, 2]], [1.0]),
        ([0, 1], [[-1, 0]], [1.0]),
    ],
)
def test_shapes_and_ranges_are_checked(
    sources: list[int], pairs: list[list[int]], confidence: list[float]
) -> None:
    with pytest.raises(ValueError, match=r"each node has one source|outside 0\.\.1"):
        merge(2, sources, pairs, confidence)


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[int], list[tuple[int, int]], list[float]]:
    sources = draw(st.lists(st.integers(0, 4), min_size=2, max_size=14))
    node = st.integers(0, len(sources) - 1)
    pair = st.tuples(node, node).filter(lambda ends: sources[ends[0]] != sources[ends[1]])
    two_sources = len(set(sources)) > 1
    pairs = draw(st.lists(pair, max_size=24)) if two_sources else []
    trust = st.sampled_from([0.5, 0.75, 1.0])
    return sources, pairs, [draw(trust) for _ in pairs]


@given(problems())
def test_a_merge_never_joins_two_nodes_of_one_source_and_tells_what_it_rejected(
    problem: tuple[list[int], list[tuple[int, int]], list[float]],
) -> None:
    sources, pairs, confidence = problem
    merged = merge(len(sources), sources, pairs, confidence)
    seen = list(zip(merged.clusters.tolist(), sources, strict=True))
    assert len(set(seen)) == len(seen)
    apart = [
        link
        for link, (left, right) in enumerate(pairs)
        if merged.clusters[left] != merged.clusters[right]
    ]
    assert [conflict.link for conflict in merged.conflicts] == apart
    for conflict in merged.conflicts:
        one, two = conflict.kept_apart
        assert sources[one] == sources[two] == conflict.source
        assert merged.clusters[one] != merged.clusters[two]


@given(problems(), st.randoms(use_true_random=False))
def test_the_partition_does_not_depend_on_the_order_of_links_or_nodes(problem, random) -> None:
    sources, pairs, confidence = problem
    merged = merge(len(sources), sources, pairs, confidence)
    nodes = random.sample(range(len(sources)), len(sources))
    links = random.sample(range(len(pairs)), len(pairs))
    new_sources = [0] * len(sources)
    for node, source in zip(nodes, sources, strict=True):
        new_sources[node] = 4 - source
    shuffled = merge(
        len(sources),
        new_sources,
        [[nodes[end] for end in pairs[link][:: random.choice((1, -1))]] for link in links],
        [confidence[link] for link in links],
    )
    assert partition(shuffled.clusters[nodes]) == partition(merged.clusters)
    assert sorted((links[c.link], c.reason) for c in shuffled.conflicts) == [
        (c.link, c.reason) for c in merged.conflicts
    ]


def partition(clusters: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(clusters == c).tolist()) for c in np.unique(clusters)}


@given(problems())
def test_without_a_contradiction_a_merge_is_the_transitive_closure(
    problem: tuple[list[int], list[tuple[int, int]], list[float]],
) -> None:
    _, pairs, confidence = problem
    n_nodes = len(problem[0])
    merged = merge(n_nodes, np.arange(n_nodes), pairs, confidence)
    reach = {node: {node} for node in range(n_nodes)}
    for left, right in pairs:
        joined = reach[left] | reach[right]
        for node in joined:
            reach[node] = joined
    assert merged.conflicts == ()
    assert partition(merged.clusters) == {frozenset(group) for group in reach.values()}
