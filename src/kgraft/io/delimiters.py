"""Delimiters of CSV, which has semicolons, tabs or pipes where commas are the decimal sign."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from kgraft.errors import DataError
from kgraft.io.tabular import first_rows

_SIGNS: Final = (",", ";", "\t", "|")
_LOOKED_AT: Final = 20
"""Rows that tell the delimiter."""

_STATED: Final = re.compile(r"sep=([,;\t|])", re.IGNORECASE)
"""A spreadsheet's first line."""

_NAMES: Final = (
    *(("\t", "tabs", 'say format = "tsv"'), (",", "commas", 'say format = "csv"')),
    *((";", "semicolons", 'say format = "csv"'), ("|", "pipes", 'say format = "csv"')),
    (" ", "spaces", "write tabs instead"),
)


class Delimiter(NamedTuple):
    """Sign between cells, and the number of lines before the table."""

    sign: str
    after: int = 0


def delimiter_of(path: Path, syntax: str, least: int) -> Delimiter:
    """Return a table's delimiter: a tab for ``tsv``, for ``csv`` what its first rows show.

    Args:
        path: The file.
        syntax: ``tsv`` or ``csv``.
        least: Number of columns that it has at least.

    Returns:
        For CSV, the sign that a first line ``sep=;`` states; else a comma, unless another sign
        alone gives all first rows the same number of cells, ``least`` or more.
    """
    if syntax == "tsv":
        return Delimiter("\t")
    try:
        (line, cells), *_ = first_rows(path, "\t", 1)
        if stated := _STATED.fullmatch("\t".join(cells).strip('"')):
            return Delimiter(stated[1], line)
    except DataError:
        return Delimiter(",")  # Reading it gives the error.
    fitting = [sign for sign in _SIGNS if _fits(path, sign, least)]
    return Delimiter("," if "," in fitting or len(fitting) != 1 else fitting[0])


def _fits(path: Path, sign: str, least: int) -> bool:
    try:
        widths = {len(cells) for _, cells in first_rows(path, sign, _LOOKED_AT)}
    except DataError:
        return False
    return len(widths) == 1 and min(widths) >= least


def other_delimiter(text: str, width: int) -> str | None:
    """Return advice if another delimiter gives a line the expected number of cells."""
    for sign, name, remedy in _NAMES:
        if len(text.split(sign)) == width:
            return f"The cells seem to be separated by {name}: {remedy}"
    return None
