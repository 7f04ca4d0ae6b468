"""Links are pairs of rows with a confidence each, and know whom they join."""

from __future__ import annotations

import numpy as np
import pytest

from kgraft.linking.links import Links

PAIRS = np.array([[0, 5], [1, 4]])
TRUST = np.array([1.0, 0.5], dtype=np.float32)
LINKS = Links("a", "b", PAIRS, TRUST, "relation", "by hand")


def test_length_and_whom_they_join() -> None:
    assert len(LINKS) == 2
    assert [LINKS.joins(name) for name in "abc"] == [True, True, False]
    assert LINKS.between("a", "b")
    assert LINKS.between("b", "a")
    assert not LINKS.between("a", "c")


def test_reversed_exchanges_the_sides_and_keeps_the_rest() -> None:
    turned = LINKS.reversed()
    assert (turned.left, turned.right) == ("b", "a")
    assert turned.pairs.tolist() == [[5, 0], [4, 1]]
    assert turned.confidence.tolist() == [1.0, 0.5]
    assert (turned.kind, turned.provenance) == ("relation", "by hand")
    assert turned.reversed().pairs.tolist() == PAIRS.tolist()


def test_no_links_at_all_are_fine() -> None:
    assert len(Links("a", "b", np.empty((0, 2), np.int64), np.empty(0, np.float32))) == 0


@pytest.mark.parametrize(
    ("left", "right", "pairs", "confidence", "says"),
    [
        ("a", "a", PAIRS, TRUST, "not 'a' with itself"),
        ("a", "b", PAIRS.ravel(), TRUST, r"shape \(n, 2\), not \(4,\)"),
        ("a", "b", np.zeros((2, 3), np.int64), TRUST, r"shape \(n, 2\), not \(2, 3\)"),
        ("a", "b", PAIRS, TRUST[:1], "each link has one confidence"),
        ("a", "b", PAIRS, np.array([0.0, 1.0], np.float32), "above 0 and at most at 1"),
        ("a", "b", PAIRS, np.array([1.5, 1.0], np.float32), "above 0 and at most at 1"),
        ("a", "b", PAIRS, np.array([np.nan, 1.0], np.float32), "above 0 and at most at 1"),
    ],
)
def test_what_is_no_link_is_refused(left, right, pairs, confidence, says) -> None:
    with pytest.raises(ValueError, match=says):
        Links(left, right, pairs, confidence)
