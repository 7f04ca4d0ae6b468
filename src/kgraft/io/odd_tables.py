"""Oddities of exported tables: comments above, headers among the rows, quotes, an empty column."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import polars as pl

from kgraft.errors import DataError, KgraftWarning, counted, describe
from kgraft.io.fact_confidence import CONFIDENCE, is_confidence
from kgraft.io.named_facts import ROLES
from kgraft.io.table_errors import empty_cell, no_rows
from kgraft.io.tabular import LINE, UNUSED, first_rows

REST: Final = "rest"
"""Column after the last separator of a line, which holds nothing."""

_QUOTED: Final = '"(?:[^"]|"")*"'
_LOOKED_AT: Final = 100
"""Lines at the beginning that may be comments."""

_DIRECTIONS: Final = ("directed", "undirected", "mixed")
"""Gephi's types of edges."""


def after_comments(
    path: Path, separator: str, after: int, width: int, is_header: Callable[[Sequence[str]], bool]
) -> tuple[int, list[tuple[int, list[str]]]]:
    """Return the number of lines above a table, and its first rows.

    A comment begins with ``#``, has not the table's number of cells, and is no header.
    """
    rows = first_rows(path, separator, _LOOKED_AT, after)
    for place, (line, cells) in enumerate(rows):
        if not cells[0].startswith("#") or len(cells) == width or is_header(cells):
            return (line - 1 if place else after), rows[place:]
    return after, rows


def check_rest(facts: pl.DataFrame, path: Path) -> None:
    """Raise DataError if a line has something after its last separator, where the first has not."""
    if REST in facts.columns and facts[REST].count():
        row = int(facts[REST].is_not_null().arg_max() or 0)
        raise DataError(
            f"a fourth column, empty in the first line, holds {facts[REST][row]!r}",
            remedy='Say what it is, as in columns = ["head", "relation", "tail", "_"]',
            path=path,
            line=int(facts[LINE][row]),
        )


def without_headers(facts: pl.DataFrame, header: Mapping[str, str], path: Path) -> pl.DataFrame:
    """Leave out rows that repeat the header, as in files put together, with a warning."""
    cells = (pl.col(role).str.strip_prefix("\ufeff") == header[role] for role in ROLES)
    repeated = facts.select(pl.all_horizontal(cells)).to_series()
    if not repeated.any():
        return facts
    if repeated.all():
        raise no_rows(path)
    problem = f"left out {counted(int(repeated.sum()), 'line')} that repeat the header"
    remedy = "Nothing to do, if files were put together"
    line = int(facts[LINE][int(repeated.arg_max() or 0)])
    warnings.warn(describe(problem, remedy=remedy, path=path, line=line), KgraftWarning, 3)
    return facts.filter(~repeated)


def are_quoted(cells: Sequence[str]) -> bool:
    """Return True if all cells are in quotes."""
    return all(re.fullmatch(_QUOTED, cell) for cell in cells)


def without_quotes(facts: pl.DataFrame, path: Path, *, header: bool) -> pl.DataFrame:
    """Take the quotes off cells: of any that has some below a quoted header, else of all or none.

    Raises:
        DataError: If nothing is between the quotes of a cell.
    """
    is_quoted = {role: pl.col(role).str.contains(f"^{_QUOTED}$") for role in ROLES}
    if not header and not facts.select(pl.all_horizontal(is_quoted.values()).all()).item():
        return facts
    for role, quoted in is_quoted.items():
        cell = pl.col(role)
        bare = cell.str.slice(1, cell.str.len_chars() - 2).str.replace_all('""', '"', literal=True)
        facts = facts.with_columns(pl.when(quoted).then(bare).otherwise(cell).alias(role))
        empty = facts[role] == ""
        if empty.any():
            raise empty_cell(role, path, int(facts[LINE][int(empty.arg_max() or 0)]))
    return facts


def check_direction(facts: pl.DataFrame, name: str, path: Path, line: int) -> None:
    """Raise DataError if the column of relations says of each edge whether it is directed."""
    if name.strip(' "').lower() != "type" or facts["relation"][0].lower() not in _DIRECTIONS:
        return
    if facts["relation"].str.to_lowercase().is_in(_DIRECTIONS).all():
        raise DataError(
            f"the column {name} says whether edges are directed, and no column names a relation",
            remedy="Export the edges with a column of relations, or give the columns, as in "
            'columns = ["head", "tail", "relation"], to keep to this one',
            path=path,
            line=line,
        )


def columns_advice(cells: Sequence[str]) -> str:
    """Return advice for a line that has not three cells."""
    if len(cells) < len(ROLES):
        return "Give one column each for head, relation and tail"
    numbered = re.fullmatch(r"\d+|<?id[\W_].*", cells[0], re.IGNORECASE) is not None
    more = len(cells) - len(ROLES) - numbered
    order = [*([UNUSED] * numbered), *ROLES, *([UNUSED] * min(more, 5))]
    if more and is_confidence(cells[-1]):
        order[-1] = CONFIDENCE
    named = ", ".join(f'"{name}"' for name in order)
    return f"Repair the line, or say which columns the file has, as in columns = [{named}]"
