from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgraft.errors import DataError
from kgraft.io.name_lists import read_names, unique_names


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


IDS = ("Beijing", "New York", "China")


@pytest.mark.parametrize(
    "text",
    [
        "3\nBeijing\t0\nChina\t2\nNew York\t1\n",
        "3\nChina 2\nBeijing 0\nNew York 1\n",
        "3\r\n2 China\r\n0 Beijing\r\n1 New York\r\n\r\n",
        "2\tChina\n0\tBeijing\n1\tNew York\n",
        "China\t2\nBeijing\t0\nNew York\t1",
        "\ufeffid\tentity\n1\tNew York\n0\tBeijing\n2\tChina\n",
        "name\tid\nNew York\t1\nBeijing\t0\nChina\t2\n\n\n",
    ],
)
def test_ids_beside_names_number_them(tmp_path: Path, text: str) -> None:
    path = tmp_path / "entity2id.txt"
    path.write_text(text, encoding="utf-8")
    names = read_names(path)
    assert tuple(names.vocabulary.names) == IDS
    assert names.labels is None


def test_ids_in_csv_and_with_labels(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_text('ent idx,ent name\n1,"b, c"\n0,a\n')
    assert read_names(path).vocabulary.names.to_list() == ["a", "b, c"]
    path = tmp_path / "names.tsv"
    path.write_text("1\tQ7\tthe\tseven\n0\tQ5\t\n")
    names = read_names(path)
    assert names.vocabulary.names.to_list() == ["Q5", "Q7"]
    assert names.labels is not None
    assert names.labels.to_list() == [None, "the\tseven"]


def test_one_name_with_its_id(tmp_path: Path) -> None:
    path = tmp_path / "relations.tsv"
    for text in ("0\tcapital_of\n", "1\ncapital_of\t0\n", "relation\tid\ncapital_of\t0\n"):
        path.write_text(text)
        assert read_names(path).vocabulary.names.to_list() == ["capital_of"]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("0\t1\n1\t0\n", 1, "both columns hold the ids 0 to 1"),
        ("a\t0\nb\t2\n", 2, "are not the ids 0 to 1: here 2"),
        ("1\ta\n2\tb\n", 2, "are not the ids 0 to 1: here 2"),
        ("2\na\t0\nb\t0\n", 2, "are not the ids 0 to 1: here 0"),
        ("2\na\t7\nb\t0\n", 2, "are not the ids 0 to 1: here 7"),
        ("5\na\t0\nb\t1\n", 1, "counts 5 names, and 2 follow"),
    ],
)
def test_ids_that_do_not_number_names_are_refused(
    tmp_path: Path, text: str, line: int, problem: str
) -> None:
    path = tmp_path / "entities.tsv"
    path.write_text(text)
    with pytest.raises(DataError, match=problem) as caught:
        read_names(path)
    assert caught.value.line == line


@pytest.mark.parametrize(
    "text",
    [
        "7\tseven\n9\tnine\n",
        "Paris\t2102650\nLyon\t522250\n",
        "a\tThe 1\nb\tThe 0\n",
        "3\nx\n0\n",
        "player 1\nplayer 0\n",
        "a,0\nb,1\n",
        "9" * 5000 + "\na\t0\n",
    ],
)
def test_numbers_that_are_no_ids_do_not_matter(tmp_path: Path, text: str) -> None:
    path = tmp_path / "entities.tsv"
    path.write_text(text)
    expected = [line.split("\t")[0] for line in text.splitlines()]
    assert read_names(path).vocabulary.names.to_list() == expected
