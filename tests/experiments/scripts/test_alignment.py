"""What the benchmark of alignment makes and counts."""

from __future__ import annotations

import numpy as np
import pytest

import alignment as script
import kgraft


def test_recall_ends_where_precision_does() -> None:
    doubt = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    wrong = np.array([True, True, False, True, True])
    assert script.recall_at(doubt, wrong, 0.9) == pytest.approx(2 / 4)
    assert script.recall_at(doubt, wrong, 0.7) == pytest.approx(4 / 4)
    assert script.recall_at(doubt, ~wrong, 0.9) == 0.0


@pytest.mark.parametrize("how", ["exchanged", "any"])
def test_a_fifth_of_links_becomes_wrong(how: str) -> None:
    known = kgraft.read_collection("world")
    changed, wrong = script.with_wrong(known, how)
    for before, after, is_wrong in zip(known.links, changed.links, wrong, strict=True):
        differs = (before.pairs != after.pairs).any(axis=1)
        assert is_wrong.tolist() == differs.tolist()
        assert is_wrong.mean() == pytest.approx(0.2, abs=0.01)


def test_without_exactly_the_wrong_links_only_given_ones_are_left() -> None:
    known = kgraft.read_collection("world")
    right = script.arm_of(known, "right")
    for before, after in zip(known.links, right.links, strict=True):
        assert len(after) == pytest.approx(0.8 * len(before), abs=1 + 0.01 * len(before))
        assert {*map(tuple, after.pairs.tolist())} <= {*map(tuple, before.pairs.tolist())}


def test_the_summary_is_of_what_there_is() -> None:
    assert script.summary({}) == {}
    students = {
        "el": {"given": {"mrr": 0.8}, "found": {"mrr": 0.76}, "cleaned": {"mrr": 0.79}},
        "en": {"given": {"mrr": 0.5}, "found": {"mrr": 0.5}},
        "fr": {"given": {"mrr": 0.5}},
    }
    assert script.summary({"students": students}) == {
        "student_share_of_full_links": pytest.approx(0.975),
        "student_loses_by_cleaned": pytest.approx(0.01),
    }
    audited = {"exchanged": {"recall_at_90_precision": 0.8}, "any": {"recall_at_90_precision": 0.7}}
    assert script.summary({"audit": audited}) == {"audit_recall_at_90_precision": 0.7}
