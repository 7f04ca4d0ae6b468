"""Vectors in the text format of word2vec, which GloVe, fastText and RDF2Vec write too."""

from __future__ import annotations

import codecs
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.errors import DataError
from kgraft.system.files import open_bytes

LINES: Final = 1 << 13
"""Lines that are read at a time."""

SIZES: Final = re.compile(rb"\s*(\d{1,12})\s+(\d{1,6})\s*")
"""A first line that says how many vectors follow, and of how many numbers."""

MAX_LINE: Final = 1 << 22
"""The maximum number of bytes of a line."""


@dataclass(frozen=True, eq=False)
class Block:
    """Some vectors of a file.

    Args:
        names: Their names, String ``(n,)``.
        rows: ``(n, D)``.
        lines: Their lines, where the file has lines, ``(n,)``.
    """

    names: pl.Series
    rows: NDArray[Any]
    lines: NDArray[np.int64] | None = None


def word_vectors(path: Path) -> Iterator[Block]:
    """Read vectors, a line each: the name, which may have blanks, and its numbers.

    Raises:
        DataError: With the line, if it has no name, a different number of numbers, or something
            else than numbers; or if the first line counts more vectors than follow.
    """
    with open_bytes(path) as stream:
        first = _line(stream, path, 1).removeprefix(codecs.BOM_UTF8)
        sizes = SIZES.fullmatch(first.rstrip(b"\r\n"))
        width = int(sizes[2]) if sizes else len(first.split()) - 1
        if width < 1:
            raise _wrong(path, 1, "this is no name with numbers behind it")
        begin = 2 if sizes else 1
        rest = _lines(stream, path)
        numbered = enumerate(rest if sizes else chain([first], rest), start=begin)
        filled = ((number, line) for number, line in numbered if line.strip())
        count = 0
        for lines in _batches(filled):
            count += len(lines)
            yield _block(lines, width, path)
    if sizes and count != int(sizes[1]):
        raise DataError(
            f"the first line counts {int(sizes[1]):,} vectors, and {count:,} follow",
            remedy="Check that the file was written completely, or correct the number",
            path=path,
            line=1,
        )


def _batches(lines: Iterator[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    while batch := [x for _, x in zip(range(LINES), lines, strict=False)]:
        yield batch


def _lines(stream: BinaryIO, path: Path) -> Iterator[bytes]:
    number = 2
    while line := _line(stream, path, number):
        yield line
        number += 1


def _line(stream: BinaryIO, path: Path, number: int) -> bytes:
    line = stream.readline(MAX_LINE)
    if len(line) == MAX_LINE:
        raise _wrong(path, number, f"it has more than {MAX_LINE:,} characters")
    return line


def _block(lines: list[tuple[int, bytes]], width: int, path: Path) -> Block:
    cells = [line.rsplit(None, width) for _, line in lines]
    names = []
    for (number, line), found in zip(lines, cells, strict=True):
        if len(found) != width + 1:
            n = len(line.split()) - 1
            raise _wrong(path, number, f"it has {max(n, 0)} numbers behind a name, not {width}")
        try:
            names.append(found[0].decode().strip())
        except UnicodeDecodeError:
            raise _wrong(path, number, "the name is not UTF-8") from None
    text = b" ".join(b" ".join(found[1:]) for found in cells).decode("latin-1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is no number, which is found below
        try:
            numbers = np.fromstring(text, dtype=np.float32, sep=" ")
        except ValueError:
            numbers = np.empty(0, np.float32)
    if numbers.size != len(lines) * width:
        raise _not_a_number(lines, cells, path)
    places = np.array([number for number, _ in lines], dtype=np.int64)
    return Block(pl.Series(names, dtype=pl.String), numbers.reshape(-1, width), places)


def _not_a_number(
    lines: list[tuple[int, bytes]], cells: list[list[bytes]], path: Path
) -> DataError:
    """Return the error of the first cell that is no number."""
    for (number, _), found in zip(lines, cells, strict=True):
        for cell in found[1:]:
            try:
                float(cell)
            except ValueError:
                shown = cell.decode("utf-8", "replace")[:40]
                return _wrong(path, number, f"{shown!r} is no number")
    return _wrong(path, lines[0][0], "it, or one after it, has something else than numbers")


def _wrong(path: Path, line: int, problem: str) -> DataError:
    return DataError(
        problem,
        remedy="Give a name and its numbers a line, the same number of them in each",
        path=path,
        line=line,
    )
