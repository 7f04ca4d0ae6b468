"""Tables as programs export them: comments, repeated headers, quotes, an empty last column."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from table_facts import facts, read

from kgraft.errors import DataError, KgraftWarning

FACTS = [("a", "r", "b"), ("b", "r", "c")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("f.tsv", "# made by a program\n#\ta\n\n# relations: 1\na\tr\tb\nb\tr\tc\n"),
        ("f.csv", "# made by a program, today\nfrom,rel,to\na,r,b\nb,r,c\n"),
        ("f.tsv", "# by\nfrom\trel\tto\tnote\na\tr\tb\tx\nb\tr\tc\ty\n"),
        ("f.tsv", "#from\trel\tto\tnote\na\tr\tb\tx\nb\tr\tc\ty\n"),
        ("f.tsv", '"a"\t"r"\t"b"\n"b"\t"r"\t"c"\n'),
        ("f.tsv", "a\tr\tb\t\nb\tr\tc\t\n"),
        ("f.csv", "a,r,b,\nb,r,c,\n"),
        ("f.csv", "head,relation,tail,\na,r,b,\nb,r,c,\n"),
    ],
)
def test_what_programs_add_is_no_part_of_the_facts(tmp_path: Path, name: str, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert facts(read(tmp_path / name, text)) == FACTS


def test_a_name_may_begin_like_a_comment(tmp_path: Path) -> None:
    assert facts(read(tmp_path / "f.tsv", "#a\tr\tb\n#b\tr\t#a\n"))[0] == ("#a", "r", "b")


@pytest.mark.parametrize("options", [{}, {"columns": ("head", "relation", "tail")}])
def test_a_header_within_is_left_out_and_counted(
    tmp_path: Path, options: dict[str, object]
) -> None:
    text = "head\trelation\ttail\na\tr\tb\n\ufeffhead\trelation\ttail\nb\tr\tc\n"
    with pytest.warns(KgraftWarning, match="line 3: left out 1 line that repeat"):
        assert facts(read(tmp_path / "f.tsv", text, **options)) == FACTS


def test_some_quotes_belong_to_names(tmp_path: Path) -> None:
    text = '"a"\t"r"\t"b"\nb\t"r"\t"c"\n'
    assert facts(read(tmp_path / "f.tsv", text))[0] == ('"a"', '"r"', '"b"')


def test_a_column_that_is_empty_at_first_only_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2: a fourth column, empty .* holds 'x'"):
        read(tmp_path / "f.tsv", "a\tr\tb\t\nb\tr\tc\tx\n")


def test_directions_of_edges_are_no_relations(tmp_path: Path) -> None:
    text = "Source,Target,Type\na,b,Directed\nb,c,Undirected\n"
    with pytest.raises(DataError, match="line 1: the column Type says whether edges are directed"):
        read(tmp_path / "f.csv", text)
    assert len(read(tmp_path / "f.csv", text, columns=("head", "tail", "relation")).train) == 2


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("7\ta\tr\tb\n", '["_", "head", "relation", "tail"]'),
        ("<id_1>\t<a>\t<r>\t<b>\t1\n", '["_", "head", "relation", "tail", "confidence"]'),
        ("a\tr\tb\tx\ty\n", '["head", "relation", "tail", "_", "_"]'),
        ("a\tb\n", "one column each"),
    ],
)
def test_the_advice_has_as_many_columns_as_the_line(tmp_path: Path, text: str, advice: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path / "f.tsv", text)
    assert advice in str(caught.value)
