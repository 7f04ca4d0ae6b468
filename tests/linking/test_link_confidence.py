"""Facts trusted by their links, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kgraft.linking.join import join
from kgraft.linking.link_confidence import link_confidence, weights_by_link_confidence
from kgraft.linking.source_reliability import fact_weights


def test_facts_are_trusted_as_far_as_their_links(graph_of, links_of) -> None:
    mine = graph_of("mine", "a r b, c r a")
    big = graph_of("big", "A r B, A r X, X r Y")
    links = links_of(mine, big, "a=A:0.5 b=B:0.8")
    joint = join([mine, big], [links])
    assert link_confidence(joint, [links], "mine").tolist() == pytest.approx([1, 1, 0.4, 0.5, 1])
    assert link_confidence(joint, [links.reversed()], "mine").tolist() == pytest.approx(
        [1, 1, 0.4, 0.5, 1]
    )


def test_who_comes_by_way_of_another_source_is_trusted_as_that(graph_of, links_of) -> None:
    mine, big, far = graph_of("mine", "a r b"), graph_of("big", "A r B"), graph_of("far", "U r V")
    links = [links_of(mine, big, "a=A:0.5"), links_of(big, far, "A=U:0.9")]
    joint = join([mine, big, far], links)
    assert link_confidence(joint, links, "mine").tolist() == pytest.approx([1, 0.5, 0.5])


def test_links_that_were_not_followed_count_for_nothing(graph_of, links_of) -> None:
    mine, big = graph_of("mine", "a r b"), graph_of("big", "A r B")
    links = links_of(mine, big, "a=A:0.9 b=A:0.4")
    joint = join([mine, big], [links])
    assert link_confidence(joint, [links], "mine").tolist() == pytest.approx([1, 0.9])


def test_without_a_target_an_entity_is_trusted_by_its_surest_link(graph_of, links_of) -> None:
    mine, big, far = graph_of("mine", "a r b"), graph_of("big", "A r X"), graph_of("far", "U r A")
    links = [links_of(mine, big, "a=A:0.5 b=X:0.25"), links_of(big, far, "A=U:0.75")]
    joint = join([mine, big, far], links)
    # A's surest link is that to U; far's own A is no entity of big.
    assert link_confidence(joint, links).tolist() == pytest.approx([0.5 * 0.25, 0.75 * 0.25, 0.75])


def test_links_to_what_is_not_joined_count_for_nothing(graph_of, links_of) -> None:
    mine, big, far = graph_of("mine", "a r b"), graph_of("big", "A r B"), graph_of("far", "U r V")
    links = [links_of(mine, big, "a=A:0.5"), links_of(big, far, "A=U:0.9")]
    joint = join([big, far], links)
    assert link_confidence(joint, links).tolist() == pytest.approx([0.9, 0.9])


def test_weights_by_trust(graph_of, links_of) -> None:
    mine, big = graph_of("mine", "a r b, b r c"), graph_of("big", "A r B")
    unsure, sure = links_of(mine, big, "a=A:0.5"), links_of(mine, big, "a=A")
    joint = join([mine, big], [unsure])
    assert weights_by_link_confidence(joint, [unsure], 2.0).tolist() == pytest.approx([0.5, 2, 0.5])
    assert weights_by_link_confidence(joint, [unsure], 0.0) is None
    assert weights_by_link_confidence(joint, [sure], 2.0) is None
    assert weights_by_link_confidence(joint, [], 2.0) is None


def test_weights_fall_with_trust() -> None:
    learned = np.array([True, True, False])
    found = fact_weights(np.ones(3), 1.0, learned, np.array([1.0, 0.5, 0.5]))
    assert found.tolist() == pytest.approx([4 / 3, 2 / 3, 0])
