"""Matching: what spreads, what stays unlinked, and what is told about it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from kgraft.alignment.align import GIVEN_REASON, align, with_links
from kgraft.alignment.settings import AlignSettings
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import collect
from kgraft.linking.links import Links
from kgraft_experiments.alignment_score import evaluate_alignment

MASKED = AlignSettings(labels={"use": False})


def test_matching_spreads_from_a_link_through_functional_facts(collection_of, pairs_of) -> None:
    found = align(
        collection_of(
            {"a": "p capital q, q river r, r mouth s", "b": "K capital L, L river M, M mouth N"},
            {"a b": "p=K"},
        ),
        MASKED,
    )
    assert pairs_of(found) == {"q=L", "r=M", "s=N"}
    (proposed,) = found.proposed
    assert (proposed.links.confidence > 0.9).all()
    assert proposed.evidence[0] == "both: capital of p"


def test_all_graphs_are_matched_together(collection_of, pairs_of) -> None:
    # Only b knows where c's entity is; a's and b's are one by a link.
    found = align(
        collection_of(
            {"a": "p likes q", "b": "K likes L, K home O", "c": "T home U, V near U"},
            {"a b": "p=K", "b c": "O=U"},
        ),
        MASKED,
    )
    assert pairs_of(found) == {"q=L", "K=T", "p=T"}


def test_what_links_imply_is_told_as_such(collection_of) -> None:
    found = align(
        collection_of({"a": "p r p", "b": "K s K", "c": "T t T"}, {"a b": "p=K", "b c": "K=T"}),
        MASKED,
    )
    (implied,) = found.proposed
    assert (implied.links.left, implied.links.right) == ("a", "c")
    assert implied.evidence == (GIVEN_REASON,)
    assert implied.links.confidence.tolist() == [1.0]


def test_who_has_no_partner_stays_unlinked(collection_of, pairs_of) -> None:
    # q and r look the same to b, which has one of them.
    found = align(
        collection_of({"a": "p child q, p child r", "b": "K child L"}, {"a b": "p=K"}), MASKED
    )
    assert pairs_of(found) == set()


def test_names_and_relations_without_a_single_link(collection_of, pairs_of) -> None:
    labels = {"u1": "Rome", "u2": "Italy", "v1": "ROME", "v2": "italy", "w": "Elsewhere"}
    found = align(collection_of({"a": "u1 in u2", "b": "v1 part v2, w part v2"}, labels=labels))
    assert pairs_of(found) == {"u1=v1", "u2=v2"}
    assert 'name "rome"' in found.proposed[0].evidence[0]


def test_what_was_found_joins_the_collection(collection_of) -> None:
    made = collection_of({"a": "p capital q", "b": "K capital L"}, {"a b": "p=K"})
    more = with_links(made, align(made, MASKED))
    assert [len(x) for x in more.links] == [1, 1]
    assert align(more, MASKED).proposed == ()


FACTS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 5)), min_size=1, max_size=14
)


@pytest.mark.slow
@tried(max_examples=25)
@given(FACTS, FACTS, FACTS)
def test_no_two_entities_of_a_graph_become_one(one, two, three) -> None:
    graphs = []
    for name, facts in zip("abc", (one, two, three), strict=True):
        entities = Vocabulary.of(f"{name}{row}" for row in range(6))
        triples = np.unique(np.array(facts, dtype=np.int64), axis=0)
        graphs.append(KnowledgeGraph(name, entities, Vocabulary.of(["r", "s"]), triples))
    seeds = np.array([[0, 0], [1, 1]])
    links = [Links(*ends, seeds, np.ones(2, dtype=np.float32)) for ends in (("a", "b"), ("b", "c"))]
    found = align(collect(graphs, links), MASKED)
    key = found.clusters * 3 + found.nodes.source_of
    assert len(np.unique(key)) == len(key)
    assert found.clusters[0] == found.clusters[6] == found.clusters[12]
    for x in found.proposed:
        assert ((x.links.confidence > 0) & (x.links.confidence <= 1)).all()


@pytest.fixture(scope="module")
def world_found():
    world = read_collection("world")
    return world, align(replace(world, links=()))


def test_countries_of_the_world_find_each_other_without_a_link(world_found) -> None:
    world, found = world_found
    nodes = found.nodes
    true = nodes.members(nodes.clusters(world.links))[nodes.clusters(world.links)]
    linked = nodes.members(found.clusters)[found.clusters]
    names = [name for graph in nodes.graphs for name in graph.entities.names.to_list()]
    territories = np.array(["territory/" in name for name in names])
    cldr = nodes.graph_index("cldr")
    for place in (nodes.graph_index("countryinfo"), nodes.graph_index("geonames")):
        own = nodes.source_of == place
        country = own & (true[:, cldr] >= 0) & territories[true[:, cldr]]
        claimed = own & (linked[:, cldr] >= 0) & territories[linked[:, cldr]]
        right = linked[:, cldr] == true[:, cldr]
        assert right[claimed].mean() >= 0.98
        assert right[country].mean() >= 0.95


def test_relations_of_the_world_correspond(world_found) -> None:
    _, found = world_found
    same = {
        (x.left, x.relation, x.right, x.other, x.inverse)
        for x in found.relations
        if x.kind == "same"
    }
    assert same == {
        ("countryinfo", "borders", "geonames", "neighbours", False),
        ("countryinfo", "capital", "geonames", "capital", False),
        ("countryinfo", "currencies", "cldr", "territory_currency", False),
        ("countryinfo", "currencies", "geonames", "currencycode", False),
        ("countryinfo", "languages", "cldr", "official_language", False),
        ("countryinfo", "languages", "geonames", "languages", False),
        ("countryinfo", "region", "geonames", "continentcode", False),
        ("countryinfo", "timezoneNames", "cldr", "zone_territory", True),
        ("geonames", "currencycode", "cldr", "territory_currency", False),
    }


@pytest.mark.slow
@pytest.mark.skipif("KGRAFT_DATA" not in os.environ, reason="KGRAFT_DATA names no folder of data")
def test_five_language_editions_are_matched_by_structure_alone() -> None:
    collection = read_collection(Path(os.environ["KGRAFT_DATA"]) / "dbp5l")
    mean = evaluate_alignment(collection, MASKED).mean()
    assert mean["hits@1"] >= 0.35
    assert mean["precision"] >= 0.9


def test_no_pair_is_surer_than_what_joins_it(collection_of) -> None:
    made = collection_of(
        {"a": "p capital q", "b": "K capital L", "c": "T capital U"}, {"a b": "p=K", "b c": "K=T"}
    )
    doubtful = replace(made.links[1], confidence=np.array([0.3], dtype=np.float32))
    found = align(replace(made, links=(made.links[0], doubtful)), MASKED)
    implied = next(x for x in found.proposed if (x.links.left, x.links.right) == ("a", "c"))
    assert implied.evidence[0] == GIVEN_REASON
    assert implied.links.confidence[0] == pytest.approx(0.3)
    assert implied.links.confidence[1] > 0.9
