"""Facts from Parquet, Arrow IPC and frames in memory, as String columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet

from kgraft.errors import DataError
from kgraft.io.fact_columns import roles_of_names
from kgraft.io.fact_confidence import CONFIDENCE, find_confidence, with_confidence
from kgraft.io.named_facts import ROLES
from kgraft.io.tabular import whole_numbers
from kgraft.system.files import Growth
from kgraft.system.memory import is_used_up, require_for_file

UNREADABLE: Final = (MemoryError, OSError, ValueError)
"""Errors of Arrow besides its own ones, also where a column's name is no text."""

CELL: Final = 16
"""Minimum bytes of a cell of text in memory."""

BATCH: Final = 1_000_000
"""Rows of a Parquet file in memory as text at once."""

BATCH_BYTES: Final = 1 << 26
"""Bytes of these rows, before repeated cells are written out."""


def read_columnar(path: Path, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
    """Read facts from Parquet, or from Arrow IPC (a file, as Feather writes, or a stream).

    Args:
        path: A file; its content decides the format.
        columns: The role of each column in the file's order. None: by the columns' names, the
            first three where these are only numbers.

    Yields:
        String columns head, relation, tail, and Float64 ``confidence`` where there is one, a batch
        of rows at a time.

    Raises:
        DataError: If the file is missing, damaged, does not fit into free memory, has too
            few columns or names that do not tell their roles, no row, an empty cell, or a
            confidence that is not in (0, 1].
    """
    rows = 0
    for frame in read_batches(path):
        if len(frame) or not rows:
            yield facts_of(frame, columns, path=path, first_row=rows)
        rows += len(frame)


def read_table(path: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read a table from Parquet or Arrow IPC.

    Args:
        path: A file; its content decides the format.
        columns: The columns to read; by default all.

    Raises:
        DataError: If the file is missing, damaged, or does not fit into free memory.
    """
    return pl.concat(read_batches(path, columns))


def read_batches(path: Path, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
    """Read a table as ``read_table`` does, in frames, the last of which may be empty."""
    if not path.exists():
        raise DataError("there is no such file", remedy="Check the path", path=path)
    if path.is_dir():
        raise DataError("this is a directory", remedy="Name a file in it", path=path)
    try:
        growth = Growth(path)
        for table in _tables(path, columns, growth):
            # Arrow does not check a file's offsets otherwise.
            table.validate(full=True)
            growth.add(sum(_bytes_of(column) for column in table.columns))
            table = pa.table([_plain(x) for x in table.columns], names=table.schema.names)
            # Without metadata, which polars refuses where it is not UTF-8.
            frame = pl.from_arrow(table)
            assert isinstance(frame, pl.DataFrame)  # noqa: S101 (a table gives a frame)
            yield frame
    except (*UNREADABLE, pa.ArrowException, pl.exceptions.PolarsError) as error:
        short = ", or the memory does not suffice for it" if is_used_up(error) else ""
        raise DataError(
            f"this is not whole Parquet or Arrow data{short} ({error})",
            remedy="Check that the file was written completely, or name its format",
            path=path,
        ) from error


def _tables(path: Path, columns: Sequence[str] | None, growth: Growth) -> Iterator[pa.Table]:
    """Read tables in which nested columns, which hold no names, are empty.

    Their cells could take any amount of memory, and nothing reads them.
    """
    with path.open("rb") as begin:
        magic = begin.read(6)
    about = pa.parquet.read_metadata(path) if magic[:4] == b"PAR1" else None
    schema = _ipc_schema(path, magic) if about is None else about.schema.to_arrow_schema()
    asked = [field for field in schema if columns is None or field.name in columns]
    is_named = len(set(schema.names)) == len(schema.names)  # else an error tells of the names
    has_nested = is_named and any(_is_nested(field.type) for field in asked)
    if has_nested:
        columns = [field.name for field in asked if not _is_nested(field.type)]
    if about is None:
        tables: Iterable[pa.Table] = [_ipc_table(path, magic, schema, columns)]
    else:
        tables = _parquet_tables(path, about, columns, growth)
    for table in tables:
        yield _with_empty(table, asked) if has_nested else table


def _with_empty(table: pa.Table, asked: Sequence[pa.Field]) -> pa.Table:
    """Return a table with an empty column for each nested one, which it lacks."""
    empty = pa.nulls(len(table), pa.list_(pa.string()))
    return pa.table({x.name: empty if _is_nested(x.type) else table[x.name] for x in asked})


def _ipc_schema(path: Path, magic: bytes) -> pa.Schema:
    with pa.OSFile(str(path)) as source:
        return _opened(source, magic).schema


def _ipc_table(
    path: Path, magic: bytes, schema: pa.Schema, columns: Sequence[str] | None
) -> pa.Table:
    # Not mapped: names are kept, and a file that is cut off later would end the process.
    require_for_file(path, path.stat().st_size)
    with pa.OSFile(str(path)) as source:
        if columns is None:
            return _opened(source, magic).read_all()
        fields = [place for place, name in enumerate(schema.names) if name in columns]
        only = pa.ipc.IpcReadOptions(included_fields=fields)
        return _opened(source, magic, options=only).read_all().select(columns)


def _opened(source: pa.NativeFile, magic: bytes, **options: Any) -> Any:
    """Open Arrow's file or stream format, by the first bytes."""
    opened = pa.ipc.open_file if magic == b"ARROW1" else pa.ipc.open_stream
    return opened(source, **options)


def _is_nested(kind: pa.DataType) -> bool:
    of_values = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_nested(of_values))


def _parquet_tables(
    path: Path, about: pa.parquet.FileMetaData, columns: Sequence[str] | None, growth: Growth
) -> Iterator[pa.Table]:
    """Read Parquet by batches of rows, in which no text is repeated that the file has once."""
    groups = [about.row_group(x) for x in range(about.num_row_groups)]
    chunks = [group.column(x) for group in groups for x in range(about.num_columns)]
    chunks = [x for x in chunks if columns is None or x.path_in_schema in columns]
    Growth(path).add(sum(chunk.total_uncompressed_size for chunk in chunks))
    named = {x.name for x in about.schema.to_arrow_schema() if _is_text(x.type)}
    texts = [chunk for chunk in chunks if chunk.path_in_schema in named]
    repeated = {x.path_in_schema for x in texts if any("DICT" in y for y in x.encodings)}
    # In this encoding, which Arrow takes apart, a cell may hold all the text of its chunk.
    longest = [x.total_uncompressed_size for x in texts if "DELTA_BYTE_ARRAY" in x.encodings]
    rows = min(BATCH, max(1, growth.left // max(longest))) if longest else BATCH
    # One file, even below a directory whose name looks like a partition (split=train).
    # What is read in advance would stay in memory until the file is closed.
    opened = partial(pa.parquet.ParquetFile, path, metadata=about, pre_buffer=False)
    with opened(read_dictionary=[*repeated]) as file:
        is_safe = not repeated or _most_bytes(file, sorted(repeated)) <= growth.left
    # Dictionaries kept as they are take three times as long to read.
    with opened() if is_safe else opened(read_dictionary=[*repeated]) as file:
        schema = file.schema_arrow
        # Repeated cells take little in the file, and much in memory.
        require_for_file(path, CELL * about.num_rows * len(columns or schema.names))
        batches: list[pa.RecordBatch] = []
        n_rows = n_bytes = 0
        for batch in file.iter_batches(rows, columns=columns):
            batches.append(batch)
            n_rows, n_bytes = n_rows + len(batch), n_bytes + batch.nbytes
            if n_rows >= BATCH or n_bytes > BATCH_BYTES:
                yield pa.Table.from_batches(batches)
                batches, n_rows, n_bytes = [], 0, 0
        if batches:
            yield pa.Table.from_batches(batches)
        empty = schema.empty_table()
        yield empty if columns is None else empty.select(columns)


def _most_bytes(file: pa.parquet.ParquetFile, columns: Sequence[str]) -> int:
    """Return the bytes of cells if each was the longest one of its dictionary."""
    most = 0
    for group in range(file.num_row_groups):
        n_rows = file.metadata.row_group(group).num_rows
        for row in file.iter_batches(1, row_groups=[group], columns=columns):
            words = [x.dictionary for x in row.columns if pa.types.is_dictionary(x.type)]
            longest = (pc.max(pc.binary_length(x)).as_py() or 0 for x in words)
            most += n_rows * sum(longest)
            break
    return most


def _bytes_of(column: pa.ChunkedArray) -> int:
    """Return the bytes of a column's cells, repeated ones as often as they are repeated."""
    kind = column.type
    if not pa.types.is_dictionary(kind) or not _is_text(kind.value_type):
        return int(column.nbytes)
    lengths = ((pc.binary_length(x.dictionary), x.indices) for x in column.chunks)
    return sum(pc.sum(pc.take(of_text, rows)).as_py() or 0 for of_text, rows in lengths)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of text without its dictionary."""
    kind = column.type
    is_coded = pa.types.is_dictionary(kind) and _is_text(kind.value_type)
    if not is_coded:
        return column
    is_text = kind.value_type in (pa.string(), pa.large_string())
    return column.cast(pa.large_string() if is_text else pa.large_binary())


def _is_text(kind: pa.DataType) -> bool:
    return kind in (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())


def facts_of(
    frame: pl.DataFrame,
    columns: Sequence[str] | None = None,
    *,
    path: Path | None = None,
    first_row: int = 0,
) -> pl.DataFrame:
    """Return a frame's facts as String columns head, relation and tail, and their confidences.

    Args:
        frame: Columns of text, categories, or whole numbers.
        columns: As for ``read_columnar``.
        path: The frame's file, for messages.
        first_row: Rows of the file before the frame's.

    Raises:
        DataError: If there are too few columns, an empty cell, or a number that is not whole.
    """
    if columns is None:
        places = roles_of_names(frame.columns, path)
        confidence = find_confidence(frame.columns)
        if confidence is not None and confidence not in places.values():
            places[CONFIDENCE] = confidence
        chosen = [frame.columns[place] for place in places.values()]
        columns = list(places)
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
    facts = pl.DataFrame({role: _text(picked[role], role, path, first_row) for role in ROLES})
    if CONFIDENCE not in picked:
        return facts
    given = picked[CONFIDENCE]
    facts = facts.with_columns(given.alias(CONFIDENCE))
    return with_confidence(facts, given.name, path=path, first_row=first_row)


def _text(values: pl.Series, role: str, path: Path | None, first_row: int) -> pl.Series:
    if values.dtype.is_nested() or values.dtype == pl.Object:
        raise DataError(
            f"the column {values.name!r} holds {values.dtype}, not text or numbers",
            remedy=f"Give one {role} a row, as text or a whole number",
            path=path,
        )
    if values.dtype.is_numeric() and not values.null_count():
        values = pl.Series(whole_numbers(values, path=path, role=role, first_row=first_row))
    try:
        text = values.cast(pl.String)
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"the column {values.name!r} is no text ({str(error).splitlines()[0]})",
            remedy="Give text in UTF-8, or whole numbers",
            path=path,
        ) from error
    empty = text.is_null() | (text == "")
    if empty.any():
        row = first_row + int(empty.arg_max() or 0) + 1
        raise DataError(
            f"the {role} in row {row} is empty", remedy="Fill it in or remove the row", path=path
        )
    return text
