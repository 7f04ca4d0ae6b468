"""What is seen of links, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kgraft.alignment.labels import Names
from kgraft.alignment.link_features import LinkFeatures, Witnesses
from kgraft.alignment.nodes import Nodes
from kgraft.alignment.settings import AlignSettings
from kgraft.linking.collection import Collection


def signs_of(collection: Collection) -> tuple[LinkFeatures, dict[str, int]]:
    """What is seen of each link, and its place, as ``p=P``."""
    nodes = Nodes.of(collection, ())
    pairs, _ = nodes.pairs(collection.links)
    witnesses = Witnesses(
        nodes,
        pairs,
        np.arange(len(pairs)),
        nodes.clusters(collection.links),
        Names.masked(len(nodes)),
        AlignSettings(),
    )
    places = {
        f"{nodes.label(one)}={nodes.label(other)}": place
        for place, (one, other) in enumerate(pairs.tolist())
    }
    return witnesses.signs(pairs, real=True), places


def test_other_graphs_agree_or_contradict(collection_of) -> None:
    signs, at = signs_of(
        collection_of(
            {"a": "p r q", "b": "P r Q", "c": "T r U"},
            {"a b": "p=P q=Q", "b c": "P=T Q=U", "a c": "p=T q=T"},
        )
    )
    assert signs.agreeing[at["p=P"]] == 1
    assert signs.agreeing[at["q=Q"]] == 0
    assert signs.contradicting[at["q=Q"]] == 1
    assert signs.rival_links[at["p=T"]] == 1
    assert signs.rival_links[at["p=P"]] == 0


def test_facts_are_shared_or_could_be(collection_of) -> None:
    signs, at = signs_of(
        collection_of(
            {"a": "p likes x, p likes y, q knows x", "b": "P likes X, Q knows Y"},
            {"a b": "p=P q=Q x=X y=Y"},
        )
    )
    assert signs.shared[at["p=P"]] == 1
    assert signs.shared[at["q=Q"]] == 0
    assert signs.checkable[at["q=Q"]] == 1
    assert signs.support[at["p=P"]] > 0
    assert signs.support[at["q=Q"]] == 0


def test_the_best_other_partner_is_found(collection_of) -> None:
    signs, at = signs_of(
        collection_of(
            {"a": "p likes x, q sees x", "b": "P likes X, Q sees X"}, {"a b": "p=Q q=P x=X"}
        )
    )
    assert signs.support[at["p=Q"]] == 0
    assert signs.rival_support[at["p=Q"]] > 0
    assert signs.rival_support[at["x=X"]] == 0
    assert signs.rival[at["x=X"]] == -1


def test_kinds_of_entities_that_seldom_meet(collection_of) -> None:
    people = ", ".join(f"p{i} born c{i}" for i in range(8))
    others = people.replace("p", "P").replace("c", "C")
    right = " ".join(f"p{i}=P{i} c{i}=C{i}" for i in range(7))
    signs, at = signs_of(collection_of({"a": people, "b": others}, {"a b": f"{right} p7=C7 c7=P7"}))
    assert signs.kind[at["p7=C7"]] < 0 < signs.kind[at["p1=P1"]]
    assert signs.kind[at["p1=P1"]] == pytest.approx(signs.kind[at["p2=P2"]])
    assert np.isfinite(signs.features()).all()
