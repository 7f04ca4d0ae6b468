"""Forms that are one file: NumPy, Parquet, safetensors, and the text format of word2vec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from safetensors.numpy import save_file

from kgraft.exporting.selection import Selection, Table
from kgraft.files import compression_of

_BOTH = ("entities", "relations")


def write_numpy(selection: Selection, path: Path) -> None:
    """Write an ``.npz``: ``entities``, ``relations``, their columns as text arrays, and ``about``.

    Columns are ``entities.name`` and so on; a missing label is an empty text. Nothing is pickled.
    """
    arrays: dict[str, NDArray[Any]] = {"about": np.array(json.dumps(selection.about))}
    for kind in _BOTH:
        table: Table = getattr(selection, kind)
        arrays[kind] = table.vectors
        for column in table.about:
            filled = column.fill_null("") if column.dtype == pl.String else column
            arrays[f"{kind}.{column.name}"] = np.array(filled.to_list())
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def write_parquet(selection: Selection, path: Path) -> None:
    """Write one table: kind, name, source, label, inverse, vector; ``about`` is its metadata."""
    frames = [
        getattr(selection, kind).frame.select(pl.lit(word).alias("kind"), pl.all())
        for kind, word in zip(_BOTH, ("entity", "relation"), strict=True)
    ]
    frames[0] = frames[0].with_columns(inverse=pl.lit(value=False)).select(frames[1].columns)
    about = {key: str(value) for key, value in selection.about.items()}
    pl.concat(frames).write_parquet(path, metadata=about)


def write_safetensors(selection: Selection, path: Path) -> None:
    """Write ``entities`` and ``relations``, their columns as JSON in bytes, ``about`` as metadata.

    The JSON is a tensor, as the header, where metadata is, may not grow with the rows.
    """
    tensors: dict[str, NDArray[Any]] = {}
    for kind in _BOTH:
        table: Table = getattr(selection, kind)
        columns = json.dumps(table.about.to_dict(as_series=False), ensure_ascii=False)
        tensors[kind] = table.vectors
        tensors[f"{kind}.json"] = np.frombuffer(columns.encode(), dtype=np.uint8)
    about = {key: str(value) for key, value in selection.about.items()}
    save_file(tensors, path, metadata=about)


def write_word2vec(selection: Selection, path: Path) -> None:
    """Write the entities as text: their number and width, then a line for each, its name first.

    White space in a name is percent-encoded, since it ends a name here. Numbers have the nine
    digits that give every float32 back.
    """
    table = selection.entities
    names = [_one_word(name) for name in selection.names("word2vec text")]
    with pa.output_stream(str(path), compression=compression_of(path)) as output:
        output.write(f"{len(table)} {table.vectors.shape[1]}\n".encode())
        for part in selection.batches(table, "word2vec"):
            lines = [
                " ".join([name, *(f"{number:.9g}" for number in vector)])
                for name, vector in zip(names[part], table.vectors[part].tolist(), strict=True)
            ]
            output.write(("\n".join(lines) + "\n").encode())


def _one_word(name: str) -> str:
    return "".join(
        "".join(f"%{byte:02X}" for byte in sign.encode()) if sign.isspace() else sign
        for sign in name
    )
