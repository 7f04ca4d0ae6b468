"""Errors of tables that several readers find: no rows, an empty cell, another number of columns."""

from __future__ import annotations

from pathlib import Path

from kgraft.errors import DataError


def no_rows(path: Path) -> DataError:
    """Return the error that a table holds no rows."""
    return DataError(
        "the file holds no rows",
        remedy="Check that it was written completely, or leave it out",
        path=path,
    )


def empty_cell(column: str, path: Path, line: int) -> DataError:
    """Return the error that a cell which must be filled is empty."""
    remedy = "Fill it in or remove the line"
    return DataError(f"the {column} is empty", remedy=remedy, path=path, line=line)


def wrong_width(path: Path, line: int, expected: int, found: int, separator: str) -> DataError:
    """Return the error that a row has more or fewer cells than the table has columns."""
    signs = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "pipes", " ": "spaces"}
    sign = signs.get(separator, repr(separator))
    return DataError(
        f"expected {expected} columns separated by {sign}, found {found}",
        remedy="Repair the line, or say which columns the file has",
        path=path,
        line=line,
    )
