"""Joining gives linked entities one row, and lists each link that it does not follow."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgraft.errors import UnknownNameError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.linking.joint_graph import LinkConflict
from kgraft.linking.links import Links


def test_linked_entities_share_a_row_and_facts_keep_their_source(tiny, sentences) -> None:
    joint = join(list(tiny.graphs.values()), tiny.links)
    # mine keeps its rows 0 to 4; big's Z is new, C B A are cay bob ann.
    assert joint.sources == ("mine", "big")
    assert joint.part("mine").entity_rows.tolist() == [0, 1, 2, 3, 4]
    assert joint.part("big").entity_rows.tolist() == [5, 2, 1, 0]
    # likes and knows are mine's; big's sees is new, its likes is the same by name.
    assert joint.part("big").relation_rows.tolist() == [2, 0]
    assert (joint.n_entities, joint.n_relations) == (6, 3)
    assert joint.triples.tolist() == [
        [0, 0, 1], [1, 1, 2], [2, 0, 3], [0, 0, 2], [0, 0, 1], [1, 2, 5],
    ]  # fmt: skip
    assert joint.triple_sources.tolist() == [0, 0, 0, 1, 1, 1]
    assert joint.facts_of(["big"]).tolist() == [[0, 0, 2], [0, 0, 1], [1, 2, 5]]
    assert sentences(joint)[3:] == ["big: A likes C", "big: A likes B", "big: B sees Z"]
    assert joint.conflicts == ()


@pytest.mark.parametrize(
    ("n_entities", "among"),
    [
        (6, [True, True, True, True, True, True]),
        (5, [True, True, True, True, True, False]),  # bob sees Z
        (3, [True, True, False, True, True, False]),  # cay likes dan
        (0, [False] * 6),
    ],
)
def test_facts_among_the_first_entities(
    tiny: Collection, n_entities: int, among: list[bool]
) -> None:
    joint = join(list(tiny.graphs.values()), tiny.links)
    found = joint.among_first(n_entities)
    assert found.dtype == np.bool_
    assert found.tolist() == among


def test_rows_are_found_in_another_joint_graph_by_name(graph_of, links_of) -> None:
    a, b, c = (graph_of(name, f"{name}1 r {name}2") for name in "abc")
    earlier = join([a, b], [links_of(a, b, "a1=b2")])
    later = join([graph_of("a", "a3 s a2, a2 r a1"), b, c], [links_of(b, c, "b1=c1")])
    entities, relations = later.rows_in(earlier)
    rows = {
        f"{source}:{name}": int(entities[row])
        for source, part in later.parts.items()
        for name, row in zip(part.entities.names, part.entity_rows, strict=True)
    }
    at = earlier.parts["a"].entities.row, earlier.parts["b"].entity_rows
    assert rows["a:a1"] == at[0]("a1")
    assert rows["a:a2"] == at[0]("a2")
    assert rows["a:a3"] == rows["c:c2"] == -1
    assert [rows["b:b1"], rows["b:b2"]] == at[1].tolist()
    assert rows["c:c1"] == rows["b:b1"]
    r, s = (later.parts["a"].relation_rows[later.parts["a"].relations.row(x)] for x in "rs")
    assert (relations[r], relations[s]) == (0, -1)


def test_where_names_lead_to_several_rows_the_first_source_decides(graph_of, links_of) -> None:
    a, b = graph_of("a", "a1 r a2"), graph_of("b", "b1 r b2")
    apart, linked = join([a, b]), join([a, b], [links_of(a, b, "a1=b1")])
    found = linked.rows_in(apart)[0]
    assert found[linked.parts["a"].entity_rows[0]] == apart.parts["a"].entity_rows[0]


def test_links_chain_across_three_sources(graph_of, links_of, members) -> None:
    a, b, c = (graph_of(name, f"{name}1 r {name}2") for name in "abc")
    joint = join([a, b, c], [links_of(a, b, "a1=b1"), links_of(c, b, "c1=b1 c2=b2")])
    assert members(joint) == {"a:a1 b:b1 c:c1", "b:b2 c:c2"}
    assert joint.n_entities == 3


def test_links_to_absent_graphs_are_ignored(graph_of, links_of, members) -> None:
    a, b, c = (graph_of(name, f"{name}1 r {name}2") for name in "abc")
    joint = join([a, c], [links_of(a, b, "a1=b1"), links_of(b, c, "b1=c1")])
    assert members(joint) == set()


def test_relations_are_one_by_name_and_by_links(graph_of, links_of, members) -> None:
    a = graph_of("a", "x likes y, x knows y")
    b = graph_of("b", "x likes y, x kennt y")
    c = graph_of("c", "x aime y")
    joint = join(
        [a, b, c],
        [links_of(a, b, "knows=kennt", "relation"), links_of(b, c, "likes=aime", "relation")],
    )
    assert members(joint, "relation") == {"a:likes b:likes c:aime", "a:knows b:kennt"}
    # Entities of one name are not one without a link.
    assert members(joint) == set()


def test_a_name_outranks_a_relation_link(graph_of, links_of, members) -> None:
    a, b = graph_of("a", "x likes y"), graph_of("b", "x likes y, x adores y")
    joint = join([a, b], [links_of(a, b, "likes=adores", "relation")])
    assert members(joint, "relation") == {"a:likes b:likes"}
    assert joint.conflicts == (
        LinkConflict(
            "relation", ("a", "likes"), ("b", "adores"), 1.0, "b", ("likes", "adores"), "confidence"
        ),
    )


def test_the_surer_link_wins_and_the_other_is_told_in_names(graph_of, links_of, members) -> None:
    a, b = graph_of("a", "rome in italy"), graph_of("b", "Rome in Italy, Rome_NY in USA")
    joint = join([a, b], [links_of(a, b, "rome=Rome:0.75 rome=Rome_NY:0.5")])
    assert members(joint) == {"a:rome b:Rome"}
    assert joint.conflicts == (
        LinkConflict(
            "entity", ("a", "rome"), ("b", "Rome_NY"), 0.5, "b", ("Rome", "Rome_NY"), "confidence"
        ),
    )


def test_equal_links_that_contradict_are_both_left_apart(graph_of, links_of, members) -> None:
    a, b = graph_of("a", "rome in italy"), graph_of("b", "Rome in Italy, Rome_NY in USA")
    joint = join([a, b], [links_of(b, a, "Rome=rome Rome_NY=rome Italy=italy")])
    assert members(joint) == {"a:italy b:Italy"}
    assert [(x.left, x.right, x.reason) for x in joint.conflicts] == [
        (("b", "Rome"), ("a", "rome"), "apart"),
        (("b", "Rome_NY"), ("a", "rome"), "apart"),
    ]


def test_certain_links_outrank_all_others_and_tell_a_plain_confidence(
    graph_of, links_of, members
) -> None:
    a, b = graph_of("a", "x r y"), graph_of("b", "p r q")
    certain = [links_of(a, b, "x=q:0.25")]
    joint = join([a, b], [links_of(a, b, "x=p")], certain=certain)
    assert members(joint) == {"a:x b:q"}
    assert [x.right for x in joint.conflicts] == [("b", "p")]
    clash = join([a, b], certain=[*certain, links_of(a, b, "x=p")])
    assert members(clash) == set()
    assert [x.confidence for x in clash.conflicts] == [1.0, 1.0]


def test_one_name_stays_one_relation_whatever_an_earlier_join_merged(
    graph_of, links_of, members
) -> None:
    target = graph_of("t", "a likes b, a adores b")
    a, b = graph_of("a", "x likes y"), graph_of("b", "x adores y")
    earlier = [links_of(a, b, "likes=adores", "relation")]
    joint = join([target, a, b], certain=earlier)
    assert members(joint, "relation") == {"t:likes a:likes", "t:adores b:adores"}
    assert [(x.left, x.reason) for x in joint.conflicts] == [(("a", "likes"), "confidence")]


def test_joining_needs_graphs_with_distinct_names(graph_of) -> None:
    a = graph_of("a", "x r y")
    for graphs in ([], [a, a]):
        with pytest.raises(ValueError, match="distinct names"):
            join(graphs)
    with pytest.raises(UnknownNameError, match="no source is called 'b'; there are a"):
        join([a]).part("b")


def test_labels_of_joint_rows() -> None:
    def labelled(name: str, labels: list[str | None]) -> KnowledgeGraph:
        entities = Vocabulary.of([f"{name}{i}" for i in range(len(labels))])
        facts = np.array([[0, 0, 1]])
        return KnowledgeGraph(
            name, entities, Vocabulary.of(["r"]), facts, labels=pl.Series(labels, dtype=pl.String)
        )

    a, b = labelled("a", [None, "Athens"]), labelled("b", ["Rome", "ATHENS", None])
    links = Links("a", "b", np.array([[0, 0]]), np.ones(1, np.float32))
    joint = join([a, b], [links])
    assert joint.labelled("athens").tolist() == [1, 2]
    assert joint.labelled("rome").tolist() == [0]
    assert joint.labelled("nowhere").tolist() == []


def test_labels_are_optional(graph_of) -> None:
    joint = join([graph_of("a", "x r y")])
    assert joint.labelled("x").tolist() == []


def test_adopted_links_are_found_by_name(graph_of, links_of) -> None:
    old_b, c = graph_of("b", "b1 r b2, b2 s b3"), graph_of("c", "c1 r c2")
    joint = join([old_b, c])
    # A later version of b has other rows, and two entities that the joint graph never saw.
    b = graph_of("b", "b9 s b3, b3 r b2, b2 r b8")
    a = graph_of("a", "a1 r a2, a2 r a3")
    graphs = {graph.name: graph for graph in (a, b, c)}
    entities = links_of(a, b, "a1=b3:0.5 a2=b9 a3=b2")
    turned = links_of(b, c, "b2=c1 b8=c2")
    relations = links_of(b, a, "s=r", "relation")
    left, right, named, same = joint.translate_links(
        [entities, turned, relations, links_of(a, c, "a1=c2")], graphs
    )
    assert left.pairs.tolist() == [[0, old_b.entities.row("b3")], [2, old_b.entities.row("b2")]]
    assert left.confidence.tolist() == [0.5, 1.0]
    assert right.pairs.tolist() == [[old_b.entities.row("b2"), c.entities.row("c1")]]
    assert named.pairs.tolist() == [[old_b.relations.row("s"), a.relations.row("r")]]
    assert same.pairs.tolist() == [[0, 1]]


def test_an_end_in_an_unknown_graph_stays(tiny: Collection) -> None:
    joint = join([tiny.graphs["big"]])
    (adopted,) = joint.translate_links(tiny.links, {})
    assert adopted is tiny.links[0]


@st.composite
def linked_graphs(draw: st.DrawFn) -> tuple[list[KnowledgeGraph], list[Links]]:
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    graphs = [
        KnowledgeGraph(
            f"g{i}",
            Vocabulary.of(f"g{i}e{j}" for j in range(size)),
            Vocabulary.of(["r"]),
            np.array([[0, 0, size - 1]]),
        )
        for i, size in enumerate(sizes)
    ]
    links = []
    for _ in range(draw(st.integers(0, 5))):
        i, j = draw(st.permutations(range(len(sizes))))[:2]
        pair = st.tuples(st.integers(0, sizes[i] - 1), st.integers(0, sizes[j] - 1))
        pairs = draw(st.lists(pair, max_size=4))
        trust = draw(
            st.lists(st.sampled_from([0.25, 0.5, 1.0]), min_size=len(pairs), max_size=len(pairs))
        )
        links.append(
            Links(
                f"g{i}",
                f"g{j}",
                np.array(pairs, dtype=np.int64).reshape(-1, 2),
                np.array(trust, dtype=np.float32),
            )
        )
    return graphs, links


@given(linked_graphs())
def test_a_join_never_makes_two_entities_of_one_source_one_and_hides_no_link(
    problem: tuple[list[KnowledgeGraph], list[Links]],
) -> None:
    graphs, links = problem
    joint = join(graphs, links)
    for graph in graphs:
        rows = joint.part(graph.name).entity_rows
        assert len(set(rows.tolist())) == len(graph.entities)
    by_name = {graph.name: graph for graph in graphs}
    apart = []
    for x in links:
        for (left, right), trust in zip(x.pairs.tolist(), x.confidence.tolist(), strict=True):
            if joint.part(x.left).entity_rows[left] != joint.part(x.right).entity_rows[right]:
                one = (x.left, by_name[x.left].entities.name(left))
                apart.append((one, (x.right, by_name[x.right].entities.name(right)), trust))
    assert [(x.left, x.right, x.confidence) for x in joint.conflicts] == apart
    used = np.concatenate([part.entity_rows for part in joint.parts.values()])
    assert np.unique(used).tolist() == list(range(joint.n_entities))
