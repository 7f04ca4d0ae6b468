"""Facts by columns: Parquet, Arrow IPC and frames in memory become String columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from kgraft.errors import DataError
from kgraft.graph.labelled import ROLES
from kgraft.graph.tabular import whole_numbers


def read_columnar(path: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read facts from Parquet, or from Arrow IPC (a file, as Feather writes, or a stream).

    Args:
        path: Told apart by content, not by ending.
        columns: The role of each column in the file's order. None: the columns called head,
            relation and tail when the file has them, else the first three.

    Returns:
        String columns head, relation, tail.

    Raises:
        DataError: If the file is missing or damaged, has too few columns, or an empty cell.
    """
    if not path.exists():
        raise DataError("there is no such file", remedy="Check the path", path=path)
    if path.is_dir():
        raise DataError("this is a directory", remedy="Name a file in it", path=path)
    try:
        table = _read_arrow(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"this is not whole Parquet or Arrow data ({error})",
            remedy="Check that the file was written completely, or name its format",
            path=path,
        ) from error
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 (a table gives a frame)
    return facts_of(frame, columns, path=path)


def _read_arrow(path: Path) -> pa.Table:
    with path.open("rb") as file:
        magic = file.read(6)
    if magic[:4] == b"PAR1":
        # One file, even below a directory whose name looks like a partition (split=train).
        return pa.parquet.ParquetFile(path).read()
    with pa.memory_map(str(path)) as source:
        if magic == b"ARROW1":
            return pa.ipc.open_file(source).read_all()
        return pa.ipc.open_stream(source).read_all()


def facts_of(
    frame: pl.DataFrame, columns: Sequence[str] | None = None, *, path: Path | None = None
) -> pl.DataFrame:
    """Return a frame's facts as String columns head, relation and tail.

    Args:
        frame: Columns of text, categories, or whole numbers.
        columns: As for ``read_columnar``.
        path: Where the frame comes from, for messages.

    Raises:
        DataError: If there are too few columns, an empty cell, or a number that is not whole.
    """
    if columns is None:
        named = all(role in frame.columns for role in ROLES)
        chosen = list(ROLES) if named else frame.columns[:3]
        columns = ROLES
    else:
        chosen = frame.columns[: len(columns)]
    if len(chosen) < len(columns):
        raise DataError(
            f"expected {len(columns)} columns, found {len(frame.columns)}",
            remedy="Give one column each for head, relation and tail",
            path=path,
        )
    picked = {role: frame[name] for role, name in zip(columns, chosen, strict=True)}
    if frame.is_empty():
        raise DataError("there are no rows", remedy="Give facts, or leave it out", path=path)
    return pl.DataFrame({role: _text(picked[role], role, path) for role in ROLES})


def _text(values: pl.Series, role: str, path: Path | None) -> pl.Series:
    if values.dtype.is_numeric():
        values = pl.Series(whole_numbers(values, path=path, role=role))
    text = values.cast(pl.String)
    empty = text.is_null() | (text == "")
    if empty.any():
        row = int(empty.arg_max() or 0) + 1
        raise DataError(
            f"the {role} in row {row} is empty",
            remedy="Fill it in or remove the row",
            path=path,
        )
    return text
