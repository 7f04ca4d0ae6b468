"""Relations that correspond, by the linked pairs that they join."""

from __future__ import annotations

import numpy as np
import pytest

from kgraft.alignment.nodes import Nodes
from kgraft.linking.collection import Collection
from kgraft.linking.relation_matching import (
    Correspondence,
    correspondences,
    named,
    same_relations,
    unified,
)
from kgraft.settings import RelationSettings

SETTINGS = RelationSettings(support=2, threshold=0.6, part_threshold=0.7)


def found(collection: Collection) -> dict[tuple[str, str], Correspondence]:
    nodes = Nodes.of(collection, collection.links)
    clusters = nodes.clusters(collection.links)
    told = named(nodes.joint, correspondences(nodes.joint, clusters, SETTINGS), SETTINGS)
    return {(x.relation, x.other): x for x in told}


LINKS = {"a b": "v=V w=W x=X y=Y z=Z"}


def test_the_same_and_the_inverse_are_told_apart(collection_of) -> None:
    told = found(
        collection_of(
            {
                "a": "v borders w, w borders x, x borders y, v rules y, w rules z, z rules x",
                "b": "V near W, W near X, X near Y, Y subject V, Z subject W, X subject Z",
            },
            LINKS,
        )
    )
    assert told.keys() == {("borders", "near"), ("rules", "subject")}
    assert (told["borders", "near"].kind, told["borders", "near"].inverse) == ("same", False)
    assert (told["rules", "subject"].kind, told["rules", "subject"].inverse) == ("same", True)
    assert told["borders", "near"].confidence == pytest.approx(3 / 4)
    assert told["borders", "near"].support == 3
    assert "both join 3 pairs of linked entities" in told["borders", "near"].evidence
    assert "the other way round" in told["rules", "subject"].evidence


def test_a_part_of_a_relation_is_narrower(collection_of) -> None:
    told = found(
        collection_of(
            {
                "a": "v official w, w official x, x official y, z likes v",
                "b": "V speaks W, W speaks X, X speaks Y, V speaks X, W speaks Y, X speaks Z",
            },
            LINKS,
        )
    )
    assert told["official", "speaks"].kind == "narrower"
    assert told["official", "speaks"].confidence == pytest.approx(3 / 4)


def test_what_the_other_graph_is_silent_about_counts_for_nothing(collection_of) -> None:
    told = found(
        collection_of(
            {
                "a": "v has w, w has x, x has y, z has v, y has z",
                "b": "V owns W, W owns X, X owns Y, Z likes V",
            },
            LINKS,
        )
    )
    # Only y has z is silent: b has no owner y, and nobody owns z.
    assert told["has", "owns"].confidence == pytest.approx(3 / 4)


def test_a_relation_with_a_namesake_is_no_other(collection_of) -> None:
    told = found(
        collection_of(
            {
                "a": "v capital w, x capital y, z capital v",
                "b": "V capital W, X capital Y, W country V, Y country X, V country Z",
            },
            LINKS,
        )
    )
    assert told["capital", "capital"].kind == "same"
    assert told["capital", "country"].kind == "narrower"


def test_unified_relations_turn_with_their_inverses(collection_of) -> None:
    made = collection_of(
        {"a": "v rules y, w rules z, z rules x", "b": "Y subject V, Z subject W, X subject Z"},
        LINKS,
    )
    nodes = Nodes.of(made, made.links)
    clusters = nodes.clusters(made.links)
    same = same_relations(nodes.joint, correspondences(nodes.joint, clusters, SETTINGS), 0.6)
    rules, subject = 0, 1
    assert unified(same, 2).tolist() == [rules, subject, subject, rules]
    assert unified(same.clear(), 2).tolist() == np.arange(4).tolist()
