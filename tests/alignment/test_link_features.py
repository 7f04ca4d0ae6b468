"""What is seen of links, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kgraft.alignment.labels import Names
from kgraft.alignment.link_features import FeatureExtractor, LinkFeatures
from kgraft.alignment.nodes import Nodes
from kgraft.alignment.settings import AlignSettings
from kgraft.linking.collection import Collection


def features_of(collection: Collection) -> tuple[LinkFeatures, dict[str, int]]:
    """What is seen of each link, and its place, as ``p=P``."""
    nodes = Nodes.of(collection, ())
    pairs, _ = nodes.pairs(collection.links)
    extractor = FeatureExtractor(
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
    return extractor.of(pairs, real=True), places


def test_other_graphs_agree_or_contradict(collection_of) -> None:
    features, at = features_of(
        collection_of(
            {"a": "p r q", "b": "P r Q", "c": "T r U"},
            {"a b": "p=P q=Q", "b c": "P=T Q=U", "a c": "p=T q=T"},
        )
    )
    assert features.agreeing[at["p=P"]] == 1
    assert features.agreeing[at["q=Q"]] == 0
    assert features.contradicting[at["q=Q"]] == 1
    assert features.rival_links[at["p=T"]] == 1
    assert features.rival_links[at["p=P"]] == 0


def test_facts_are_shared_or_could_be(collection_of) -> None:
    features, at = features_of(
        collection_of(
            {"a": "p likes x, p likes y, q knows x", "b": "P likes X, Q knows Y"},
            {"a b": "p=P q=Q x=X y=Y"},
        )
    )
    assert features.shared[at["p=P"]] == 1
    assert features.shared[at["q=Q"]] == 0
    assert features.checkable[at["q=Q"]] == 1
    assert features.support[at["p=P"]] > 0
    assert features.support[at["q=Q"]] == 0


def test_the_best_other_partner_is_found(collection_of) -> None:
    features, at = features_of(
        collection_of(
            {"a": "p likes x, q sees x", "b": "P likes X, Q sees X"}, {"a b": "p=Q q=P x=X"}
        )
    )
    assert features.support[at["p=Q"]] == 0
    assert features.rival_support[at["p=Q"]] > 0
    assert features.rival_support[at["x=X"]] == 0
    assert features.rival[at["x=X"]] == -1


def test_kinds_of_entities_that_seldom_meet(collection_of) -> None:
    people = ", ".join(f"p{i} born c{i}" for i in range(8))
    others = people.replace("p", "P").replace("c", "C")
    right = " ".join(f"p{i}=P{i} c{i}=C{i}" for i in range(7))
    features, at = features_of(
        collection_of({"a": people, "b": others}, {"a b": f"{right} p7=C7 c7=P7"})
    )
    assert features.kind[at["p7=C7"]] < 0 < features.kind[at["p1=P1"]]
    assert features.kind[at["p1=P1"]] == pytest.approx(features.kind[at["p2=P2"]])
    assert np.isfinite(features.matrix()).all()
