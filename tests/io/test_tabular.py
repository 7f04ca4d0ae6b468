import bz2
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from kgraft.errors import DataError
from kgraft.io.tabular import read_columns, whole_numbers

ROLES = ("head", "relation", "tail")

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(content: str | bytes, name: str = "facts.tsv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


def failure(path: Path, *args: object, **kwargs: object) -> DataError:
    with pytest.raises(DataError) as caught:
        read_columns(path, *(args or (ROLES,)), **kwargs)  # type: ignore[arg-type]
    assert caught.value.path == str(path)
    assert caught.value.remedy
    return caught.value


def test_columns_and_lines_come_as_written(write: Write) -> None:
    frame = read_columns(write('a\tp\tb\nb\t"q\tc d'), ROLES)
    assert frame.columns == ["head", "relation", "tail", "line"]
    assert frame.rows() == [("a", "p", "b", 1), ("b", '"q', "c d", 2)]


def test_blank_lines_hold_no_row_but_count(write: Write) -> None:
    frame = read_columns(write("\n\na\tp\tb\n\n\nb\tq\tc\n\n"), ROLES)
    assert frame.rows() == [("a", "p", "b", 3), ("b", "q", "c", 6)]


def test_byte_order_mark_and_windows_line_ends(write: Write) -> None:
    frame = read_columns(write(b"\xef\xbb\xbfa\tp\tb\r\nb\tq\tc\r\n\r\n"), ROLES)
    assert frame.rows() == [("a", "p", "b", 1), ("b", "q", "c", 2)]


@pytest.mark.parametrize(
    ("ending", "compress"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".zst", lambda data: pa.Codec("zstd").compress(data, asbytes=True)),
    ],
)
def test_compressed_tables(write: Write, ending: str, compress: Callable[[bytes], bytes]) -> None:
    path = write(compress(b"a\tp\tb\n"), f"facts.tsv{ending}")
    assert read_columns(path, ROLES).rows() == [("a", "p", "b", 1)]


def test_csv_has_quotes_and_line_breaks_in_cells(write: Write) -> None:
    path = write('a,p,"x, ""y"""\nb,"two\nlines",c\nc,p,d\n', "facts.csv")
    assert read_columns(path, ROLES).rows() == [
        ("a", "p", 'x, "y"', 1),
        ("b", "two\nlines", "c", 2),
        ("c", "p", "d", 4),
    ]


def test_a_path_with_pattern_signs_is_one_file(write: Write) -> None:
    assert len(read_columns(write("a\tp\tb\n", "[a]*?.tsv"), ROLES)) == 1


def test_columns_in_another_order_with_unused_ones(write: Write) -> None:
    frame = read_columns(write("p\tx\ta\ty\tb\n"), ("relation", "_", "head", "_", "tail"))
    assert frame.select(*ROLES).rows() == [("a", "p", "b")]


def test_cells_may_lack_at_the_end_of_a_line_where_nothing_is_required(write: Write) -> None:
    path = write("a\tb\t0.5\n\nc\td\n")
    frame = read_columns(path, ("left", "right"), optional=("confidence",))
    assert frame.rows() == [("a", "b", "0.5", 1), ("c", "d", None, 3)]


def test_an_empty_cell_in_an_unused_column_is_fine(write: Write) -> None:
    frame = read_columns(write("a\tp\tb\t\nb\tp\tc\tx\n"), (*ROLES, "_"))
    assert len(frame) == 2


def test_a_header_that_names_all_columns_sets_their_order(write: Write) -> None:
    path = write("Object\tsource\tpredicate\tscore\nb\ta\tp\t\n")
    words = {"object": "tail", "source": "head", "predicate": "relation"}
    frame = read_columns(path, ROLES, synonyms=words)
    assert frame.select(*ROLES, "line").rows() == [("a", "p", "b", 2)]


def test_a_header_does_not_outrank_given_columns(write: Write) -> None:
    path = write("head\trelation\ttail\na\tp\tb\n")
    frame = read_columns(path, ROLES, header_decides=False)
    assert frame.rows() == [("a", "p", "b", 2)]
    swapped = read_columns(path, ROLES[::-1], header=True, header_decides=False)
    assert swapped.select(*ROLES).rows() == [("b", "p", "a")]


def test_header_can_be_denied_or_claimed(write: Write) -> None:
    path = write("head\trelation\ttail\na\tp\tb\n")
    assert len(read_columns(path, ROLES, header=False)) == 2
    other = write("x\ty\tz\na\tp\tb\n", "other.tsv")
    assert read_columns(other, ROLES).row(0) == ("x", "y", "z", 1)
    assert read_columns(other, ROLES, header=True).rows() == [("a", "p", "b", 2)]


def test_two_header_cells_for_one_column_make_no_header(write: Write) -> None:
    path = write("h\thead\trelation\ttail\na\tx\tp\tb\n")
    error = failure(path, ROLES, synonyms={"h": "head"})
    assert (error.line, "expected 3" in error.problem) == (1, True)


def test_optional_columns_may_be_there_or_not(write: Write) -> None:
    two, three = write("a\tb\n", "2.tsv"), write("a\tb\t0.5\nc\td\t\n", "3.tsv")
    columns, more = ("left", "right"), ("confidence",)
    assert read_columns(two, columns, optional=more).columns == ["left", "right", "line"]
    assert read_columns(three, columns, optional=more)["confidence"].to_list() == ["0.5", None]


def test_leading_comment_lines_are_skipped(write: Write) -> None:
    path = write('# a "note\n#\tx\nleft\tright\na\tb\n#c\td\n')
    frame = read_columns(path, ("left", "right"), comment="#")
    assert frame.rows() == [("a", "b", 4), ("#c", "d", 5)]


@pytest.mark.parametrize("content", ["", "\n\n", "head\trelation\ttail\n"])
def test_no_rows(write: Write, content: str) -> None:
    assert "no rows" in failure(write(content)).problem


def test_missing_file_and_directory(tmp_path: Path) -> None:
    assert "no such file" in failure(tmp_path / "none.tsv").problem
    assert "directory" in failure(tmp_path).problem


@pytest.mark.parametrize(
    ("content", "line", "found"),
    [
        ("a\tp\tb\na\tp\n", 2, 2),
        ("a\tp\tb\n\na\tp\tb\tx\n", 3, 4),
        ("head\trelation\ttail\na\tp\tb\na p b\n", 3, 1),
        ("a,p,b\n", 1, 1),
    ],
)
def test_wrong_number_of_columns(write: Write, content: str, line: int, found: int) -> None:
    error = failure(write(content))
    assert error.line == line
    assert f"expected 3 columns separated by tabs, found {found}" in error.problem


def test_wrong_number_of_columns_in_csv_counts_lines_in_cells(write: Write) -> None:
    error = failure(write('a,"p\np",b\nc,d\n', "facts.csv"))
    assert (error.line, "separated by commas, found 2" in error.problem) == (3, True)


@pytest.mark.parametrize("name", ["x^2", "x\x01", "x^", "x", "x[", "PK", "BZh9"])
@pytest.mark.parametrize("ending", ["tsv", "csv", "tsv.gz"])
@pytest.mark.parametrize("header", ["", "head,relation,tail\n"])
def test_a_name_is_not_taken_for_compressed_data(
    write: Write, name: str, ending: str, header: str
) -> None:
    text = f"{header}{name},p,b\nc,p,{name}\n"
    content = (text if ending == "csv" else text.replace(",", "\t")).encode()
    path = write(gzip.compress(content) if ending == "tsv.gz" else content, f"facts.{ending}")
    first = 2 if header else 1
    assert read_columns(path, ROLES).rows() == [
        (name, "p", "b", first),
        ("c", "p", name, first + 1),
    ]


@pytest.mark.parametrize(("content", "line"), [(b"a\tp\tb\na\tp\t\xff\n", 2), (b"\xe9\tp\tb\n", 1)])
def test_bytes_that_are_not_utf8(write: Write, content: bytes, line: int) -> None:
    error = failure(write(content))
    assert (error.line, "not UTF-8" in error.problem) == (line, True)


def test_bytes_that_are_not_utf8_in_a_compressed_file(write: Write) -> None:
    path = write(gzip.compress(b"a\tp\tb\na\tp\t\xff\n"), "facts.tsv.gz")
    assert failure(path).line == 2


@pytest.mark.parametrize(
    ("content", "name", "line", "role"),
    [
        ("a\tp\tb\na\t\tb\n", "facts.tsv", 2, "relation"),
        ("\tp\tb\n", "facts.tsv", 1, "head"),
        ('a,p,b\na,p,""\n', "facts.csv", 2, "tail"),
        ("a\tp\tb\n\n\t\t\na\tp\tc\n", "facts.tsv", 3, "head"),
        ("a\tp\tb\n\r\tp\tb\n", "facts.tsv", 2, "head"),
        ("a\tp\tb\na\t\r\tb\n", "facts.tsv", 2, "relation"),
        ("a\tp\tb\na\tp\t\r\n", "facts.tsv", 2, "tail"),
        ("head\trelation\ttail\n\ufeff\tp\tb\n", "facts.tsv", 2, "head"),
    ],
)
def test_an_empty_cell(write: Write, content: str, name: str, line: int, role: str) -> None:
    error = failure(write(content, name))
    assert (error.line, error.problem) == (line, f"the {role} is empty")


def test_a_fault_far_down_a_large_file_is_found(write: Write) -> None:
    lines = [f"e{row}\tp\te{row + 1}" for row in range(100_000)]
    for bad, problem in (("a\tp", "found 2"), ("a\tp\tb\tc", "found 4"), ("a\t\tb", "empty")):
        content = "\n".join([*lines[:90_000], bad, *lines[90_000:]])
        error = failure(write(content))
        assert (error.line, problem in error.problem) == (90_001, True), bad


def test_lines_of_a_large_file_are_counted(write: Write) -> None:
    lines = [f"e{row}\tp\te{row + 1}" for row in range(100_000)]
    frame = read_columns(write("\n".join(lines)), ROLES)
    assert frame["head"].to_list() == [f"e{line - 1}" for line in frame["line"].to_list()]
    assert frame["line"].to_list() == list(range(1, 100_001))


def test_an_open_quote_is_found(write: Write) -> None:
    error = failure(write('a,p,b\n"a,p,b\nc,p,d\n', "facts.csv"))
    assert (error.line, "CSV" in error.problem) == (2, True)


def test_damaged_compression(write: Write) -> None:
    assert "cannot be read" in failure(write(b"plain", "facts.tsv.gz")).problem


def numbers(*values: str) -> pl.Series:
    return pl.Series("id", values, dtype=pl.String)


def test_whole_numbers_in_every_spelling() -> None:
    found = whole_numbers(numbers("3931.0", "12", " 7 ", "1e3", "0"), path=None, role="head")
    assert found.dtype == np.int64
    assert found.tolist() == [3931, 12, 7, 1000, 0]


def test_whole_numbers_from_numeric_columns() -> None:
    for values in (pl.Series([2.0, 5.0]), pl.Series([2, 5], dtype=pl.UInt8)):
        assert whole_numbers(values, path=None, role="head").tolist() == [2, 5]


def test_whole_numbers_beyond_the_exact_range_of_floats() -> None:
    big = 2**53 + 1
    assert whole_numbers(numbers(str(big)), path=None, role="head").tolist() == [big]


@pytest.mark.parametrize("bad", ["x", "nan", "NaN", "inf", "1.5", "", "1e300", "12a"])
def test_not_a_whole_number_names_file_line_and_value(bad: str) -> None:
    lines = pl.Series([4, 9])
    with pytest.raises(DataError, match="not a whole number") as caught:
        whole_numbers(numbers("1", bad), path=Path("ids.tsv"), role="tail", lines=lines)
    assert (caught.value.path, caught.value.line) == ("ids.tsv", 9)
    assert f"tail is {bad!r}" in caught.value.problem


@pytest.mark.parametrize(("bad", "limit"), [("-1", None), ("-1", 3), ("3", 3), ("3.0", 3)])
def test_out_of_range(bad: str, limit: int | None) -> None:
    with pytest.raises(DataError, match="outside 0") as caught:
        whole_numbers(numbers("1", bad), path=Path("ids.tsv"), role="tail", limit=limit)
    assert "in row 2" in caught.value.problem
    assert caught.value.line is None


def test_a_missing_number_is_an_error() -> None:
    with pytest.raises(DataError, match="in row 2 is None"):
        whole_numbers(pl.Series([1, None]), path=None, role="head")
    with pytest.raises(DataError, match="in row 1 is nan"):
        whole_numbers(pl.Series([float("nan")]), path=None, role="head")
