"""The linked subgraph holds the facts that mode and budget allow, and knows its teacher's rows."""

from __future__ import annotations

import pytest

from kgraft.linking.join import join
from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.linked_subgraph import LinkedSubgraph, connect
from kgraft.linking.links import Links

# a and b of mine are A and B of big. From there a chain leads away; X and Y lie apart.
#
#   a -knows- b        X -likes- Y
#   |         |
#   A -likes- B -sees- C -likes- D -sees- E
CHAIN = "A likes B, B sees C, D sees E, C likes D, X likes Y"
BOTH_ENDS = "big: A likes B"
ONE_HOP = "big: B sees C"
TWO_HOPS = "big: C likes D"
THREE_HOPS = "big: D sees E"


@pytest.fixture(scope="module")
def mine(graph_of):
    return graph_of("mine", "a knows b, b likes c", test="c likes a")


@pytest.fixture(scope="module")
def big(graph_of):
    return graph_of("big", CHAIN)


@pytest.fixture(scope="module")
def links(mine, big, links_of) -> list[Links]:
    return [links_of(mine, big, "a=A b=B")]


@pytest.fixture(scope="module")
def background(big) -> JointGraph:
    return join([big])


def teacher_names(subgraph: LinkedSubgraph, background: JointGraph, source: str) -> list[str]:
    """Return the names in one source of the teacher's rows for the target's entities."""
    part = background.part(source)
    name_of = dict(zip(part.entity_rows.tolist(), part.entities.names.to_list(), strict=True))
    rows = subgraph.teacher_entities[: subgraph.n_target_entities].tolist()
    return [name_of.get(row, "-") for row in rows]


@pytest.mark.parametrize(
    ("mode", "hops", "expected"),
    [
        ("induced", 9, {BOTH_ENDS}),
        ("incident", 9, {BOTH_ENDS, ONE_HOP}),
        ("k_hop", 1, {BOTH_ENDS, ONE_HOP}),
        ("k_hop", 2, {BOTH_ENDS, ONE_HOP, TWO_HOPS}),
        ("k_hop", 3, {BOTH_ENDS, ONE_HOP, TWO_HOPS, THREE_HOPS}),
        ("k_hop", 9, {BOTH_ENDS, ONE_HOP, TWO_HOPS, THREE_HOPS}),
    ],
)
def test_modes_take_exactly_their_facts(
    mine, links, background, sentences, mode, hops, expected
) -> None:
    subgraph = connect(mine, links, background, mode=mode, hops=hops)
    told = sentences(subgraph.graph)
    assert told[:2] == ["mine: a knows b", "mine: b likes c"]
    assert set(told[2:]) == expected
    assert len(told) == 2 + len(expected)


def test_linked_ends_are_the_targets_own_rows(mine, links, background) -> None:
    graph = connect(mine, links, background).graph
    assert graph.part("mine").entity_rows.tolist() == [0, 1, 2]
    assert graph.part("big").entities.names.to_list() == ["A", "B"]
    assert graph.part("big").entity_rows.tolist() == [0, 1]
    # knows, likes of mine; big's likes is the same.
    assert graph.triples.tolist() == [[0, 0, 1], [1, 1, 2], [0, 1, 1]]
    assert (graph.n_entities, graph.n_relations) == (3, 2)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [(0, set()), (1, {BOTH_ENDS}), (2, {BOTH_ENDS, ONE_HOP}), (3, {BOTH_ENDS, ONE_HOP, TWO_HOPS})],
)
def test_a_budget_takes_the_nearest_first(
    mine, links, background, sentences, budget, expected
) -> None:
    subgraph = connect(mine, links, background, mode="k_hop", hops=3, budget=budget)
    assert set(sentences(subgraph.graph)[2:]) == expected
    assert subgraph.linked.tolist() == [True, True, False]


def test_the_last_hop_is_sampled_by_the_seed(graph_of, links_of, mine, sentences) -> None:
    hub = graph_of("big", "A likes B, " + ", ".join(f"B sees C{i}" for i in range(20)))
    links, background = [links_of(mine, hub, "a=A b=B")], join([hub])

    def taken(seed: int) -> list[str]:
        subgraph = connect(mine, links, background, mode="incident", budget=6, seed=seed)
        return sentences(subgraph.graph)[2:]

    draws = [taken(seed) for seed in range(4)]
    for facts in draws:
        assert facts[0] == BOTH_ENDS
        assert len(set(facts)) == 6
    assert len({tuple(facts) for facts in draws}) > 1
    assert [taken(seed) for seed in range(4)] == draws


def test_teacher_rows(mine, big, links, background) -> None:
    subgraph = connect(mine, links, background, mode="incident")
    assert teacher_names(subgraph, background, "big") == ["A", "B", "-"]
    assert subgraph.linked.tolist() == [True, True, False]
    # Beyond the target's entities: C, which is big's alone.
    rows = subgraph.graph.part("big").entity_rows
    teacher = background.part("big").entities
    assert [teacher.name(subgraph.teacher_entities[row]) for row in rows] == ["A", "B", "C"]
    # knows is mine's alone, likes is shared by name, sees comes with the fact B sees C.
    assert subgraph.teacher_relations.tolist() == [
        -1,
        big.relations.row("likes"),
        big.relations.row("sees"),
    ]


def test_a_relation_link_finds_the_teachers_relation(
    mine, big, links, links_of, background
) -> None:
    both = [*links, links_of(mine, big, "knows=sees", "relation")]
    subgraph = connect(mine, both, background, budget=0)
    assert subgraph.teacher_relations.tolist() == [
        big.relations.row("sees"),
        big.relations.row("likes"),
    ]


def test_links_may_stand_in_either_order(mine, links, background, sentences) -> None:
    turned = [x.reversed() for x in links]
    one, other = (connect(mine, x, background, mode="incident") for x in (links, turned))
    assert sentences(one.graph) == sentences(other.graph)
    assert one.teacher_entities.tolist() == other.teacher_entities.tolist()


def test_links_of_a_target_make_two_teacher_rows_one(
    graph_of, links_of, members, sentences
) -> None:
    mine = graph_of("mine", "a knows b")
    big, far = graph_of("big", "A likes B"), graph_of("far", "P likes Q")
    background = join([big, far])
    links = [links_of(mine, big, "a=A b=B:0.5"), links_of(mine, far, "a=P:0.5 b=Q:0.75")]
    subgraph = connect(mine, links, background)
    assert members(subgraph.graph) == {"mine:a big:A far:P", "mine:b big:B far:Q"}
    assert sentences(subgraph.graph)[1:] == ["big: A likes B", "far: P likes Q"]
    assert subgraph.graph.triples[1:].tolist() == [[0, 1, 1], [0, 1, 1]]
    # The more trusted link chooses the row that teaches.
    assert teacher_names(subgraph, background, "big") == ["A", "-"]
    assert teacher_names(subgraph, background, "far") == ["-", "Q"]


def test_what_the_teacher_has_merged_outranks_the_targets_links(
    graph_of, links_of, members
) -> None:
    mine = graph_of("mine", "a knows b")
    big, far = graph_of("big", "A likes B"), graph_of("far", "P likes Q")
    background = join([big, far], [links_of(big, far, "A=P:0.5")])
    links = [links_of(mine, big, "a=A"), links_of(mine, far, "b=P:0.75")]
    subgraph = connect(mine, links, background)
    assert members(subgraph.graph) == {"mine:a big:A far:P"}
    assert [(x.left, x.right, x.kept_apart) for x in subgraph.graph.conflicts] == [
        (("mine", "b"), ("far", "P"), ("a", "b"))
    ]
    assert subgraph.linked.tolist() == [True, False]


def test_contradicting_links_of_the_target_are_listed(mine, big, links_of, background) -> None:
    subgraph = connect(mine, [links_of(mine, big, "a=A c=A b=B")], background)
    assert {x.left for x in subgraph.graph.conflicts} == {("mine", "a"), ("mine", "c")}
    assert subgraph.linked.tolist() == [False, True, False]


def test_two_relations_that_the_teacher_holds_as_one_stay_two(graph_of, links_of) -> None:
    mine = graph_of("mine", "a likes b, a adores b")
    big, far = graph_of("big", "A likes B"), graph_of("far", "P adores Q")
    background = join([big, far], [links_of(big, far, "likes=adores", "relation")])
    subgraph = connect(mine, [links_of(mine, big, "a=A b=B")], background)
    assert subgraph.graph.part("mine").relation_rows.tolist() == [0, 1]
    assert subgraph.teacher_relations.tolist() == [0, 0]


def test_links_to_unknown_sources_are_ignored(
    mine, big, links, graph_of, links_of, background, sentences
) -> None:
    other = graph_of("other", "u likes v")
    more = [*links, links_of(mine, other, "a=u c=v"), links_of(other, big, "u=E")]
    one, two = (connect(mine, x, background, mode="incident") for x in (links, more))
    assert sentences(one.graph) == sentences(two.graph)
    assert one.teacher_entities.tolist() == two.teacher_entities.tolist()
    assert two.graph.sources == ("mine", "big")


def test_without_links_the_target_stands_alone(mine, background, sentences) -> None:
    subgraph = connect(mine, [], background, mode="k_hop", hops=3)
    assert sentences(subgraph.graph) == ["mine: a knows b", "mine: b likes c"]
    assert not subgraph.linked.any()
    assert (subgraph.teacher_entities < 0).all()
    assert subgraph.graph.n_entities == 3


def test_its_size_does_not_depend_on_the_background(mine, big, links, graph_of) -> None:
    rest = ", ".join(f"far{i} likes far{i + 1}" for i in range(50))
    larger = join([graph_of("big", f"{CHAIN}, {rest}")])
    small, large = (connect(mine, links, x, mode="incident") for x in (join([big]), larger))
    assert small.graph.n_entities == large.graph.n_entities == 4
    assert small.graph.triples.tolist() == large.graph.triples.tolist()


def test_wrong_arguments_are_refused(mine, big, links, background) -> None:
    for wrong in ({"hops": 0}, {"budget": -1}):
        with pytest.raises(ValueError, match="hops starts at 1 and budget at 0"):
            connect(mine, links, background, **wrong)
    with pytest.raises(ValueError, match="the background already holds the target 'big'"):
        connect(big, links, background)
