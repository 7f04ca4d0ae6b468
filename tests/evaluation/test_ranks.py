"""Figures of ranks: values by hand, tie rules, parts and wholes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kgraft.evaluation.ranks import Ranks, concatenate, measure, per_relation


def ranks(optimistic: list[float], pessimistic: list[float], candidates: list[int]) -> Ranks:
    return Ranks(np.array(optimistic, float), np.array(pessimistic, float), np.array(candidates))


# Realistic ranks 1, 1.5, 4, 10.5.
FOUR = ranks([1, 1, 3, 10], [1, 2, 5, 11], [11, 11, 21, 21])


def test_each_figure_by_hand() -> None:
    metrics = measure(FOUR)
    assert metrics.queries == 4
    assert metrics.mrr == pytest.approx((1 + 2 / 3 + 1 / 4 + 2 / 21) / 4)
    assert (metrics.hits_at_1, metrics.hits_at_3, metrics.hits_at_10) == (0.25, 0.5, 0.75)
    assert metrics.mr == 4.25
    # Expected ranks are 6, 6, 11, 11, on average 8.5.
    assert metrics.amri == pytest.approx(1 - 3.25 / 7.5)
    assert metrics.as_dict() == {
        "queries": 4,
        "mrr": metrics.mrr,
        "hits@1": 0.25,
        "hits@3": 0.5,
        "hits@10": 0.75,
        "mr": 4.25,
        "amri": metrics.amri,
    }


@pytest.mark.parametrize(
    ("tie", "places", "hits_at_1"),
    [
        ("optimistic", [1, 1, 3, 10], 0.5),
        ("realistic", [1, 1.5, 4, 10.5], 0.25),
        ("pessimistic", [1, 2, 5, 11], 0.25),
    ],
)
def test_tie_rules(tie: str, places: list[float], hits_at_1: float) -> None:
    assert FOUR.by(tie).tolist() == places
    assert measure(FOUR, tie).mr == np.mean(places)
    assert measure(FOUR, tie).hits_at_1 == hits_at_1


def test_unknown_tie_rule() -> None:
    with pytest.raises(ValueError, match="not 'average'"):
        FOUR.by("average")


def test_no_queries_give_no_figures() -> None:
    metrics = measure(concatenate([]))
    assert metrics.queries == 0
    assert math.isnan(metrics.mrr)
    assert math.isnan(metrics.amri)
    assert metrics.as_dict() == {
        "queries": 0, "mrr": None, "hits@1": None, "hits@3": None, "hits@10": None,
        "mr": None, "amri": None,
    }  # fmt: skip


def test_amri_is_undefined_without_a_choice() -> None:
    metrics = measure(ranks([1, 1], [1, 1], [1, 1]))
    assert metrics.mrr == 1
    assert math.isnan(metrics.amri)


def test_select_and_concatenate() -> None:
    mask = np.array([True, False, False, True])
    chosen = FOUR.select(mask)
    assert chosen.realistic.tolist() == [1, 10.5]
    assert chosen.candidates.tolist() == [11, 21]
    whole = concatenate([chosen, FOUR.select(~mask)])
    assert whole.pessimistic.tolist() == [1, 11, 2, 5]
    assert whole.optimistic.tolist() == [1, 10, 1, 3]
    assert whole.candidates.tolist() == [11, 21, 11, 21]


def test_per_relation() -> None:
    by_relation = per_relation(FOUR, np.array([7, 2, 7, 2]))
    assert list(by_relation) == [2, 7]
    assert by_relation[2].mr == 6
    assert by_relation[7].mr == 2.5
    assert per_relation(FOUR, np.array([7, 2, 7, 2]), "optimistic")[7].mr == 2
    with pytest.raises(ValueError, match="4 ranks"):
        per_relation(FOUR, np.array([7]))


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="one shape"):
        ranks([1, 2], [1], [3])
