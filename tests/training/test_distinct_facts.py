"""Distinct facts are those of one sort, whatever is sorted at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgraft.system import arrays
from kgraft.training import distinct_facts as module
from kgraft.training.distinct_facts import distinct_facts

FACT = st.tuples(st.integers(0, 4), st.integers(0, 1), st.integers(0, 4))


@given(facts=st.lists(FACT, max_size=40), at_once=st.integers(1, 12))
def test_parts_are_those_of_one_sort(facts: list[tuple[int, int, int]], at_once: int) -> None:
    triples = np.array(facts, dtype=np.int64).reshape(-1, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SORTED_AT_ONCE", at_once)
        patch.setattr(arrays, "PIECE", 3)
        parts = list(distinct_facts(triples))
    rows = np.concatenate([part for part, _ in parts])
    expected, first = np.unique(triples, axis=0, return_index=True)
    assert rows.tolist() == expected.tolist()
    assert np.concatenate([first for _, first in parts]).tolist() == first.tolist()
    # Only the facts of one head may be more than are sorted at once.
    for part, _ in parts:
        assert len(part) <= at_once or len(np.unique(part[:, 0])) == 1


def test_a_mapped_array_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    triples = np.random.default_rng(0).integers(5, size=(200, 3))
    np.save(tmp_path / "facts.npy", triples)
    monkeypatch.setattr(module, "SORTED_AT_ONCE", 50)
    monkeypatch.setattr(arrays, "PIECE", 16)
    parts = list(distinct_facts(arrays.mapped(tmp_path / "facts.npy")))
    assert len(parts) > 2
    rows = np.concatenate([part for part, _ in parts])
    assert rows.tolist() == np.unique(triples, axis=0).tolist()
