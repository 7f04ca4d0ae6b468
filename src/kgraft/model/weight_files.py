"""The weights of a model directory: one safetensors file, or shards of it with an index.

Shards have the layout of the Hugging Face Hub: ``weights-00001-of-00003.safetensors``, and
``weights.safetensors.index.json``, whose ``weight_map`` says which file has which tensor. Of the
entity table each shard has some rows, as ``entities.FIRST``, the number of the first of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from kgraft.errors import ModelDirectoryError
from kgraft.model.manifest import read_verified_tensors
from kgraft.model.stored_vectors import StoredRows
from kgraft.model.tensor_file import StoredTensor
from kgraft.system.memory import available

WEIGHTS: Final = "weights.safetensors"

INDEX: Final = "weights.safetensors.index.json"

SHARD_BYTES: Final = 1 << 30
"""The most bytes of entity vectors in a file, which is put together in memory."""

TABLE: Final = "entities"
"""The tensor that shards have rows of."""

BLOCK_ROWS: Final = 1 << 16
"""Rows of a table that are checked at a time."""


def write_weights(
    tensors: Mapping[str, Tensor | StoredRows], directory: Path, shard_bytes: int = SHARD_BYTES
) -> None:
    """Write weights to one file, or to shards if the entity table is larger than one may be.

    Of a table that is stored elsewhere, the rows of one file are in memory at a time.
    """
    table = tensors[TABLE]
    others = {
        name: value.contiguous()
        for name, value in tensors.items()
        if name != TABLE and isinstance(value, Tensor)
    }
    n_rows, width = table.shape
    step = max(1, shard_bytes // max(1, width * table.dtype.itemsize))
    if n_rows <= step:
        save_file({TABLE: _rows(table, 0, n_rows), **others}, directory / WEIGHTS)
        return
    starts = range(0, n_rows, step)
    where: dict[str, str] = {}
    for number, first in enumerate(starts, 1):
        name = f"weights-{number:05}-of-{len(starts):05}.safetensors"
        last = min(first + step, n_rows)
        shard = {f"{TABLE}.{first}": _rows(table, first, last), **others}
        save_file(shard, directory / name)
        where |= dict.fromkeys(shard, name)
        others = {}
    size = sum(map(bytes_of, tensors.values()))
    index = {"metadata": {"total_size": size}, "weight_map": where}
    (directory / INDEX).write_text(json.dumps(index, indent=2), encoding="utf-8")


def _rows(table: Tensor | StoredRows, first: int, last: int) -> Tensor:
    if isinstance(table, Tensor):
        return table[first:last].contiguous()
    return table.rows(np.arange(first, last))


def bytes_of(value: Tensor | StoredRows) -> int:
    """Return the bytes of a tensor, or of a table that is stored."""
    return math.prod(value.shape) * value.dtype.itemsize


def weight_files(names: Iterable[str]) -> list[str]:
    """Return the names of a directory's files that hold weights, at least one."""
    shards = sorted(x for x in names if x.startswith("weights-") and x.endswith(".safetensors"))
    return shards or [WEIGHTS]


def read_weights(
    directory: Path, checksums: Mapping[str, Any], *, leave: bool = False
) -> tuple[dict[str, Tensor], StoredRows | None]:
    """Read what ``write_weights`` has written, verified by the manifest's checksums.

    Args:
        directory: The model directory.
        checksums: The manifest's checksum of each file.
        leave: Whether the entity table stays in the files.

    Returns:
        The weights by name; and the entity table, where it was left in its files.

    Raises:
        ModelDirectoryError: As ``read_verified_tensors``, or if there is too little memory.
        ValueError: If the files are no whole shards, or some weights are no finite numbers.
    """
    names = weight_files(checksums)
    leave_table = leave or names != [WEIGHTS]
    weights: dict[str, Tensor] = {}
    stored: dict[int, StoredTensor] = {}
    if not leave:
        _require_memory([directory / name for name in names])
    for name in names:
        file = read_verified_tensors(
            directory / name,
            checksums.get(name),
            leave=lambda tensor: leave_table and tensor.partition(".")[0] == TABLE,
            looked_at=check_finite,
        )
        weights |= file.tensors
        stored |= {int(x.partition(".")[2] or 0): kept for x, kept in file.stored.items()}
    for value in weights.values():
        for block in torch.split(value, BLOCK_ROWS) if value.ndim else [value]:
            check_finite(block)
    if not stored:
        return weights, None
    parts = [stored[first] for first in sorted(stored)]
    rows = StoredRows(parts)
    if sorted(stored) != rows.starts:
        raise ValueError("a shard of the weights is missing, or too much")
    if leave:
        return weights, rows
    return {**weights, TABLE: rows.whole()}, None


def _require_memory(paths: Sequence[Path]) -> None:
    """Check that the weights fit into memory.

    Raises:
        ModelDirectoryError: If they do not.
    """
    size, free = sum(path.stat().st_size for path in paths if path.is_file()), available()
    if size > free:
        raise ModelDirectoryError(
            f"{paths[0]}: the weights take {size / 2**30:,.1f} GiB of memory, and "
            f"{free / 2**30:,.1f} are free. Take a larger machine."
        )


def check_finite(block: Tensor) -> None:
    """Check that numbers are finite.

    Raises:
        ValueError: If some are not.
    """
    if not block.isfinite().all():
        raise ValueError("some weights are no finite numbers")
