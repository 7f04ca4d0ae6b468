import numpy as np
import polars as pl
import pytest

from kgraft.errors import DataError, KgraftWarning
from kgraft.io.interchange import from_arrays, from_frame


def test_arrays_with_names_and_without() -> None:
    graph = from_arrays("g", [[0, 0, 3], [0, 0, 3]], test=np.array([[1.0, 2.0, 0.0]]))
    assert graph.entities.names.to_list() == ["0", "1", "2", "3"]
    assert graph.relations.names.to_list() == ["0", "1", "2"]
    assert (graph.train.tolist(), graph.test.tolist()) == ([[0, 0, 3]], [[1, 2, 0]])
    assert graph.duplicates == 1
    named = from_arrays("g", [[0, 0, 1]], entities=["a", "b", "unused"], relations=["p"])
    assert named.entities.names_of([0, 1, 2]) == ["a", "b", "unused"]


@pytest.mark.parametrize(
    ("train", "names", "problem"),
    [
        ([[0, 1]], None, "shape"),
        ([[0, 0.5, 1]], None, "whole numbers"),
        ([[0, 0, float("nan")]], None, "whole numbers"),
        ([[0, 0, 2]], ["a", "b"], "tail lies outside 0 to 1"),
        ([[-1, 0, 0]], None, "head lies outside"),
        ([[0, 0, 1]], ["a", "a"], "repeated"),
    ],
)
def test_bad_arrays(train: list[list[float]], names: list[str] | None, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        from_arrays("g", train, entities=names)


def test_arrays_whose_train_repeats_test() -> None:
    with pytest.warns(KgraftWarning, match="repeats 1 facts"):
        graph = from_arrays("g", [[0, 0, 1], [1, 0, 0]], test=[[0, 0, 1]])
    assert graph.train.tolist() == [[1, 0, 0]]


def test_frames_share_their_names() -> None:
    train = pl.DataFrame({"s": ["a", "b"], "p": ["p", "q"], "o": ["b", "a"]})
    test = pl.DataFrame({"tail": ["c"], "head": ["b"], "relation": ["p"]})
    graph = from_frame("g", train, test=test)
    assert graph.entities.names.to_list() == ["a", "b", "c"]
    assert graph.train.tolist() == [[0, 0, 1], [1, 1, 0]]
    assert graph.test.tolist() == [[1, 0, 2]]


def test_pandas_frames() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"s": ["a", "b"], "p": [1, 1], "o": ["b", "a"]}, index=[7, 9])
    graph = from_frame("g", frame)
    assert graph.relations.names.to_list() == ["1"]
    assert graph.train.tolist() == [[0, 0, 1], [1, 0, 0]]
    frame.loc[7, "o"] = None
    with pytest.raises(DataError, match="the tail in row 1 is empty"):
        from_frame("g", frame)
