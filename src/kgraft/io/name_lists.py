"""Lists of names, whose order or ids number the entities or relations of a graph."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from kgraft.errors import DataError
from kgraft.graph.vocabulary import Vocabulary
from kgraft.system.files import content_ending, read_text

BESIDE: Final = re.compile(r"\s*\d+\s*[\t, ].*|.*[\t, ]\s*\"?\d+\"?\s*(\t.*)?")
"""A line with a number beside a name."""

ID_HEADER: Final = re.compile(r"(?i).*(id|idx|index|number)\s*")
"""A header of ids."""


@dataclass(frozen=True, eq=False)
class NameList:
    """The names of a list file, and their labels where it has a further column.

    Args:
        vocabulary: ``n`` names; row ``i`` is line ``i + 1``, or the name of id ``i``.
        labels: String ``(n,)`` with nulls; None without labels.
    """

    vocabulary: Vocabulary
    labels: pl.Series | None


def read_names(path: Path) -> NameList:
    """Read a list of names in the order of their rows, or with an id beside each.

    In a list without ids every line counts, whatever it holds, and a second column is the label. A
    repeated name gets its row as a suffix, ``name#row``, and a blank line is ``#row``, since other
    files refer to line numbers.

    Ids are the one column, first or second, that holds each of ``0..n - 1`` once, in any order; a
    third column is the label. A number of names above them (as in OpenKE) and a header are skipped.

    Raises:
        DataError: If the file is missing, empty, or not UTF-8, or if it seems to hold ids, and it
            cannot be told which column has them, or they are not ``0..n - 1``.
    """
    text = read_text(path)
    if not text:
        raise DataError("the list is empty", remedy="Give one name a line", path=path)
    lines = pl.Series("line", text.removesuffix("\n").split("\n"), dtype=pl.String)
    lines = lines.str.strip_suffix("\r")
    cells = _by_id(lines, path)
    if cells is None:
        cells = lines.str.splitn("\t", 2).struct.unnest()
    names = unique_names(cells.to_series(0).fill_null(""))
    labels = cells.to_series(1).str.strip_chars()
    labels = labels.set(labels == "", None)
    has_labels = labels.null_count() < len(labels)
    return NameList(Vocabulary(names), labels if has_labels else None)


def _by_id(lines: pl.Series, path: Path) -> pl.DataFrame | None:
    """Return the columns name and label in the order of ids; None for a list without ids."""
    filled = lines.to_frame("line").with_row_index("row", offset=1)
    filled = filled.filter(pl.col("line").str.strip_chars() != "")
    if filled.is_empty() or not BESIDE.fullmatch(filled["line"][-1]):
        return None
    first = str(filled["line"][0]).strip()
    counted = len(filled) > 1 and re.fullmatch("[0-9]{1,18}", first) is not None
    for skipped in (1,) if counted else (0, 1):
        table = _cells(filled[skipped:], path, spaced=counted)
        if table is None:
            continue
        ids = [name for name in ("first", "second") if _are_ids(table[name])]
        if skipped and not counted and not _is_header(filled[:1], ids, len(table), path):
            continue
        if len(ids) == 2 and not table["first"].equals(table["second"]):
            raise DataError(
                f"both columns hold the ids 0 to {len(table) - 1}",
                remedy="Give one name a line, in the order of ids",
                path=path,
                line=int(table["row"][0]),
            )
        if ids:
            if counted and int(first) != len(table):
                raise DataError(
                    f"the first line counts {int(first):,} names, and {len(table):,} follow",
                    remedy="Check that the file was written completely, or correct the number",
                    path=path,
                    line=int(filled["row"][0]),
                )
            return _ordered(table, ids[0])
        _check_no_ids(table, path, counted=counted)
    return None


def _cells(filled: pl.DataFrame, path: Path, *, spaced: bool) -> pl.DataFrame | None:
    """Return the columns row, first, second and third, null if missing; None without a second."""
    lines = filled["line"]
    if content_ending(path) == ".csv":
        try:
            rows = [[*cells, None, None][:3] for cells in csv.reader(lines.to_list(), strict=True)]
        except csv.Error:
            return None
        if len(rows) != len(lines):
            return None
        cells = pl.DataFrame(rows, schema=dict.fromkeys("abc", pl.String), orient="row")
    elif spaced and not lines.str.contains("\t", literal=True).any():
        # The name beside the id may have spaces itself.
        by_end = lines.str.strip_chars().str.extract_groups(r"^(.*\S)\s+(\d+)$")
        by_begin = lines.str.strip_chars().str.extract_groups(r"^(\d+)\s+(.*)$")
        cells = by_end.struct.unnest()
        if cells.to_series(0).null_count():
            cells = by_begin.struct.unnest()
        cells = cells.with_columns(pl.lit(None, dtype=pl.String).alias("third"))
    else:
        cells = lines.str.splitn("\t", 3).struct.unnest()
    cells.columns = ["first", "second", "third"]
    if cells["second"].null_count() or cells["first"].null_count():
        return None
    return filled.select("row").hstack(cells)


def _numbers(cells: pl.Series) -> pl.Series | None:
    bare = cells.str.strip_chars()
    return bare.cast(pl.Int64, strict=False) if bare.str.contains("^[0-9]{1,18}$").all() else None


def _are_ids(cells: pl.Series) -> bool:
    numbers = _numbers(cells)
    return numbers is not None and np.array_equal(numbers.sort(), np.arange(len(cells)))


def _is_header(first: pl.DataFrame, ids: list[str], n: int, path: Path) -> bool:
    """Return True if the first line is a header of the one column of ids below it."""
    table = _cells(first, path, spaced=False)
    if table is None or len(ids) != 1:
        return False
    word = str(table[ids[0]][0]).strip()
    return not word.isdecimal() and (n > 1 or ID_HEADER.fullmatch(word) is not None)


def _ordered(table: pl.DataFrame, ids: str) -> pl.DataFrame:
    other = "second" if ids == "first" else "first"
    number = pl.col(ids).str.strip_chars().cast(pl.Int64)
    return table.sort(number).select(pl.col(other).str.strip_chars(), "third")


def _check_no_ids(table: pl.DataFrame, path: Path, *, counted: bool) -> None:
    """Refuse numbers beside names that are nearly the ids from 0 on.

    Raises:
        DataError: If one column holds different whole numbers from 0, or those of 1 to n, or any
            below a number of names; and the other column holds none.
    """
    found = [_numbers(table[name]) for name in ("first", "second")]
    given = [numbers for numbers in found if numbers is not None]
    if len(given) != 1 or len(table) < 2:
        return
    (numbers,) = given
    least, n = numbers.min(), len(numbers)
    different = numbers.n_unique() == n
    if counted or (different and (least == 0 or (least == 1 and numbers.max() == n))):
        wrong = numbers.is_duplicated() | (numbers >= n)
        at = int(wrong.arg_max() or 0)
        raise DataError(
            f"the numbers beside the names are not the ids 0 to {n - 1}: here {numbers[at]}",
            remedy="Number from 0 without gaps, or give names alone, in the order of ids",
            path=path,
            line=int(table["row"][at]),
        )


def unique_names(names: pl.Series) -> pl.Series:
    """Make names distinct: repeated and empty ones end in ``#row``."""
    table = names.alias("name").to_frame().with_row_index("row")
    suffixed = pl.col("name") + "#" + pl.col("row").cast(pl.String)
    table = table.with_columns(
        pl.when(pl.col("name") == "").then(suffixed).otherwise("name").alias("name")
    )
    # A suffixed name may equal another one, and is then suffixed again.
    while table["name"].n_unique() < len(table):
        first = pl.col("name").is_first_distinct()
        table = table.with_columns(pl.when(first).then("name").otherwise(suffixed).alias("name"))
    return table["name"]
