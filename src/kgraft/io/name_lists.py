"""Lists of names, one a line, whose line numbers are the ids that other files use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from kgraft.errors import DataError
from kgraft.graph.vocabulary import Vocabulary
from kgraft.system.files import read_text


@dataclass(frozen=True, eq=False)
class NameList:
    """The names of a list file, and their labels where it has a second column.

    Args:
        vocabulary: ``n`` names; row ``i`` is line ``i + 1``.
        labels: String ``(n,)`` with nulls; None without a second column.
    """

    vocabulary: Vocabulary
    labels: pl.Series | None


def read_names(path: Path) -> NameList:
    """Read a list of names; every line counts, whatever it holds.

    Real lists repeat names and have blank lines, and other files count on the line numbers. So a
    name that stood before gets its row as a suffix, ``name#row``, and a blank line is ``#row``.

    Raises:
        DataError: If the file is missing, empty, or not UTF-8.
    """
    text = read_text(path)
    if not text:
        raise DataError("the list is empty", remedy="Give one name a line", path=path)
    lines = pl.Series("line", text.removesuffix("\n").split("\n"), dtype=pl.String)
    cells = lines.str.strip_suffix("\r").str.splitn("\t", 2).struct.unnest()
    names = unique_names(cells.to_series(0).fill_null(""))
    labels = cells.to_series(1).str.strip_chars()
    labels = labels.set(labels == "", None)
    has_labels = labels.null_count() < len(labels)
    return NameList(Vocabulary(names), labels if has_labels else None)


def unique_names(names: pl.Series) -> pl.Series:
    """Return names in which no two are equal: later ones, and empty ones, end in ``#row``."""
    table = names.alias("name").to_frame().with_row_index("row")
    suffixed = pl.col("name") + "#" + pl.col("row").cast(pl.String)
    table = table.with_columns(
        pl.when(pl.col("name") == "").then(suffixed).otherwise("name").alias("name")
    )
    # A suffixed name may meet a name that was there before; it then gets longer once more.
    while table["name"].n_unique() < len(table):
        first = pl.col("name").is_first_distinct()
        table = table.with_columns(pl.when(first).then("name").otherwise(suffixed).alias("name"))
    return table["name"]
