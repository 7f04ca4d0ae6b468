"""Relations that correspond, by the linked pairs that they join."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from kgraft.alignment.nodes import Nodes
from kgraft.linking.collection import Collection
from kgraft.linking.relation_matching import (
    Correspondence,
    correspondences,
    lowered,
    named,
    same_relations,
    unified,
)
from kgraft.settings import MatchingSettings, RelationSettings

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
    same = same_relations(nodes.joint, correspondences(nodes.joint, clusters, SETTINGS), SETTINGS)
    rules, subject = 0, 1
    assert unified(same, 2).tolist() == [rules, subject, subject, rules]
    assert unified(same.clear(), 2).tolist() == np.arange(4).tolist()


def table(*rows: tuple[int, int, float, float, int]) -> pl.DataFrame:
    """Correspondences of relations 0, 1, ... of one graph with 10, 11, ... of another."""
    columns = ["relation", "other", "forward", "backward", "support"]
    found = pl.DataFrame(rows, schema=columns, orient="row")
    found = found.with_columns(source=pl.lit(0), other_source=pl.lit(1), inverse=pl.lit(False))
    keys = ["source", "relation", "other_source", "other", "inverse"]
    return found.select(*keys, "support", "forward", "backward").cast(
        {"source": pl.Int64, "relation": pl.Int64, "other_source": pl.Int64, "other": pl.Int64}
    )


def same_of(collection: Collection, found: pl.DataFrame, settings: RelationSettings) -> set[tuple]:
    joint = Nodes.of(collection, collection.links).joint
    chosen = same_relations(joint, lowered(found, settings.caution), settings)
    return set(chosen.select("relation", "other").iter_rows())


def test_shares_are_lowered_by_wilsons_interval() -> None:
    # 8 of 10 at 1.96 standard errors: 0.490; without caution the share itself.
    found = table((0, 10, 0.8, 0.4, 8))
    assert lowered(found, 1.96)["forward"][0] == pytest.approx(0.490, abs=5e-4)
    assert lowered(found, 0.0)["forward"][0] == 0.8


def test_few_facts_are_no_rival_of_many(collection_of) -> None:
    made = collection_of({"a": "v r w", "b": "V s W"}, {"a b": "v=V"})
    found = table((0, 10, 0.43, 0.44, 528), (0, 11, 0.5, 0.6, 3))
    assert same_of(made, found, MatchingSettings()) == {(0, 10)}
    plain = MatchingSettings(caution=0.0, margin=1.0)
    assert same_of(made, found, plain) == {(0, 11)}


def test_a_rival_nearly_as_good_leaves_both_apart(collection_of) -> None:
    made = collection_of({"a": "v r w", "b": "V s W"}, {"a b": "v=V"})
    found = table((0, 10, 0.5, 0.5, 200), (0, 11, 0.45, 0.45, 200))
    assert same_of(made, found, MatchingSettings()) == set()
    assert same_of(made, found, MatchingSettings(margin=1.0)) == {(0, 10)}


def test_a_rival_that_corresponds_better_to_another_relation_is_none(collection_of) -> None:
    made = collection_of({"a": "v r w, v q w", "b": "V s W"}, {"a b": "v=V"})
    found = table((0, 10, 0.5, 0.5, 200), (0, 11, 0.45, 0.45, 200), (1, 11, 0.7, 0.7, 200))
    assert same_of(made, found, MatchingSettings()) == {(0, 10), (1, 11)}


def test_a_part_is_not_the_whole(collection_of) -> None:
    made = collection_of({"a": "v r w", "b": "V s W"}, {"a b": "v=V"})
    assert same_of(made, table((0, 10, 0.95, 0.2, 100)), MatchingSettings()) == set()
    assert same_of(made, table((0, 10, 0.6, 0.2, 100)), MatchingSettings()) == {(0, 10)}
