from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgraft.errors import DataError
from kgraft.io.named_facts import read_names, unique_names


def test_every_line_is_a_name(tmp_path: Path) -> None:
    path = tmp_path / "entities.tsv"
    path.write_bytes("\ufeffé\r\nb\r\n\r\nb\r\nb#3\r\n".encode())
    names = read_names(path)
    assert names.vocabulary.names.to_list() == ["é", "b", "#2", "b#3", "b#3#4"]
    assert names.labels is None


def test_a_second_column_is_the_label(tmp_path: Path) -> None:
    path = tmp_path / "entities.tsv"
    path.write_text("a\tThe A, with\ttab\nb\nc\t \n")
    names = read_names(path)
    assert names.vocabulary.names.to_list() == ["a", "b", "c"]
    assert names.labels is not None
    assert names.labels.to_list() == ["The A, with\ttab", None, None]


def test_an_empty_list_and_one_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "entities.tsv"
    path.write_bytes(b"")
    with pytest.raises(DataError, match="empty"):
        read_names(path)
    path.write_bytes(b"a\nb\n\xff\n")
    with pytest.raises(DataError, match="not UTF-8") as caught:
        read_names(path)
    assert caught.value.line == 3


@given(st.lists(st.sampled_from(["", "a", "a#1", "a#2", "#0", "a#1#2", "b"]), max_size=12))
def test_unique_names_are_unique_and_keep_first_ones(names: list[str]) -> None:
    made = unique_names(pl.Series(names, dtype=pl.String)).to_list()
    assert len(set(made)) == len(names)
    for row, (before, after) in enumerate(zip(names, made, strict=True)):
        assert after.startswith(before)
        if before and before not in names[:row] and before not in made[:row]:
            assert after == before
