"""Belief in pairs, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from kgraft.alignment.candidates import Evidence, candidates, merged, rank_in_group

NOBODY = -1


def evidence_of(probabilities: list[list[float]], unlike: float = 0.0) -> Evidence:
    """Rows are clusters, columns what is said of them, numbers the probability that it tells."""
    said = sp.csr_array(np.sqrt(-np.log1p(-np.array(probabilities))))
    n = len(probabilities)
    empty = sp.csr_array((n, n))
    return Evidence(said, sp.csr_array((n, 0)), empty, unlike)


TWO_IN_THE_SECOND = np.array([[0, NOBODY], [NOBODY, 1], [NOBODY, 2]])


def test_odds_count_against_those_of_rivals_and_of_nobody() -> None:
    found = candidates(evidence_of([[0.5, 0.75], [0.5, 0], [0, 0.75]]), TWO_IN_THE_SECOND, 1.0)
    probability = {
        (left, right): value
        for left, right, value in zip(
            found.left.tolist(), found.right.tolist(), found.probability.tolist(), strict=True
        )
    }
    # Odds 1 and 3: nobody, 1 and 3 share the probability of cluster 0.
    assert probability == {
        (0, 1): pytest.approx(1 / 5),
        (1, 0): pytest.approx(1 / 5),
        (0, 2): pytest.approx(3 / 5),
        (2, 0): pytest.approx(3 / 5),
    }
    assert found.right[found.matches(0.5, 3)].tolist() == [2]
    assert len(found.matches(0.7, 3)) == 0


def test_independent_evidence_adds_up_as_noisy_or() -> None:
    found = candidates(evidence_of([[0.5, 0.5], [0.5, 0.5]]), np.array([[0, -1], [-1, 1]]), 1.0)
    assert found.probability.tolist() == pytest.approx([0.75, 0.75])


def test_candidates_in_different_graphs_are_no_rivals() -> None:
    members = np.array([[0, -1, -1], [-1, 1, -1], [-1, -1, 2]])
    found = candidates(evidence_of([[0.5, 0.5], [0.5, 0], [0, 0.5]]), members, 1.0)
    assert found.probability.tolist() == pytest.approx([0.5] * 4)


def test_two_entities_of_one_graph_are_no_candidates() -> None:
    found = candidates(evidence_of([[0.5], [0.5]]), np.array([[0], [1]]), 1.0)
    assert len(found.left) == 0
    assert len(found.matches(0.1, 2)) == 0


def test_evidence_of_structure_counts_less_where_no_name_speaks_for_it() -> None:
    members = np.array([[0, -1], [-1, 1]])
    found = candidates(evidence_of([[0.75], [0.75]], unlike=np.log(2)), members, 1.0)
    assert found.probability.tolist() == pytest.approx([0.5, 0.5])  # odds 4 / 2 - 1


def test_merging_numbers_clusters_anew() -> None:
    clusters = np.array([0, 1, 2, 3, 1])
    assert merged(clusters, np.array([0]), np.array([3])).tolist() == [0, 1, 2, 0, 1]


def test_ranks_begin_anew_in_every_group() -> None:
    assert rank_in_group(np.array([3, 3, 5, 9, 9, 9])).tolist() == [0, 1, 0, 0, 1, 2]
    assert rank_in_group(np.empty(0, dtype=np.int64)).tolist() == []


@given(
    st.lists(
        st.lists(st.sampled_from([0.0, 0.2, 0.9]), min_size=4, max_size=4), min_size=2, max_size=9
    )
)
def test_beliefs_of_rivals_never_add_up_to_more_than_one(probabilities: list[list[float]]) -> None:
    n = len(probabilities)
    members = np.full((n, 2), -1)
    members[np.arange(n), np.arange(n) % 2] = np.arange(n)
    found = candidates(evidence_of(probabilities), members, 1.0)
    total = np.bincount(found.left, weights=found.probability, minlength=n)
    assert (total <= 1 + 1e-9).all()
    matched = found.matches(0.0, n)
    ends = np.concatenate([found.left[matched], found.right[matched]])
    assert len(np.unique(ends)) == len(ends)
