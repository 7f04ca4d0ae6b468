"""Files as streams of bytes: compression looked through on reading, whole files on writing."""

from __future__ import annotations

import io
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from kgraft.errors import DataError

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
"""Compression by the ending of a file's name."""


def compression_of(path: Path) -> str | None:
    """Return the compression that the ending of ``path`` names, or None."""
    return COMPRESSIONS.get(path.suffix.lower())


def content_ending(path: Path) -> str:
    """Return the ending that names the content: ``.tsv`` for ``facts.TSV.gz``."""
    inner = Path(path.stem) if compression_of(path) else path
    return inner.suffix.lower()


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a file to read its bytes, decompressed as its ending says.

    Raises:
        DataError: If the file is missing, is a directory, or cannot be read or decompressed,
            also while the block reads.
    """
    if path.is_dir():
        raise DataError("this is a directory", remedy="Name a file in it", path=path)
    try:
        with pa.input_stream(os.fspath(path), compression=compression_of(path)) as stream:
            yield io.BufferedReader(stream, buffer_size=1 << 20)
    except FileNotFoundError:
        raise DataError("there is no such file", remedy="Check the path", path=path) from None
    except OSError as error:
        raise DataError(
            f"the file cannot be read ({error})",
            remedy="Check that it is complete and that its ending names its compression",
            path=path,
        ) from error


def read_text(path: Path) -> str:
    """Return the whole text of a file, decompressed, without a byte order mark.

    Raises:
        DataError: If the file cannot be read, or with the line that is not UTF-8.
    """
    with open_bytes(path) as stream:
        content = stream.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            "the line is not UTF-8",
            remedy="Convert the file to UTF-8, for example with iconv",
            path=path,
            line=content.count(b"\n", 0, error.start) + 1,
        ) from error


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; it becomes ``path`` when the block ends well.

    Readers see the old file or the whole new one, never a part. When the block raises, nothing
    is left behind. The temporary name keeps the endings of ``path``; missing parent directories
    are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    # The new name reaches the disk with its directory; Windows has no such call.
    if os.name == "posix":
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def check_empty(directory: Path) -> None:
    """Make sure that nothing would be lost by writing to a directory, before long work begins.

    Raises:
        DataError: If there is something.
    """
    if directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        raise DataError("there is something here already", remedy="Name another", path=directory)


@contextmanager
def write_directory(directory: Path) -> Iterator[Path]:
    """Yield a new directory beside ``directory``; it takes its place when the block ends well.

    When the block raises, nothing is left behind, and what stood in the place before still does.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    token = uuid.uuid4().hex
    temporary, old = (directory.with_name(f".{token}.{x}.{directory.name}") for x in ("new", "old"))
    temporary.mkdir()
    try:
        yield temporary
        for written in temporary.rglob("*"):
            if written.is_dir():
                continue
            with written.open("rb+") as file:
                os.fsync(file.fileno())
        if directory.exists():
            directory.rename(old)
        temporary.rename(directory)
    except BaseException:
        if old.exists() and not directory.exists():
            old.rename(directory)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if directory.exists():
            shutil.rmtree(old, ignore_errors=True)
    _sync_directory(directory.parent)
