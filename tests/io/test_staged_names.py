"""Names in a file are found as those in memory are, without reading all of them at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from kgraft.graph.vocabulary import Vocabulary
from kgraft.io import staged_names
from kgraft.io.staged_names import StoredVocabulary

NAMES = ("a", "B", "b ", "c", "http://x.org/C", "_:d", "D", "d", "", "e-f", "7")


@pytest.fixture
def stored(tmp_path: Path) -> StoredVocabulary:
    """Names in a file, in pieces of three."""
    pl.DataFrame({"name": NAMES}).write_parquet(tmp_path / "names.parquet", row_group_size=3)
    return StoredVocabulary(tmp_path / "names.parquet", len(NAMES))


def test_stored_names_are_found_like_those_in_memory(
    stored: StoredVocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staged_names, "SMALL", 0)
    known = Vocabulary.of(NAMES)
    asked = pl.Series(["b", "C", "_:D", "no", "E F", "7", "d", "", "A"])
    assert stored.rows(asked).tolist() == known.rows(asked).tolist()
    assert stored.rows_by_form(asked).tolist() == known.rows_by_form(asked).tolist()
    rows = np.array([10, 0, 4, 4])
    assert stored.gather(rows).to_list() == known.gather(rows).to_list()
    assert [stored.name(row) for row in range(len(NAMES))] == [*NAMES]
    for pattern, literal in ((r"^\d+$", False), ("://", True), ("", True), ("zz", True)):
        found = stored.count_matching(pattern, literal=literal)
        assert found == known.count_matching(pattern, literal=literal)
    assert "names" not in vars(stored)  # All of this without all names in memory.
