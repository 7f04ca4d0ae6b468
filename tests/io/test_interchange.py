from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from kgraft.errors import DataError, KgraftWarning
from kgraft.io.interchange import from_arrays, from_frame, from_pykeen

FACT = {"head": ["a", "c"], "relation": ["p", "p"], "tail": ["b", "d"]}


def pandas_frame(columns: dict[str, list[object]]) -> Any:
    return pytest.importorskip("pandas").DataFrame(columns)


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
    with pytest.warns(KgraftWarning, match="repeats 1 fact"):
        graph = from_arrays("g", [[0, 0, 1], [1, 0, 0]], test=[[0, 0, 1]])
    assert graph.train.tolist() == [[1, 0, 0]]


def test_frames_share_their_names() -> None:
    train = pl.DataFrame({"s": ["a", "b"], "p": ["p", "q"], "o": ["b", "a"]})
    test = pl.DataFrame({"tail": ["c"], "head": ["b"], "relation": ["p"]})
    graph = from_frame("g", train, test=test)
    assert graph.entities.names.to_list() == ["a", "b", "c"]
    assert graph.train.tolist() == [[0, 0, 1], [1, 1, 0]]
    assert graph.test.tolist() == [[1, 0, 2]]


def test_statements_of_sameness_are_no_facts() -> None:
    frame = pl.DataFrame({"s": ["a", "a"], "p": ["p", "owl:sameAs"], "o": ["b", "x"]})
    with pytest.warns(KgraftWarning, match="1 statements of sameness"):
        graph = from_frame("g", frame)
    assert (graph.entities.names.to_list(), graph.train.tolist()) == (["a", "b"], [[0, 0, 1]])
    assert len(from_frame("g", frame, identities="facts").train) == 2
    ids = [[0, 0, 1], [2, 1, 0]]
    named: dict[str, Any] = {"entities": ["a", "b", "x"], "relations": ["p", "sameAs"]}
    numbered = from_arrays("g", ids, **named, identities="links")
    # Whoever numbered the names may go on to use the numbers.
    assert (len(numbered.entities), numbered.train.tolist()) == (3, [[0, 0, 1]])


def test_pandas_frames() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"s": ["a", "b"], "p": [1, 1], "o": ["b", "a"]}, index=[7, 9])
    graph = from_frame("g", frame)
    assert graph.relations.names.to_list() == ["1"]
    assert graph.train.tolist() == [[0, 0, 1], [1, 0, 0]]
    frame.loc[7, "o"] = None
    with pytest.raises(DataError, match="the tail in row 1 is empty"):
        from_frame("g", frame)


@pytest.mark.parametrize(
    "make",
    [
        lambda: [("a", "p", "b")],
        lambda: pl.DataFrame({"head": ["a"], "relation": ["p"], "tail": ["b"]}).lazy(),
        lambda: None,
        lambda: np.array([["a", "p", "b"]]),
        lambda: {"head": ["a"], "relation": ["p"], "tail": ["b"]},
        lambda: pl.DataFrame({**FACT, "head": pl.Series(["a", 1], dtype=pl.Object)}),
        lambda: pl.DataFrame({**FACT, "head": [b"a", b"\xff"]}),
        lambda: pl.DataFrame({**FACT, "head": [["a"], ["b"]]}),
        lambda: pandas_frame({**FACT, "head": ["Q1", 2]}),
        lambda: pandas_frame({**FACT, "head": [1.0, None]}),
        lambda: pandas_frame({**FACT, "head": [object(), object()]}),
        lambda: pandas_frame({**FACT, "more": [1, 2]}).set_axis([*FACT, "tail"], axis=1),
        lambda: pandas_frame({}),
    ],
)
def test_what_is_no_frame_of_facts(make: Callable[[], Any]) -> None:
    with pytest.raises(DataError):
        from_frame("g", make())
    good = pl.DataFrame(FACT)
    if make() is not None:
        with pytest.raises(DataError):
            from_frame("g", good, test=make())


def test_arrow_tables() -> None:
    graph = from_frame("g", pl.DataFrame(FACT).to_arrow())
    assert graph.train.tolist() == [[0, 0, 1], [2, 0, 3]]


@pytest.mark.parametrize(
    ("train", "names"),
    [
        (None, None),
        ("abc", None),
        ([[0, 0], [1]], None),
        ([["a", "p", "b"]], None),
        ([[0, 0, 2**70]], None),
        ([[0, 0, 2.0**70]], None),
        (np.array([[0, 0, 2**63]], dtype=np.uint64), None),
        ([[0, 0, 1]], [0, 1]),
        ([[0, 0, 1]], 5),
        ([[0, 0, 1]], "ab"),
        ([[0, 0, 1]], ["a", None]),
        ([[0, 0, 1]], [["a"], ["b"]]),
    ],
)
def test_what_is_no_array_of_facts(train: Any, names: Any) -> None:
    with pytest.raises(DataError):
        from_arrays("g", train, entities=names)


class Factory:
    """The parts of a PyKEEN factory that are read."""

    def __init__(self, entities: dict[str, int]) -> None:
        self.entity_to_id = entities
        self.relation_to_id = {"p": 0}
        self.mapped_triples = np.array([[0, 0, 1]])


@pytest.mark.parametrize(
    "factory",
    [None, [[0, 0, 1]], SimpleNamespace(mapped_triples=[[0, 0, 1]]), Factory({"a": 0, "b": 2})],
)
def test_what_is_no_factory(factory: Any) -> None:
    good: Any = Factory({"a": 0, "b": 1})
    assert len(from_pykeen("g", good).train) == 1
    with pytest.raises(DataError):
        from_pykeen("g", factory)
    if factory is not None:
        with pytest.raises(DataError):
            from_pykeen("g", good, test=factory)
