"""Means, deviations and differences, worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from kgraft_experiments.benchmark.summary import summarise


def row(
    variant: str, target: str, seed: int, mrr: float, uncovered: float | None = None, **more: Any
) -> dict[str, Any]:
    figures = {"all": mrr, "covered": None, "uncovered": uncovered}
    about = {"variant": variant, "share": 1.0, "target": target, "seed": seed}
    return {**about, "train_seconds": 2.0, "tail": figures, "both": figures, **more}


ROWS = [
    # none: seed 0 has the mean (0.2 + 0.4) / 2 = 0.3, seed 1 has 0.5, seed 2 has 0.4.
    row("none", "a", 0, 0.2),
    row("none", "b", 0, 0.4),
    row("none", "a", 1, 0.4),
    row("none", "b", 1, 0.6),
    row("none", "a", 2, 0.3),
    row("none", "b", 2, 0.5),
    # all: 0.4, 0.6 and 0.6, so 0.1, 0.1 and 0.2 more than none.
    row("all", "a", 0, 0.3),
    row("all", "b", 0, 0.5),
    row("all", "a", 1, 0.5, train_seconds=8.0),
    row("all", "b", 1, 0.7),
    row("all", "a", 2, 0.5),
    row("all", "b", 2, 0.7),
]


def summary(rows: list[dict[str, Any]], side: str = "tail") -> dict[tuple[str, str], Any]:
    return {(x["variant"], x["facts"]): x for x in summarise(rows) if x["side"] == side}


@pytest.mark.parametrize("side", ["tail", "both"])
def test_a_mean_is_over_targets_and_its_deviation_over_seeds(side: str) -> None:
    figures = summary(ROWS, side)
    none, everything = figures["none", "all"], figures["all", "all"]
    assert none["mean"] == pytest.approx(0.4)
    assert none["sd"] == pytest.approx(0.1)  # of 0.3, 0.5, 0.4
    assert everything["mean"] == pytest.approx(1.6 / 3)
    assert everything["sd"] == pytest.approx((0.04 / 3) ** 0.5)  # of 0.4, 0.6, 0.6
    assert none["train_seconds"] == 2.0
    assert everything["train_seconds"] == 3.0


def test_differences_are_of_pairs() -> None:
    everything = summary(ROWS)["all", "all"]
    assert everything["minus_none"] == pytest.approx(0.4 / 3)  # 0.1, 0.1, 0.2
    assert everything["minus_none_sd"] == pytest.approx((0.02 / 6) ** 0.5)
    assert everything["minus_all"] == everything["minus_all_sd"] == 0
    assert summary(ROWS)["none", "all"]["minus_all"] == pytest.approx(-0.4 / 3)


def test_a_pair_that_is_not_there_counts_in_no_difference() -> None:
    alone = row("all", "c", 0, 0.9)
    figures = summary([*ROWS, alone])["all", "all"]
    assert figures["minus_none"] == pytest.approx(0.4 / 3)
    assert figures["mean"] == pytest.approx((1.7 / 3 + 0.6 + 0.6) / 3)


def test_what_was_not_measured_is_none_and_not_0() -> None:
    rows = [
        row("none", "a", 0, 0.5, uncovered=0.2),
        row("none", "b", 0, 0.5, uncovered=None),
        row("all", "a", 0, 0.5, uncovered=0.3),
        row("all", "b", 0, 0.5, uncovered=None),
    ]
    figures = summary(rows)
    assert figures["all", "uncovered"]["mean"] == 0.3
    assert figures["all", "uncovered"]["minus_none"] == pytest.approx(0.1)
    assert figures["all", "uncovered"]["sd"] is None
    covered = figures["all", "covered"]
    assert [covered[x] for x in ("mean", "sd", "minus_none", "minus_none_sd")] == [None] * 4


def test_shares_of_links_are_compared_with_their_own() -> None:
    rows = [
        row("all", "a", 0, 0.5),
        row("none", "a", 0, 0.4),
        row("all", "a", 0, 0.3, share=0.2),
        row("none", "a", 0, 0.1, share=0.2),
    ]
    found = [x for x in summarise(rows) if (x["side"], x["facts"]) == ("tail", "all")]
    assert [(x["variant"], x["share"]) for x in found] == [
        ("all", 1.0),
        ("none", 1.0),
        ("all", 0.2),
        ("none", 0.2),
    ]
    assert [x["minus_none"] for x in found] == pytest.approx([0.1, 0, 0.2, 0])
