"""Scores are counted alike wherever they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from kgraft.evaluation import counting
from kgraft.evaluation.counting import GpuScores, HostScores, Scores


@given(
    scores=arrays(
        np.float32, st.tuples(st.integers(1, 5), st.integers(1, 30)), elements=st.integers(-3, 3)
    ),
    data=st.data(),
)
@pytest.mark.parametrize("at_once", [1, 2**20])
def test_a_gpu_counts_alike(scores: NDArray[np.float32], data: st.DataObject, at_once: int) -> None:
    u, c = scores.shape
    answers = data.draw(
        st.lists(st.tuples(st.integers(0, u - 1), st.integers(0, c - 1)), min_size=1)
    )
    query, columns = (np.array(column) for column in zip(*sorted(answers), strict=True))
    here, there = HostScores(scores), GpuScores(torch.from_numpy(scores))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "MAX_COMPARED", at_once)
        assert np.array_equal(there.at(query, columns), here.at(query, columns))
        own = here.at(query, columns)
        assert np.array_equal(there.counts(query, own), here.counts(query, own))


@pytest.mark.parametrize("kind", [lambda x: HostScores(x.numpy()), GpuScores])
def test_nan_scores_are_errors(kind: Callable[[torch.Tensor], Scores]) -> None:
    scores = kind(torch.tensor([[1.0, 2.0], [float("nan"), 1.0]]))
    with pytest.raises(ValueError, match="not numbers"):
        scores.counts(np.array([0, 1]), np.array([1.0, 1.0]))
