"""Large arrays in files of NumPy's: written piece by piece, and read through a memory map.

The system drops pages of a mapped array where memory is short.
"""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.lib.format import header_data_from_array_1_0, write_array_header_1_0
from numpy.typing import NDArray

from kgraft.system.threads import thread_map

R = TypeVar("R")

PIECE = 1 << 20
"""Rows that are in memory at once."""


def write_pieces(path: Path, pieces: Iterable[NDArray[Any]], like: NDArray[Any], rows: int) -> None:
    """Write an array's pieces, one after the other.

    Args:
        path: The file.
        pieces: The pieces, ``rows`` rows together.
        like: An array of the same kind, of any number of rows.
        rows: Number of rows.

    Raises:
        ValueError: If the pieces have more or fewer rows.
    """
    header = header_data_from_array_1_0(np.ascontiguousarray(like[:0]))
    header["shape"] = (rows, *like.shape[1:])
    written = 0
    with path.open("wb") as file:
        write_array_header_1_0(file, header)
        for piece in pieces:
            np.ascontiguousarray(piece, dtype=like.dtype).tofile(file)
            written += len(piece)
    if written != rows:
        raise ValueError(f"{written:,} rows were written, not {rows:,}")


def spilled(pieces: Iterable[NDArray[Any]], like: NDArray[Any], rows: int) -> NDArray[Any]:
    """Write an array's pieces to a temporary file, and return it as a memory map.

    The file is in the directory of ``tempfile``, which TMPDIR names, and has no name any more: it
    goes when the array does. Arguments and errors are those of ``write_pieces``.
    """
    handle, name = tempfile.mkstemp(suffix=".npy")
    os.close(handle)
    try:
        write_pieces(Path(name), pieces, like, rows)
        return mapped(Path(name))
    finally:
        with suppress(PermissionError):  # of Windows, where a mapped file keeps its name
            Path(name).unlink()


def mapped(path: Path) -> NDArray[Any]:
    """Return the array of a file, which cannot be written to, as a memory map.

    Raises:
        ValueError: If the file holds no array, or less than its beginning says.
    """
    found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return found


def is_mapped(array: NDArray[Any]) -> bool:
    """Return True for the whole of a file's array, not of a part of it."""
    return isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap)


def move_or_write(array: NDArray[Any], path: Path, spill: Path) -> None:
    """Give an array a file: its own one if that is in ``spill``, or a new one."""
    if is_mapped(array):
        move_or_copy(Path(array.filename), path, spill)  # type: ignore[attr-defined]
    else:
        write_pieces(path, pieces_of(array), array, len(array))


def move_or_copy(file: Path, path: Path, spill: Path) -> None:
    """Move a file that is in ``spill``, or copy one that is elsewhere."""
    if spill in file.parents:
        shutil.move(file, path)
    else:
        shutil.copyfile(file, path)


def pieces_of(array: NDArray[Any]) -> Iterable[NDArray[Any]]:
    """Yield an array in pieces of ``PIECE`` rows, and let go of those that were read."""
    for start in range(0, len(array), PIECE):
        yield array[start : start + PIECE]
        release(array)


def over_pieces(work: Callable[[NDArray[Any]], R], array: NDArray[Any]) -> list[R]:
    """Return what ``work`` makes of each piece of ``PIECE`` rows, in order, made over threads."""

    def of_piece(start: int) -> R:
        found = work(array[start : start + PIECE])
        release(array)
        return found

    with thread_map() as over_threads:
        return list(over_threads(of_piece, range(0, len(array), PIECE)))


def whole_positions(positions: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return positions within the pieces of an array as positions in it, in order."""
    whole = [place + number * PIECE for number, place in enumerate(positions)]
    return np.concatenate(whole) if whole else np.empty(0, dtype=np.int64)


def positions_where(
    mask: Callable[[NDArray[Any]], NDArray[np.bool_]], array: NDArray[Any]
) -> NDArray[np.int64]:
    """Return the positions, in order, of an array's rows that a mask of each piece picks."""
    return whole_positions(over_pieces(lambda piece: np.flatnonzero(mask(piece)), array))


def take_rows(array: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return rows of an array, given in order; those of a mapped one are read piece by piece.

    The pages around each row, which the system maps with it, may else be all of a large file.
    """
    if not is_mapped(array):
        return array[rows]
    found = []
    for start in range(0, len(array), PIECE):
        first, end = np.searchsorted(rows, [start, start + PIECE])
        if first < end:
            found.append(array[rows[first:end]])
            release(array)
    return np.concatenate(found) if found else array[rows]


def release(*arrays: NDArray[Any]) -> None:
    """Let the system take back the pages of mapped arrays; what is read again comes from files."""
    for array in arrays:
        if is_mapped(array) and hasattr(mmap, "MADV_DONTNEED"):
            array.base.madvise(mmap.MADV_DONTNEED)  # type: ignore[union-attr]
