import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.named_facts import FactNames, NameTable, labels_for


def facts(*rows: tuple[str, str, str]) -> pl.DataFrame:
    return pl.DataFrame(
        rows, schema=dict.fromkeys(("head", "relation", "tail"), pl.String), orient="row"
    )


def test_rows_follow_first_appearance_fact_by_fact() -> None:
    names = FactNames()
    first = names.triples(facts(("b", "p", "a"), ("c", "q", "b")))
    assert first.tolist() == [[0, 0, 1], [2, 1, 0]]
    second = names.triples(facts(("d", "q", "a")))
    assert second.tolist() == [[3, 1, 1]]
    assert names.entities.vocabulary() == Vocabulary.of(["b", "a", "c", "d"])
    assert names.relations.vocabulary() == Vocabulary.of(["p", "q"])


@given(
    st.lists(st.tuples(st.text(max_size=2), st.text(max_size=2)), max_size=30), st.integers(0, 30)
)
def test_rows_equal_a_plain_dictionary_in_any_batches(
    pairs: list[tuple[str, str]], cut: int
) -> None:
    expected: dict[str, int] = {}
    wanted = [[expected.setdefault(name, len(expected)) for name in pair] for pair in pairs]
    table = NameTable()
    found = []
    for part in (pairs[:cut], pairs[cut:]):
        columns = [pl.Series([pair[side] for pair in part], dtype=pl.String) for side in (0, 1)]
        found += np.stack(table.rows(*columns), axis=1).tolist()
    assert found == wanted
    assert table.vocabulary().names.to_list() == list(expected)


def test_labels_take_the_first_of_each_name() -> None:
    named = pl.DataFrame({"name": ["b", "x", "b"], "label": ["B", "X", "other"]})
    labels = labels_for(Vocabulary.of(["a", "b"]), named)
    assert labels is not None
    assert labels.to_list() == [None, "B"]
    assert labels_for(Vocabulary.of(["a"]), named) is None


def test_names_of_one_hash_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = pl.Series.hash

    def weak(names: pl.Series, seed: int = 0) -> pl.Series:
        return hashed(names, seed) % (1 if seed == 0 else 2 if seed == 1 else 2**64 - 1)

    monkeypatch.setattr(pl.Series, "hash", weak)
    table = NameTable()
    for names, rows in (("aa", [0, 0]), ("ab", [0, 1]), ("cba", [2, 1, 0]), ("dc", [3, 2])):
        (found,) = table.rows(pl.Series(list(names)))
        assert found.tolist() == rows
    assert table.vocabulary() == Vocabulary.of("abcd")


def test_no_names_give_no_rows() -> None:
    table = NameTable()
    empty = pl.Series([], dtype=pl.String)
    assert [rows.tolist() for rows in table.rows(empty, empty)] == [[], []]
    assert len(table) == 0


def test_white_space_around_labels_is_no_part_of_them() -> None:
    named = pl.DataFrame({"name": ["a", "b", "b"], "label": ["\u00a0 A b\n", "  ", "B"]})
    labels = labels_for(Vocabulary.of(["a", "b"]), named)
    assert labels is not None
    assert labels.to_list() == ["A b", "B"]
