"""Spans and changes by hand."""

from __future__ import annotations

import numpy as np

from kgraft.graph.sorted_rows import changes, spans


def test_spans_and_changes() -> None:
    which, numbers = spans(np.array([5, 0, 9]), np.array([2, 0, 3]))
    assert which.tolist() == [0, 0, 2, 2, 2]
    assert numbers.tolist() == [5, 6, 9, 10, 11]
    assert changes(np.array([1, 1, 1, 2]), np.array([3, 4, 4, 4])).tolist() == [
        True, True, False, True,
    ]  # fmt: skip
    assert changes(np.array([])).tolist() == []
