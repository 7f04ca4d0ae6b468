from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from kgraft.rules.edges import Edges, inverse, sample_per_group

EdgesOf = Callable[..., Edges]
INTS = {"x": pl.Int32, "relation": pl.Int32, "y": pl.Int32}


def test_edges_hold_each_fact_once_in_both_directions(edges_of: EdgesOf) -> None:
    edges = edges_of([(1, 0, 2), (0, 2, 0), (1, 0, 2)])  # two sources state one fact
    assert edges.frame.rows() == [(0, 2, 0), (0, 5, 0), (1, 0, 2), (2, 3, 1)]
    assert edges.frame.schema == INTS
    assert edges.facts.rows() == [(0, 2, 0), (1, 0, 2)]


def test_a_graph_without_facts_has_no_edges(edges_of: EdgesOf) -> None:
    edges = edges_of([])
    assert edges.frame.schema == INTS
    assert len(edges.frame) == len(edges.facts) == 0


def test_inverse_leads_there_and_back() -> None:
    relations = pl.DataFrame({"r": [0, 1, 2, 3, 4, 5]})
    turned = relations.select(once=inverse(pl.col("r"), 3))
    assert turned["once"].to_list() == [3, 4, 5, 0, 1, 2]
    assert turned.select(inverse(pl.col("once"), 3)).to_series().to_list() == list(range(6))


def test_samples_stand_for_all_rows_of_their_group() -> None:
    frame = pl.DataFrame({"by": [0] * 7 + [1] * 2, "row": range(9)})
    few = sample_per_group(frame, "by", 3, seed=0)
    assert few.filter(by=0)["weight"].to_list() == pytest.approx([7 / 3] * 3)
    assert sorted(few.filter(by=1).select("row", "weight").rows()) == [(7, 1.0), (8, 1.0)]
    assert few["row"].n_unique() == 5
    assert few.columns == ["by", "row", "weight"]


def test_samples_repeat_by_seed_and_are_fair() -> None:
    frame = pl.DataFrame({"by": [0] * 10, "row": range(10)})
    assert sample_per_group(frame, "by", 3, seed=1).equals(sample_per_group(frame, "by", 3, seed=1))
    rows = [sample_per_group(frame, "by", 3, seed=seed)["row"].to_numpy() for seed in range(400)]
    times = np.bincount(np.concatenate(rows), minlength=10)
    assert times.sum() == 1200
    # 120 are expected, with a deviation of 9
    assert times.min() > 80
    assert times.max() < 160
