"""Texts about entities, from a table or from the graph itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import polars as pl

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.columnar import read_table
from kgraft.io.delimiters import delimiter_of
from kgraft.io.tabular import LINE, first_rows, read_columns
from kgraft.system.files import content_ending

NAME_HEADERS: Final = ("entity", "name", "id", "iri", "uri", "item", "subject")
"""Headers of the column of names, which make a first line that begins with one a header."""

LABEL: Final = "label"
"""Header of the text that is also the entity's label."""

TEXT_HEADERS: Final = (
    LABEL, "labels", "description", "descriptions", "text", "texts", "title", "abstract", "alias",
    "aliases", "comment", "definition", "summary",
)  # fmt: skip
"""Further headers: a first line of nothing but such and those of names is a header too."""

BETWEEN: Final = ". "
"""Stands between the texts of an entity."""


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts about entities.

    Args:
        names: The entities' names, ``n``.
        texts: The text of each, perhaps empty, String ``(n,)``.
        labels: The label of each, with nulls, where there are some.
    """

    names: Vocabulary
    texts: pl.Series
    labels: pl.Series | None = None

    @classmethod
    def of_graph(cls, graph: KnowledgeGraph) -> Texts:
        """Return the labels, or else the last parts of the names, and the literals of a graph."""
        names = pl.Series([readable(x) for x in graph.entities.names], dtype=pl.String)
        if graph.labels is not None:
            names = graph.labels.fill_null(names)
        if graph.attributes is None or not len(graph.attributes):
            return cls(graph.entities, names, graph.labels)
        values = graph.attributes.filter(pl.col("value").str.contains(r"\p{L}"))
        joined = values.group_by("entity").agg(
            pl.col("value").unique(maintain_order=True).str.join(BETWEEN)
        )
        every = pl.DataFrame({"name": names}).with_row_index("entity")
        found = every.with_columns(pl.col("entity").cast(pl.Int64)).join(
            joined.with_columns(pl.col("entity").cast(pl.Int64)), on="entity", how="left"
        )
        texts = found.select(pl.concat_str("name", "value", separator=BETWEEN, ignore_nulls=True))
        return cls(graph.entities, texts.to_series(), graph.labels)


def readable(name: str) -> str:
    """Return the last part of an IRI with blanks for underscores, another name as it is."""
    last = name.rstrip("/#").rpartition("/")[2].rpartition("#")[2] if "://" in name else name
    try:
        return unquote(last, errors="strict").replace("_", " ")
    except UnicodeDecodeError:
        return last.replace("_", " ")


def read_texts(path: Path) -> Texts:
    """Read a table of entities and texts: a column of names, and one of texts or more.

    A first line is a header if its first cell is one of ``NAME_HEADERS``, or all are of these or
    ``TEXT_HEADERS``. Names are in the first column with a header of names, or else in the
    first. A column called label is also the entities' labels.

    Args:
        path: TSV or CSV, also compressed, or Parquet.

    Raises:
        DataError: With the line, if it cannot be read, a name is empty or repeated, or there is no
            column of texts.
    """
    frame = _parquet(path) if content_ending(path) in (".parquet", ".arrow") else _table(path)
    names, columns = frame.to_series(0), [x for x in frame.columns[1:] if x != LINE]
    if names.null_count() or (names == "").any():
        row = int((names.is_null() | (names == "").fill_null(value=True)).arg_max() or 0)
        raise DataError(
            "an entity has no name", remedy="Give a name in the first column", path=path,
            line=_line(frame, row),
        )  # fmt: skip
    repeated = ~names.is_first_distinct()
    if repeated.any():
        row = int(repeated.arg_max() or 0)
        raise DataError(
            f"the name {names[row]!r} is repeated", remedy="Give one row an entity", path=path,
            line=_line(frame, row),
        )  # fmt: skip
    filled = [pl.when(pl.col(x).str.strip_chars() != "").then(x) for x in columns]
    texts = frame.select(pl.concat_str(filled, separator=BETWEEN, ignore_nulls=True)).to_series()
    labels = next((frame[x] for x in columns if x.lower() == LABEL), None)
    return Texts(Vocabulary(names.rename("name")), texts.fill_null(""), labels)


def _line(frame: pl.DataFrame, row: int) -> int | None:
    return int(frame[LINE][row]) if LINE in frame.columns else None


def _table(path: Path) -> pl.DataFrame:
    found = delimiter_of(path, "csv" if content_ending(path) == ".csv" else "tsv", 2)
    _, cells = first_rows(path, found.sign, 1, found.after)[0]
    if len(cells) < 2:
        raise _no_texts(path, cells)
    words = [x.strip().lower() for x in cells]
    header = words[0] in NAME_HEADERS or {*words} <= {*NAME_HEADERS, *TEXT_HEADERS}
    columns = [x.strip() or f"text {i}" for i, x in enumerate(cells)] if header else None
    names = columns or ["name", *(f"text {place}" for place in range(1, len(cells)))]
    if len(set(names)) < len(names):
        raise DataError("two columns have one name", remedy="Rename one", path=path, line=1)
    name = _name_column(names)
    frame = read_columns(
        path,
        names,
        separator=found.sign,
        header=header,
        after=found.after,
        may_be_empty=[x for x in names if x != name],
    )
    return frame.select(name, pl.exclude(name))


def _parquet(path: Path) -> pl.DataFrame:
    frame = read_table(path)
    texts = [x for x in frame.columns if frame[x].dtype == pl.String]
    if len(texts) < 2:
        raise _no_texts(path, texts)
    name = _name_column(texts)
    return frame.select(name, *(x for x in texts if x != name))


def _name_column(columns: Sequence[str]) -> str:
    """Return the first column with a header of names, or else the first."""
    return next((x for x in columns if x.strip().lower() in NAME_HEADERS), columns[0])


def _no_texts(path: Path, columns: Sequence[str]) -> DataError:
    return DataError(
        f"there is no column of texts beside {', '.join(columns) or 'the names'}",
        remedy="Give a column of names and one of texts or more",
        path=path,
    )
