"""Export formats of one file: NumPy, Parquet, safetensors, and the text format of word2vec."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from safetensors.numpy import save_file

from kgraft.errors import DataError
from kgraft.exporting.selection import Selection, Table
from kgraft.system.files import compression_of

MAX_PADDED = 2**28
"""Bytes of a column of text as a NumPy array, which pads each text to the longest, from which on
it has to be mostly text."""

MAX_PADDING = 16
"""Bytes of such a column for each one of text, beyond ``MAX_PADDED``."""

_SPACE = re.compile(r"\s+")


def write_numpy(selection: Selection, path: Path) -> None:
    """Write an ``.npz``: ``entities``, ``relations``, their columns as text arrays, and ``about``.

    Columns are ``entities.name`` and so on; a missing label is an empty text. Nothing is pickled.

    Raises:
        DataError: If a few long texts would make a column many times as large as its texts.
    """
    arrays: dict[str, NDArray[Any]] = {"about": np.array(json.dumps(selection.about))}
    for kind, table in selection.both.items():
        arrays[kind] = table.vectors
        for column in table.about:
            filled = column
            if column.dtype == pl.String:
                filled = column.fill_null("")
                _check_padding(kind, filled)
            arrays[f"{kind}.{column.name}"] = np.array(filled.to_list())
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _check_padding(kind: str, texts: pl.Series) -> None:
    """Raise a DataError if a few long texts would make an array of NumPy far too large."""
    sizes = texts.str.len_chars()
    longest = int(sizes.max() or 0)  # type: ignore[arg-type]
    padded = 4 * longest * len(texts)
    if padded > max(MAX_PADDED, 4 * MAX_PADDING * int(sizes.sum())):
        place = int(sizes.arg_max() or 0)
        raise DataError(
            f"a {texts.name} of {kind} has {longest:,} characters ({texts[place][:40]!r}...); .npz "
            f"pads all {len(texts):,} to that length, {padded >> 20:,} MiB",
            remedy="Write .parquet or .safetensors, which do not",
        )


def write_parquet(selection: Selection, path: Path) -> None:
    """Write one table: kind, name, source, label, inverse, vector; ``about`` is its metadata."""
    columns = [pl.col(x) for x in ("name", "source", "label", "inverse", "vector")]
    entities = selection.entities.frame.with_columns(inverse=pl.lit(value=False))
    rows = [
        entities.select(pl.lit("entity").alias("kind"), *columns),
        selection.relations.frame.select(pl.lit("relation").alias("kind"), *columns),
    ]
    pl.concat(rows).write_parquet(path, metadata=_metadata(selection))


def write_safetensors(selection: Selection, path: Path) -> None:
    """Write ``entities`` and ``relations``, their columns as JSON in bytes, ``about`` as metadata.

    The JSON is a tensor, since the size of the header, which holds metadata, is limited.
    """
    tensors: dict[str, NDArray[Any]] = {}
    for kind, table in selection.both.items():
        columns = json.dumps(table.about.to_dict(as_series=False), ensure_ascii=False)
        tensors[kind] = table.vectors
        tensors[f"{kind}.json"] = np.frombuffer(columns.encode(), dtype=np.uint8)
    save_file(tensors, path, metadata=_metadata(selection))


def write_word2vec(selection: Selection, path: Path) -> None:
    """Write the entities as text: their number and width, then a line for each, its name first.

    White space in a name is percent-encoded, since it ends a name in this format. Numbers have nine
    digits, enough to restore every float32.

    Raises:
        DataError: If two rows would have the same name.
    """
    table = selection.entities
    words = _words(table)
    with pa.output_stream(str(path), compression=compression_of(path)) as output:
        output.write(f"{len(table)} {table.vectors.shape[1]}\n".encode())
        for part in selection.batches(table, "word2vec"):
            lines = [
                " ".join([word, *(f"{number:.9g}" for number in vector)])
                for word, vector in zip(words[part], table.vectors[part].tolist(), strict=True)
            ]
            output.write(("\n".join(lines) + "\n").encode())


def _metadata(selection: Selection) -> dict[str, str]:
    return {key: str(value) for key, value in selection.about.items()}


def _words(table: Table) -> list[str]:
    """Return the names without white space, each once."""
    words = pl.Series([_SPACE.sub(lambda x: quote(x[0]), x) for x in table.about["name"].to_list()])
    if words.n_unique() < len(words):
        twice = words.filter(words.is_duplicated())[0]
        raise DataError(
            f"word2vec text names each row by one word, and two rows have the name {twice!r}",
            remedy="Export one source at a time, with --sources, or choose another format",
        )
    return words.to_list()
