"""Tensors from a safetensors file, read into memory of their own."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from kgraft.system.files import open_regular

TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""Types of tensors by their names in a file."""


@dataclass(frozen=True)
class TensorFile:
    """The content of a safetensors file when it was read.

    Args:
        tensors: Its tensors by name.
        metadata: Its texts by name.
        size: Its bytes.
        sha256: The digest of all that was read, in hexadecimal.
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    size: int
    sha256: str


def read_tensor_file(path: Path) -> TensorFile:
    """Read a safetensors file from beginning to end.

    The library's reader maps a file into memory instead. What is cut off later then ends the
    process by SIGBUS, and what is overwritten changes the tensors after they were verified.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no whole safetensors file.
    """
    digest = hashlib.sha256()
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        fill = _filler(file, digest.update)
        length = int.from_bytes(fill(bytearray(8)), "little")
        if size < 8 + length:
            raise ValueError("the header is cut off")
        header = json.loads(fill(bytearray(length)))
        metadata = header.pop("__metadata__", {})
        entries = sorted(header.items(), key=lambda entry: entry[1]["data_offsets"])
        tensors, at = {}, 0
        for name, entry in entries:
            tensor = _tensor_of(name, entry, at, size - 8 - length)
            at = entry["data_offsets"][1]
            # Bytes, since NumPy has no bfloat16.
            fill(tensor.view(-1).view(torch.uint8).numpy() if tensor.numel() else bytearray())
            tensors[name] = tensor
        if 8 + length + at != size or file.read(1):
            raise ValueError("the file is longer than its tensors")
    return TensorFile(tensors, metadata, size, digest.hexdigest())


def _filler(file: BinaryIO, hashed: Callable[[Any], None]) -> Callable[[Any], Any]:
    """Return a function that fills a buffer with a file's next bytes, hashes and returns it."""

    def fill(buffer: Any) -> Any:
        view, at = memoryview(buffer), 0
        while at < len(view):
            piece = view[at : at + (1 << 24)]
            count = file.readinto(piece)  # type: ignore[attr-defined]
            if not count:
                raise ValueError("the file is cut off")
            hashed(piece[:count])
            at += count
        return buffer

    return fill


def _tensor_of(name: str, entry: dict[str, Any], begin: int, size: int) -> Tensor:
    """Return an empty tensor for an entry of the header, whose bytes begin where others end."""
    kind, shape, (first, last) = TYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
    whole = all(isinstance(x, int) and x >= 0 for x in (*shape, first, last))
    if not whole or first != begin or last > size:
        raise ValueError(f"the place of {name!r} is wrong")
    if last - first != math.prod(shape) * kind.itemsize:
        raise ValueError(f"{name!r} has more or fewer bytes than its shape says")
    return torch.empty(shape, dtype=kind)
