"""How likely a target is to state what others state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.io.interchange import from_arrays
from kgraft.linking.join import join
from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.links import Links
from kgraft.linking.source_reliability import LARGEST, fact_weights, source_reliability

N = 40


def graph_of(name: str, facts: Triples, n_entities: int) -> KnowledgeGraph:
    """Entity ``i < N`` of every graph is the same thing; relations are the same by name."""
    entities = [f"{name}:{i}" for i in range(n_entities)]
    return from_arrays(name, facts, entities=entities, relations=["born", "works"])


def joined(**facts: list[tuple[int, int, int]]) -> JointGraph:
    """Join graphs; the second has an entity ``N`` that only it has, and so has each further one."""
    graphs = [
        graph_of(name, np.array(x, dtype=np.int64).reshape(-1, 3), N + (place > 0))
        for place, (name, x) in enumerate(facts.items())
    ]
    same = np.stack([np.arange(N)] * 2, axis=1)
    sure = np.ones(N, dtype=np.float32)
    links = [Links(graphs[0].name, other.name, same, sure, "entity") for other in graphs[1:]]
    return join(graphs, links)


def chances_by_fact(graph: JointGraph) -> dict[tuple[int, int, int], float]:
    found = source_reliability(graph, "mine")
    assert found.shape == (len(graph.triples),)
    return dict(zip(map(tuple, graph.triples.tolist()), found.tolist(), strict=True))


def test_a_source_that_the_target_agrees_with_is_believed_more() -> None:
    like_me = [(i, 0, 38) for i in range(38)]
    unlike_me = [(i, 0, 39) for i in range(38)]
    graph = joined(mine=like_me[:30] + unlike_me[:2], friend=like_me, stranger=unlike_me)
    chances = chances_by_fact(graph)
    assert all(chances[fact] == 1.0 for fact in like_me[:30])
    believed, doubted = ([chances[fact] for fact in x] for x in (like_me[30:], unlike_me[2:]))
    assert min(believed) > 4 * max(doubted)


def test_the_target_prefers_some_tails_of_a_relation() -> None:
    # One source names town 30 and country 31 of everybody; the target names towns.
    town, country = ([(i, 0, tail) for i in range(20)] for tail in (30, 31))
    chances = chances_by_fact(joined(mine=town[:15], other=town + country))
    for i in range(15, 20):
        assert chances[i, 0, 30] > 2 * chances[i, 0, 31]


def test_facts_of_the_target_alone_are_certain() -> None:
    chances = chances_by_fact(joined(mine=[(0, 0, 1), (2, 0, 3)], other=[(2, 0, 3), (4, 0, 5)]))
    assert chances[0, 0, 1] == chances[2, 0, 3] == 1.0
    assert 0.0 < chances[4, 0, 5] < 1.0


@pytest.mark.parametrize(
    "others",
    [
        {},
        {"other": []},
        {"other": [(5, 1, 6)]},  # the target agrees with none of it
        {"other": [(0, 0, 1)]},  # or with all of it
    ],
    ids=["no source", "no facts", "no agreement", "nothing else"],
)
def test_where_there_is_nothing_to_learn_from_all_count_alike(
    others: dict[str, list[tuple[int, int, int]]],
) -> None:
    found = source_reliability(joined(mine=[(0, 0, 1)], **others), "mine")
    assert set(found.tolist()) == {1.0}
    assert set(fact_weights(found, 1.0, np.ones(len(found), dtype=np.bool_)).tolist()) == {1.0}


def test_weights_by_hand() -> None:
    chances, learned = np.array([1.0, 1.0, 0.6, 0.2]), np.ones(4, dtype=np.bool_)
    # Relative to the background's mean of 0.4: 1.5 and 0.5; the mean of all is 1.
    assert fact_weights(chances, 1.0, learned).tolist() == pytest.approx([1.0, 1.0, 1.5, 0.5])
    assert fact_weights(chances, 0.0, learned).tolist() == [1.0] * 4
    sharper = np.array([1.0, 1.0, 2.25, 0.25])
    expected = pytest.approx((sharper / sharper.mean()).tolist())
    assert fact_weights(chances, 2.0, learned).tolist() == expected


def test_what_is_not_learned_weighs_nothing_and_moves_no_other_weight() -> None:
    chances = np.array([0.1, 1.0, 1.0, 0.6, 1.0, 0.2, 0.9])
    learned = np.array([False, True, True, True, False, True, False])
    expected = pytest.approx([0.0, 1.0, 1.0, 1.5, 0.0, 0.5, 0.0])
    assert fact_weights(chances, 1.0, learned).tolist() == expected
    assert fact_weights(chances, 0.0, learned).tolist() == learned.astype(float).tolist()
    assert fact_weights(chances, 1.0, np.zeros(7, dtype=np.bool_)).tolist() == [0.0] * 7


@given(
    facts=st.lists(st.tuples(st.floats(1e-9, 1.0), st.booleans()), min_size=1, max_size=30),
    sharpness=st.floats(0.0, 3.0),
)
def test_weights_are_bounded_and_one_in_the_mean_of_what_is_learned(
    facts: list[tuple[float, bool]], sharpness: float
) -> None:
    chances, learned = (np.array(column) for column in zip(*facts, strict=True))
    found = fact_weights(chances, sharpness, learned)
    assert (found > 0).tolist() == learned.tolist()
    if learned.any():
        assert found[learned].mean() == pytest.approx(1.0)
        assert found.max() <= LARGEST**2 * found[learned].min() * (1 + 1e-9)


def test_the_same_facts_give_the_same_chances_in_any_order() -> None:
    draw = np.random.default_rng(0)
    facts = {name: draw.integers(0, (N, 2, N), (60, 3)).tolist() for name in ("mine", "one", "two")}
    facts["one"] += facts["mine"][:30]
    before = chances_by_fact(joined(**facts))
    after = chances_by_fact(joined(**{name: x[::-1] for name, x in facts.items()}))
    assert after == pytest.approx(before)


def test_relations_that_the_target_does_not_use_are_left_alone() -> None:
    # The target speaks of births only; what others say of work is no rival of that.
    born = [(i, 0, 30) for i in range(20)]
    works = [(i, 1, 31) for i in range(20)]
    chances = chances_by_fact(joined(mine=born[:10], other=born + works))
    assert {chances[fact] for fact in works} == {1.0}
    assert all(0.0 < chances[fact] < 1.0 for fact in born[10:])


def test_entities_that_the_target_does_not_have_are_left_alone() -> None:
    # Entity N is the other's alone: it is no answer of the target's, and no rival of one.
    born = [(i, 0, 30) for i in range(20)]
    of_others = [*((i, 0, N) for i in range(20)), *((N, 0, i) for i in range(31)), (N, 1, N)]
    chances = chances_by_fact(joined(mine=born[:10], other=born + of_others))
    assert {chances[fact] for fact in of_others} == {1.0}
    assert all(0.0 < chances[fact] < 1.0 for fact in born[10:])
    without = chances_by_fact(joined(mine=born[:10], other=born))
    assert {fact: chances[fact] for fact in born} == pytest.approx(without)
