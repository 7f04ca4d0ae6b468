"""Measures of found links, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kgraft.alignment.align import align
from kgraft.alignment.candidates import Candidates
from kgraft.alignment.settings import AlignSettings
from kgraft.errors import DataError
from kgraft_experiments.alignment_score import evaluate_alignment, score, split_links

MASKED = AlignSettings(labels={"use": False})


def test_every_measure_on_a_small_case(collection_of) -> None:
    truth = collection_of(
        {"a": "p r q, s r t, u r v", "b": "P r Q, S r T, U r V"},
        {"a b": "p=P q=Q s=S t=T"},
    )
    (links,) = truth.links
    seeds = replace(links, pairs=links.pairs[:1], confidence=links.confidence[:1])
    held_out = replace(links, pairs=links.pairs[1:], confidence=links.confidence[1:])
    made = align(replace(truth, links=(seeds,)), MASKED)
    # Rows of nodes: a has p q s t u v, b has P Q S T U V.
    clusters = np.array([0, 1, 2, 3, 4, 5, 0, 1, 6, 2, 4, 7])  # q=Q right, s=T wrong, u=U unknown
    left, right = np.array([3, 3, 6]), np.array([7, 6, 3])  # t: first V, then S
    half = np.full(3, 0.5)
    found = replace(made, clusters=clusters, unmatched=Candidates(left, right, half, half))
    (row,) = score(found, [links], [seeds], [held_out]).pairs
    assert (row.seeds, row.held_out) == (1, 3)
    assert (row.accepted, row.correct, row.judged) == (3, 1, 2)
    assert row.precision == pytest.approx(1 / 2)
    assert row.precision_of_all == pytest.approx(1 / 3)
    assert row.recall == pytest.approx(1 / 3)
    assert row.f1 == pytest.approx(2 / 5)
    assert row.dangling == 4
    assert row.dangling_unlinked == pytest.approx(1 / 2)
    # Ends of q=Q rank first; of s and T, t and S none is a candidate of the right one.
    assert row.hits[1] == pytest.approx(2 / 6)
    assert row.mrr == pytest.approx(2 / 6)


def test_ranks_of_candidates_that_were_not_accepted_count(collection_of) -> None:
    truth = collection_of({"a": "p r q, p r t", "b": "P r Q, P r T"}, {"a b": "p=P q=Q t=T"})
    (links,) = truth.links
    seeds, held_out = (
        replace(links, pairs=links.pairs[rows], confidence=links.confidence[rows])
        for rows in (slice(0, 1), slice(1, 3))
    )
    found = align(replace(truth, links=(seeds,)), MASKED)
    (row,) = score(found, [links], [seeds], [held_out]).pairs
    # q, t, Q and T look the same: each has two candidates of one probability.
    assert row.accepted == 0
    assert row.hits[5] == 1.0
    assert row.mrr == pytest.approx(0.75)


def test_a_share_of_links_is_given_and_no_link_lost(collection_of) -> None:
    links = collection_of({"a": "p r q, s r t", "b": "P r Q, S r T"}, {"a b": "p=P q=Q s=S t=T"})
    given, held_out = split_links(links.links, 0.5, seed=3)
    assert [len(x) for x in (*given, *held_out)] == [2, 2]
    rows = np.concatenate([given[0].pairs, held_out[0].pairs])
    assert np.unique(rows, axis=0).tolist() == np.unique(links.links[0].pairs, axis=0).tolist()


def test_the_mean_is_over_pairs_of_graphs(collection_of) -> None:
    made = collection_of(
        {"a": "p capital q, q river r", "b": "K capital L, L river M", "c": "T capital U"},
        {"a b": "p=K q=L r=M", "b c": "K=T L=U"},
    )
    measured = evaluate_alignment(made, MASKED, share=0.5)
    rows = measured.rows()
    assert [row["left"] for row in rows] == ["a", "b", "mean"]
    assert rows[-1]["recall"] == pytest.approx((rows[0]["recall"] + rows[1]["recall"]) / 2)


def test_there_has_to_be_something_to_measure_by(collection_of) -> None:
    made = collection_of({"a": "p r q", "b": "P r Q"}, {"a b": "p=P"})
    with pytest.raises(DataError, match="no entity link"):
        evaluate_alignment(made, MASKED, share=1.0)
