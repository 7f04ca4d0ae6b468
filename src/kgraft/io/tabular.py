"""TSV and CSV tables, read by columns; a faulty one is read again by lines for the error message.

A file separated by tabs or spaces has no quoting, so a cell may hold any other sign but a line
break. Every other separator has CSV quoting. Blank lines count as lines and hold no row. The text
is UTF-8, with or without a byte order mark, with Unix or Windows line ends.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.errors import DataError
from kgraft.io.table_errors import empty_cell, no_rows, wrong_width
from kgraft.system.files import (
    compression_of,
    content_ending,
    open_bytes,
    read_bytes,
    refuse_utf_16,
)
from kgraft.system.memory import require_for_file

UNUSED: Final = "_"
"""Name of skipped columns."""

UNQUOTED: Final = ("\t", " ")
"""Separators of files without quoting."""

LONGEST_LINE: Final = 1 << 24
"""Maximum bytes of a line; a longer one may never end."""

MOST_BLANK: Final = 1_000_000
"""Maximum number of consecutive blank lines."""

LIKE_ZLIB: Final = (b"x\x01", b"x^")
"""Beginnings of text that polars mistakes for compressed data."""

LINE: Final = "line"
"""Column that ``read_columns`` adds."""


def read_columns(
    path: Path,
    columns: Sequence[str],
    *,
    optional: Sequence[str] = (),
    separator: str | None = None,
    header: bool | None = None,
    synonyms: Mapping[str, str] | None = None,
    header_decides: bool = True,
    comment: str | None = None,
    after: int = 0,
    may_be_empty: Sequence[str] = (),
) -> pl.DataFrame:
    """Read the named columns of a table as text.

    Args:
        path: A file, plain or ending in .gz, .bz2 or .zst.
        columns: Name of each column in the file's order; ``"_"`` skips a column.
        optional: Further columns at the end that a file may have; null where a cell is empty.
        separator: Between cells; None: a comma for ``.csv``, else a tab.
        header: The first line names columns; None: it does if its cells name all of ``columns``.
        synonyms: Other words for a column in a header, lower case word -> column.
        header_decides: A header that names all of ``columns`` sets their order; its other columns
            are then skipped.
        comment: Start of lines that are skipped before the first row.
        after: Number of lines to skip before all else.
        may_be_empty: Those of ``columns`` that may have empty cells, which are null.

    Returns:
        String columns ``columns`` without ``"_"``, then the ``optional`` ones that the file has,
        then ``line`` (Int64, counted from 1).

    Raises:
        DataError: With file and line: missing, unreadable or empty file, wrong number of
            columns, bytes that are not UTF-8, an empty cell in one of ``columns``.
    """
    separator = separator or ("," if content_ending(path) == ".csv" else "\t")
    names = [name.strip() for name in columns]
    words = dict(synonyms or {})
    shape = _find_shape(
        path, names, optional, separator, header, words, header_decides, comment, after
    )
    shape = replace(shape, optional=shape.optional | {*may_be_empty})
    try:
        frame = _parse(path, shape)
    except (pl.exceptions.ComputeError, pl.exceptions.SchemaError) as error:
        raise _fault(path, shape) or DataError(
            f"the table cannot be read ({str(error).splitlines()[0]})",
            remedy="Check its quotes and separators",
            path=path,
        ) from error
    rows = _filled_rows(frame, path, shape)
    return rows.select(
        *(pl.col(f"column_{place}").alias(name) for name, place in shape.places.items()), LINE
    )


def first_rows(path: Path, separator: str, n: int, after: int = 0) -> list[tuple[int, list[str]]]:
    """Return line and cells of the first ``n`` rows after some lines, fewer where there are fewer.

    Raises:
        DataError: With file and line: missing, unreadable or empty file.
    """
    records = (record for record in _records(path, separator) if record[0] > after)
    rows = [(start, cells) for start, _, cells in islice(records, n)]
    if not rows:
        raise no_rows(path)
    return rows


def whole_numbers(
    values: pl.Series,
    *,
    path: Path | None,
    role: str,
    limit: int | None = None,
    lines: pl.Series | None = None,
    first_row: int = 0,
) -> NDArray[np.int64]:
    """Return a column of ids as int64 ``(n,)``; ``3931.0`` is the whole number 3931.

    Args:
        values: String or numeric column of length ``n``.
        path: The file, for messages.
        role: Kind of id, for messages: ``"head"``, ``"entity of el"``.
        limit: Ids lie in ``0..limit - 1``; None: any id from 0.
        lines: The line of each value, ``(n,)``, as ``read_columns`` gives it.
        first_row: Without lines, the number of values before these.

    Raises:
        DataError: With file and line: not a number, NaN, infinite, not whole, out of range.
    """
    if values.dtype == pl.String:
        values = values.str.strip_chars()
    numbers = values.cast(pl.Int64, strict=False) if not values.dtype.is_float() else None
    if numbers is None or numbers.null_count():
        numbers = _from_floats(values, numbers)
    wrong = numbers.is_null() | (numbers < 0)
    if limit is not None:
        wrong |= numbers >= limit
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        where = f" in row {first_row + row + 1}" if lines is None else ""
        line = None if lines is None else int(lines[row])
        raise _bad_number(values[row], numbers[row], role + where, limit, path, line)
    return numbers.to_numpy().astype(np.int64)


def _from_floats(values: pl.Series, numbers: pl.Series | None) -> pl.Series:
    floats = values.cast(pl.Float64, strict=False)
    # Above 2**53 a float no longer names one whole number.
    whole = floats.is_finite() & (floats == floats.floor()) & (floats.abs() <= 2.0**53)
    converted = floats.to_frame("x").select(pl.when(whole).then("x").cast(pl.Int64))["x"]
    return converted if numbers is None else numbers.fill_null(converted)


def _bad_number(
    value: object,
    number: int | None,
    what: str,
    limit: int | None,
    path: Path | None,
    line: int | None,
) -> DataError:
    if number is None:
        problem = f"the {what} is {value!r}, not a whole number"
        remedy = "Ids are whole numbers from 0; a file of names is read without a list of names"
    else:
        allowed = f"0 to {limit - 1}" if limit is not None else "0 and above"
        problem = f"the {what} is {number}, outside {allowed}"
        remedy = "Check that ids count from 0 and that this file belongs to that list of names"
    return DataError(problem, remedy=remedy, path=path, line=line)


@dataclass(frozen=True)
class _Shape:
    """Layout of a file: cells per line, the position of each wanted column, lines to skip."""

    separator: str
    width: int
    places: dict[str, int]
    optional: frozenset[str]
    skipped_lines: int

    @property
    def quoted(self) -> bool:
        return self.separator not in UNQUOTED

    @property
    def required(self) -> dict[int, str]:
        """Position -> name of the columns that may have no empty cell."""
        return {place: name for name, place in self.places.items() if name not in self.optional}


def _find_shape(
    path: Path,
    columns: Sequence[str],
    optional: Sequence[str],
    separator: str,
    header: bool | None,
    synonyms: dict[str, str],
    header_decides: bool,
    comment: str | None,
    after: int,
) -> _Shape:
    records = _records(path, separator, comment)
    start, end, cells = next((record for record in records if record[0] > after), (0, 0, []))
    if not cells:
        raise no_rows(path)
    every = [*columns, *optional]
    words = [synonyms.get(cell.strip().lower(), cell.strip().lower()) for cell in cells]
    named = {name: words.index(name) for name in every if name in words}
    given = {name: place for place, name in enumerate(every) if name != UNUSED}
    required = [name for name in columns if name != UNUSED]
    if header_decides:
        is_header = all(words.count(name) == 1 for name in required)
    else:
        is_header = all(named.get(name) == given[name] for name in required)
    if header is not None:
        is_header = header
    if is_header and header_decides and all(name in named for name in required):
        return _Shape(separator, len(cells), named, frozenset(optional), end)
    if not len(columns) <= len(cells) <= len(every):
        raise wrong_width(path, start, len(columns), len(cells), separator)
    places = {name: place for name, place in given.items() if place < len(cells)}
    skipped = end if is_header else start - 1
    return _Shape(separator, len(cells), places, frozenset(optional), skipped)


def _parse(path: Path, shape: _Shape) -> pl.DataFrame:
    """Read all rows by columns; polars' own errors pass through."""
    source: Path | bytes = path
    skipped_lines = shape.skipped_lines
    with open_bytes(path) as stream:
        seems_packed = stream.read(2) in LIKE_ZLIB
    if seems_packed:
        source, skipped_lines = b"\n" + read_bytes(path), skipped_lines + 1
    elif compression_of(path):
        source = read_bytes(path)
    else:
        require_for_file(path, path.stat().st_size)
    physical = {f"column_{place}": pl.String for place in range(shape.width)}
    try:
        frame = pl.read_csv(
            source,
            has_header=False,
            separator=shape.separator,
            quote_char='"' if shape.quoted else None,
            schema=physical,
            skip_lines=skipped_lines,
            glob=False,
        )
    except pl.exceptions.NoDataError:
        frame = pl.DataFrame(schema=physical)
    return _with_lines(frame, shape)


def _with_lines(frame: pl.DataFrame, shape: _Shape) -> pl.DataFrame:
    line = pl.int_range(pl.len(), dtype=pl.Int64) + (shape.skipped_lines + 1)
    if shape.quoted:
        # A quoted cell may hold line breaks, which push the rows below it down.
        breaks = pl.sum_horizontal(
            pl.all().str.count_matches("\n", literal=True).fill_null(0).cast(pl.Int64)
        )
        line = line + breaks.cum_sum().shift(1, fill_value=0)
    return frame.with_columns(line.alias(LINE))


def _filled_rows(frame: pl.DataFrame, path: Path, shape: _Shape) -> pl.DataFrame:
    """Return the rows that are not blank, if all their required cells are filled."""
    blank = frame.select(pl.all_horizontal(pl.exclude(LINE).is_null())).to_series()
    if blank.all():
        raise no_rows(path)
    rows = frame.filter(~blank)
    empty = [
        (lines[0], name)
        for place, name in shape.required.items()
        if len(lines := rows.filter(pl.col(f"column_{place}").fill_null("") == "")[LINE])
    ]
    # polars takes a line of separators only for a blank one.
    blank_within = len(rows) <= int(blank.not_().arg_true()[-1])
    if (empty or blank_within) and (fault := _fault(path, shape)):
        raise fault
    # polars drops a lone carriage return, and a byte order mark at the start.
    if empty:
        line, name = min(empty)
        raise empty_cell(name, path, line)
    return rows


def _fault(path: Path, shape: _Shape) -> DataError | None:
    """Find the first wrong row, line by line."""
    required = shape.required
    try:
        for start, end, cells in _records(path, shape.separator):
            if end <= shape.skipped_lines:
                continue
            if not max(required) < len(cells) <= shape.width:
                return wrong_width(path, start, shape.width, len(cells), shape.separator)
            for place, name in required.items():
                if not cells[place]:
                    return empty_cell(name, path, start)
    except DataError as error:
        return error
    return None


def _records(
    path: Path, separator: str, comment: str | None = None
) -> Iterator[tuple[int, int, list[str]]]:
    """Yield first line, last line and cells of each row that is not blank.

    Raises:
        DataError: At a line that is not UTF-8, or at a quote that is never closed.
    """
    with open_bytes(path) as stream:
        lines = _decoded_lines(stream, path)
        if separator in UNQUOTED:
            rows: Iterable[tuple[int, list[str]]] = (
                (number, line.split(separator) if line else [])
                for number, line in enumerate(lines, start=1)
            )
        else:
            rows = _quoted_rows(lines, separator, path)
        start, heading, blank = 1, True, 0
        for end, cells in rows:
            blank = 0 if cells else blank + 1
            if blank > MOST_BLANK:
                raise DataError(
                    f"more than {MOST_BLANK:,} lines are blank",
                    remedy="Check that this is a table",
                    path=path,
                    line=end,
                )
            heading = heading and (not cells or (comment is not None and cells[0][:1] == comment))
            if cells and not heading:
                yield start, end, cells
            start = end + 1


def _decoded_lines(stream: BinaryIO, path: Path) -> Iterator[str]:
    for number, raw in enumerate(iter(lambda: stream.readline(LONGEST_LINE), b""), start=1):
        if len(raw) == LONGEST_LINE:
            raise DataError(
                f"the line is longer than {LONGEST_LINE >> 20} MiB",
                remedy="Check that this is a table, and that its lines end",
                path=path,
                line=number,
            )
        if number == 1:
            refuse_utf_16(raw, path)
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"byte {error.start + 1} of the line is not UTF-8",
                remedy="Convert the file to UTF-8, for example with iconv",
                path=path,
                line=number,
            ) from error
        yield line.removesuffix("\n").removesuffix("\r")


def _quoted_rows(
    lines: Iterator[str], separator: str, path: Path
) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=separator, strict=True)
    start = 1
    try:
        for cells in reader:
            yield reader.line_num, cells
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"the row is not well-formed CSV ({error})",
            remedy="Close each quote, and double a quote inside quotes",
            path=path,
            line=start,
        ) from error
