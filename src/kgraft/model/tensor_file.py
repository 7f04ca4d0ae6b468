"""Tensors from a safetensors file, read into memory of their own or left in the file."""

from __future__ import annotations

import hashlib
import json
import math
import os
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
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


BLOCK_BYTES = 1 << 24
"""Bytes that are read at a time; a whole number of elements of each type."""


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor in an open file, which stays readable when another takes the file's name.

    Args:
        path: The name that the file was opened by.
        descriptor: That of the file, which is closed with the tensor.
        offset: Where the tensor begins, in bytes.
        shape: Its shape.
        dtype: Its type.
        state: The file's size and time of change when it was read.
    """

    path: Path
    descriptor: int
    offset: int
    shape: tuple[int, ...]
    dtype: torch.dtype
    state: tuple[int, int]

    def __post_init__(self) -> None:
        weakref.finalize(self, os.close, self.descriptor)

    def read(self, first: int, last: int) -> Tensor:
        """Return rows ``first`` to ``last``, the latter not included, as they are in the file.

        Raises:
            ValueError: If the file was changed or cut off since it was first read.
        """
        found = torch.empty(last - first, *self.shape[1:], dtype=self.dtype)
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        view: Any = found.view(-1).view(torch.uint8).numpy()
        at = self.offset + first * row
        while len(view):
            count = os.preadv(self.descriptor, [view[:BLOCK_BYTES]], at)
            if not count:
                raise ValueError("the file is cut off")
            view, at = view[count:], at + count
        if _file_state(self.descriptor) != self.state:
            raise ValueError("the file was changed since it was opened")
        return found


@dataclass(frozen=True)
class TensorFile:
    """The content of a safetensors file when it was read.

    Args:
        tensors: Its tensors by name.
        metadata: Its texts by name.
        size: Its bytes.
        sha256: The digest of all that was read, in hexadecimal.
        stored: The tensors that were left in it.
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    size: int
    sha256: str
    stored: dict[str, StoredTensor] = field(default_factory=dict)


def read_tensor_file(
    path: Path,
    *,
    leave: Callable[[str], bool] | None = None,
    looked_at: Callable[[Tensor], None] | None = None,
) -> TensorFile:
    """Read a safetensors file from beginning to end.

    The library's reader maps a file into memory instead. What is cut off later then ends the
    process by SIGBUS, and what is overwritten changes the tensors after they were verified.

    Args:
        path: The file.
        leave: Says by its name whether a tensor is left in the file, and read for the digest only;
            by default none is.
        looked_at: Is called with the elements of such tensors, a block at a time.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no whole safetensors file.
    """
    digest = hashlib.sha256()
    with open_regular(path) as file:
        state = _file_state(file.fileno())
        size, stored = state[0], {}
        fill = _filler(file, digest.update)
        length = int.from_bytes(fill(bytearray(8)), "little")
        if size < 8 + length:
            raise ValueError("the header is cut off")
        header = json.loads(fill(bytearray(length)))
        metadata = header.pop("__metadata__", {})
        entries = sorted(header.items(), key=lambda entry: entry[1]["data_offsets"])
        tensors, at = {}, 0
        for name, entry in entries:
            kind, shape = _check_place(name, entry, at, size - 8 - length)
            begin, at = 8 + length + at, entry["data_offsets"][1]
            if leave is not None and leave(name):
                kept = os.dup(file.fileno())
                stored[name] = StoredTensor(path, kept, begin, shape, kind, state)
                _read_through(math.prod(shape), kind, fill, looked_at)
                continue
            tensor = torch.empty(shape, dtype=kind)
            # Bytes, since NumPy has no bfloat16.
            fill(tensor.view(-1).view(torch.uint8).numpy() if tensor.numel() else bytearray())
            tensors[name] = tensor
        if 8 + length + at != size or file.read(1):
            raise ValueError("the file is longer than its tensors")
    return TensorFile(tensors, metadata, size, digest.hexdigest(), stored)


def _file_state(descriptor: int) -> tuple[int, int]:
    about = os.fstat(descriptor)
    return about.st_size, about.st_mtime_ns


def _read_through(
    count: int,
    kind: torch.dtype,
    fill: Callable[[Any], Any],
    looked_at: Callable[[Tensor], None] | None,
) -> None:
    """Read a number of elements through one block of memory."""
    block = torch.empty(min(count, BLOCK_BYTES // kind.itemsize), dtype=kind)
    while count:
        part = block[:count]
        fill(part.view(torch.uint8).numpy())
        if looked_at is not None:
            looked_at(part)
        count -= len(part)


def _filler(file: BinaryIO, hashed: Callable[[Any], None]) -> Callable[[Any], Any]:
    """Return a function that fills a buffer with a file's next bytes, hashes and returns it."""

    def fill(buffer: Any) -> Any:
        view, at = memoryview(buffer), 0
        while at < len(view):
            piece = view[at : at + BLOCK_BYTES]
            count = file.readinto(piece)  # type: ignore[attr-defined]
            if not count:
                raise ValueError("the file is cut off")
            hashed(piece[:count])
            at += count
        return buffer

    return fill


def _check_place(
    name: str, entry: dict[str, Any], begin: int, size: int
) -> tuple[torch.dtype, tuple[int, ...]]:
    """Return the type and shape of an entry of the header, whose bytes begin where others end."""
    kind, shape, (first, last) = TYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
    whole = all(isinstance(x, int) and x >= 0 for x in (*shape, first, last))
    if not whole or first != begin or last > size:
        raise ValueError(f"the place of {name!r} is wrong")
    if last - first != math.prod(shape) * kind.itemsize:
        raise ValueError(f"{name!r} has more or fewer bytes than its shape says")
    return kind, tuple(shape)
