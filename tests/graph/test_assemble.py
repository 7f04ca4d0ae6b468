from pathlib import Path

import numpy as np
import polars as pl
import pytest

from kgraft.errors import KgraftWarning
from kgraft.graph.assemble import FactRows, assemble
from kgraft.graph.vocabulary import Vocabulary

ENTITIES = Vocabulary.of(["a", "b", "c"])
RELATIONS = Vocabulary.of(["p", "q"])


def rows(*triples: tuple[int, int, int], path: str | None = None, first_line: int = 1) -> FactRows:
    lines = pl.Series(range(first_line, first_line + len(triples)), dtype=pl.Int64)
    return FactRows(np.array(triples), Path(path) if path else None, lines if path else None)


def test_duplicates_are_dropped_and_counted_across_files() -> None:
    graph = assemble(
        "g",
        ENTITIES,
        RELATIONS,
        {
            "train": [rows((0, 0, 1), (1, 0, 2), (0, 0, 1)), rows((1, 0, 2), (2, 1, 0))],
            "test": [rows((2, 0, 2), (2, 0, 2))],
        },
    )
    assert graph.train.tolist() == [[0, 0, 1], [1, 0, 2], [2, 1, 0]]
    assert graph.valid.shape == (0, 3)
    assert graph.test.tolist() == [[2, 0, 2]]
    assert graph.duplicates == 3


def test_train_that_repeats_held_out_facts_loses_them_with_a_warning() -> None:
    splits = {
        "train": [
            rows((0, 0, 1), path="one.tsv"),
            rows((0, 0, 2), (1, 0, 2), (2, 1, 0), path="two.tsv", first_line=5),
        ],
        "valid": [rows((1, 0, 2), path="valid.tsv")],
        "test": [rows((2, 1, 0), path="test.tsv")],
    }
    with pytest.warns(KgraftWarning) as caught:
        graph = assemble("g", ENTITIES, RELATIONS, splits)
    (warning,) = caught
    message = str(warning.message)
    assert message.startswith("two.tsv, line 6: train of 'g' repeats 2 facts of valid or test")
    assert "('b', 'p', 'c')" in message
    assert graph.train.tolist() == [[0, 0, 1], [0, 0, 2]]
    assert len(graph.valid) == len(graph.test) == 1


def test_valid_that_repeats_test_facts_loses_them_with_a_warning() -> None:
    splits = {
        "train": [rows((0, 0, 0))],
        "valid": [rows((0, 0, 1), (1, 0, 2))],
        "test": [rows((1, 0, 2))],
    }
    with pytest.warns(KgraftWarning, match=r"^valid of 'g' repeats 1 fact of test, first"):
        graph = assemble("g", ENTITIES, RELATIONS, splits)
    assert graph.valid.tolist() == [[0, 0, 1]]
    assert graph.test.tolist() == [[1, 0, 2]]
