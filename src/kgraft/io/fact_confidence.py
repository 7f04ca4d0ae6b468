"""The column of a table of facts that holds each fact's confidence, by its name."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from kgraft.errors import DataError, KgraftWarning, describe

CONFIDENCE: Final = "confidence"
"""Column of confidences, and its role in ``columns``."""

CERTAIN_NAMES: Final = ("confidence", "conf", "probability", "prob", "certainty")
"""Names of the column that mean a confidence, the clearest first."""

POSSIBLE_NAMES: Final = ("weight", "score")
"""Names of the column that mean one if all its values are in (0, 1], and else something else."""


LEFT_OUT: Final = 'columns = ["head", "relation", "tail", "_"]'
"""The key of a source that leaves a fourth column out."""


def find_confidence(names: Sequence[str]) -> int | None:
    """Return the position of the column of confidences that a header names, if there is one.

    Case, punctuation and a prefix before a colon do not count.
    """
    words = [_plain(name) for name in names]
    return next((words.index(x) for x in (*CERTAIN_NAMES, *POSSIBLE_NAMES) if x in words), None)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.strip().lower().rsplit(":", 1)[-1])


def is_decimal_comma(text: str) -> bool:
    """Return True for a number that has a comma for its point, such as ``0,9``."""
    return re.fullmatch(r"\s*\d*,\d+\s*", text) is not None


def is_confidence(text: str) -> bool:
    """Return True for a text such as 0.9, but for a whole number other than 1."""
    return re.fullmatch(r"\s*(0?\.\d+|1(\.0*)?)\s*", text.replace(",", ".")) is not None


def with_confidence(
    facts: pl.DataFrame,
    name: str,
    *,
    path: Path | None = None,
    lines: pl.Series | None = None,
    first_row: int = 0,
) -> pl.DataFrame:
    """Return facts with their confidences as numbers, without them if the column holds none.

    Args:
        facts: Perhaps a column of confidences as text or numbers; an empty cell is 1.
        name: The column's name in its file.
        path: The file, for messages.
        lines: The line of each fact, ``(n,)``.
        first_row: Without lines, the number of facts before these.

    Raises:
        DataError: If a value is not in (0, 1], and the name says that it is a confidence.

    Warns:
        KgraftWarning: If the name does not say so; the column is then left out.
    """
    if CONFIDENCE not in facts.columns:
        return facts
    given = facts[CONFIDENCE]
    if given.dtype == pl.String:
        given = given.str.strip_chars().replace("", None)
    if not (given.dtype == pl.String or given.dtype.is_numeric()):
        given = pl.Series([str(x) for x in given.to_list()], dtype=pl.String)
    values = given.cast(pl.Float64, strict=False)
    wrong = given.is_not_null() & ~((values > 0) & (values <= 1)).fill_null(value=False)
    if not wrong.any():
        return facts.with_columns(values.fill_null(1.0).alias(CONFIDENCE))
    row = int(wrong.arg_max() or 0)
    has_comma = is_decimal_comma(str(given[row]))
    line = None if lines is None else int(lines[row])
    value = given[row] if line is not None else f"{given[row]} in row {first_row + row + 1}"
    if _plain(name) in POSSIBLE_NAMES and not has_comma:
        warnings.warn(
            describe(
                f"the column {name!r} is left out: {int(wrong.sum()):,} of its {len(given):,} "
                f"values are no confidences above 0 and up to 1, the first is {value}",
                remedy=f"Scale them to count as weights, or silence this with {LEFT_OUT}",
                path=path,
                line=line,
            ),
            KgraftWarning,
            stacklevel=3,
        )
        return facts.drop(CONFIDENCE)
    raise DataError(
        f"the {name} {value} is no confidence above 0 and up to 1",
        remedy="Write its decimal comma as a point"
        if has_comma
        else "Correct it, name facts known to be false in negatives, or leave the column out "
        f"with {LEFT_OUT}",
        path=path,
        line=line,
    )
