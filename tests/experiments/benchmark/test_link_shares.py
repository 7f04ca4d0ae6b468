"""Shares of links: how many are kept, which, and that smaller shares lie in larger ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgraft.linking.links import LinkKind, Links
from kgraft_experiments.benchmark.link_shares import linked_entities, with_share_of_links


def links(left: str, right: str, size: int, kind: LinkKind = "entity") -> Links:
    pairs = np.stack([np.arange(size), np.arange(size)[::-1]], axis=1)
    confidence = np.linspace(0.5, 1, size, dtype=np.float32)
    return Links(left, right, pairs, confidence, kind)


LINKS = (
    links("mine", "big", 10),
    links("far", "mine", 40),
    links("big", "far", 30),
    links("mine", "big", 5, "relation"),
)


def pairs(of: Links) -> set[tuple[int, int]]:
    return {(int(left), int(right)) for left, right in of.pairs}


def test_only_the_targets_entity_links_are_thinned() -> None:
    kept = with_share_of_links(LINKS, "mine", 0.5, seed=0)
    assert [len(x) for x in kept] == [5, 20, 30, 5]
    assert [(x.left, x.right, x.kind) for x in kept] == [(x.left, x.right, x.kind) for x in LINKS]


def test_a_link_keeps_its_confidence_and_its_order() -> None:
    [kept] = with_share_of_links(LINKS[1:2], "mine", 0.3, seed=0)
    of = dict(zip(map(tuple, LINKS[1].pairs.tolist()), LINKS[1].confidence, strict=True))
    assert [of[tuple(pair)] for pair in kept.pairs.tolist()] == kept.confidence.tolist()
    assert kept.pairs[:, 0].tolist() == sorted(kept.pairs[:, 0])


@given(shares=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted), seed=st.integers(0, 2**31))
def test_a_smaller_share_is_part_of_a_larger_one(shares: list[float], seed: int) -> None:
    less, more = (with_share_of_links(LINKS, "mine", share, seed=seed) for share in shares)
    for x, y in zip(less, more, strict=True):
        assert pairs(x) <= pairs(y)


def test_seeds_choose_differently_and_all_is_all() -> None:
    found = [with_share_of_links(LINKS, "mine", 0.5, seed=seed)[1] for seed in (0, 0, 1)]
    assert pairs(found[0]) == pairs(found[1]) != pairs(found[2])
    assert [pairs(x) for x in with_share_of_links(LINKS, "mine", 1.0, seed=0)] == [
        pairs(x) for x in LINKS
    ]


@pytest.mark.parametrize(("target", "expected"), [("mine", 40), ("big", 30), ("other", 0)])
def test_linked_entities_count_once(target: str, expected: int) -> None:
    # mine: 0..9 and 0..39; big: 9..0 and 0..29
    assert linked_entities(LINKS, target) == expected
