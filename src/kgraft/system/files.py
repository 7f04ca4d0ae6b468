"""Files for reading: decompressed, and within bounds."""

from __future__ import annotations

import codecs
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from kgraft.errors import DataError
from kgraft.system.memory import require_for_file
from kgraft.system.threads import Map

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
"""Compression by the ending of a file's name."""

EXPANSION = 200
"""Largest ratio of a file's content in memory to its size; a larger one is a bomb."""

UNSUSPECTED = 1 << 28
"""Bytes of content that are always allowed."""

CHECKED = 1 << 24
"""Bytes of a piece that has a checksum of its own."""


def compression_of(path: Path) -> str | None:
    """Return the compression that a path's ending names, or None."""
    return COMPRESSIONS.get(path.suffix.lower())


def content_ending(path: Path) -> str:
    """Return the ending before one of compression: ``.tsv`` for ``facts.TSV.gz``."""
    inner = Path(path.stem) if compression_of(path) else path
    return inner.suffix.lower()


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading bytes as they are.

    A pipe or device, which may keep its reader waiting or never end, is refused without a wait.

    Raises:
        OSError: If it cannot be opened.
        DataError: If it is no regular file.
    """
    # Without O_NONBLOCK a pipe waits for its writer here.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise DataError("this is no regular file", remedy="Name a file", path=path)
    return os.fdopen(handle, "rb")


def checksum(path: Path) -> dict[str, Any]:
    """Return a regular file's size and SHA-256."""
    with open_regular(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    return {"bytes": path.stat().st_size, "sha256": digest}


def checksum_of_pieces(path: Path, over_threads: Map) -> dict[str, Any]:
    """Return a file's size, and the SHA-256 of the SHA-256s of its pieces of ``CHECKED`` bytes.

    Args:
        path: The file.
        over_threads: Maps over the pieces, each of which a thread reads.
    """
    size = path.stat().st_size

    def digest(begin: int) -> bytes:
        with open_regular(path) as file:
            file.seek(begin)
            return hashlib.sha256(file.read(CHECKED)).digest()

    digests = over_threads(digest, range(0, size, CHECKED))
    return {"bytes": size, "sha256_of_pieces": hashlib.sha256(b"".join(digests)).hexdigest()}


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes, decompressed by its ending.

    Raises:
        DataError: If the file is missing, is no regular file, or cannot be read or
            decompressed, also while the block reads, or if it becomes more than ``EXPANSION``
            times its size.
    """
    if "\0" in str(path):
        raise DataError("no file has such a name", remedy="Check the path", path=path)
    try:
        if path.is_dir():
            raise DataError("this is a directory", remedy="Name a file in it", path=path)
        if path.exists() and not path.is_file():
            raise DataError("this is no regular file", remedy="Name a file", path=path)
        if path.exists() and not path.stat().st_size:
            # Files of the system, as its log, may say so and never end.
            yield io.BufferedReader(io.BytesIO())
            return
        with pa.input_stream(os.fspath(path), compression=compression_of(path)) as stream:
            raw = _Bounded(stream, path) if compression_of(path) else stream
            yield io.BufferedReader(raw, buffer_size=1 << 20)
    except FileNotFoundError:
        raise DataError("there is no such file", remedy="Check the path", path=path) from None
    except PermissionError:
        raise DataError(
            "this user may not read it", remedy="Ask for the right to read it", path=path
        ) from None
    except OSError as error:
        raise DataError(
            f"the file cannot be read ({error})",
            remedy="Check that it is complete and that its ending names its compression",
            path=path,
        ) from error


class Growth:
    """The bytes that a file's content may have beyond those that were counted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.left = max(UNSUSPECTED, EXPANSION * path.stat().st_size)

    def add(self, count: int) -> None:
        """Count bytes, and raise DataError where they are too many."""
        self.left -= count
        if self.left < 0:
            raise DataError(
                f"the content becomes more than {EXPANSION} times the file's size",
                remedy="Write it as plain TSV or N-Triples, if that is meant",
                path=self._path,
            )


class _Bounded(io.RawIOBase):
    """Decompressed stream that fails where it is a decompression bomb."""

    def __init__(self, stream: pa.NativeFile, path: Path) -> None:
        self._stream = stream
        self._growth = Growth(path)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer, and return the number of bytes."""
        count = int(self._stream.readinto(buffer))
        self._growth.add(count)
        return count


def read_bytes(path: Path) -> bytes:
    """Return all bytes of a file, decompressed.

    Raises:
        DataError: If the file cannot be read, or does not fit into free memory.
    """
    with open_bytes(path) as stream:
        content = io.BytesIO()
        while piece := stream.read(1 << 26):
            require_for_file(path, len(piece))
            content.write(piece)
    return content.getvalue()


def refuse_utf_16(begin: bytes, path: Path) -> None:
    """Raise DataError for the byte order mark of UTF-16 at a file's beginning."""
    if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(
            'the text is UTF-16, as spreadsheets save "Unicode text", not UTF-8',
            remedy="Save it as UTF-8, or convert it: iconv -f UTF-16 -t UTF-8",
            path=path,
            line=1,
        )


def read_text(path: Path) -> str:
    """Return the whole text of a file, decompressed, without a byte order mark.

    Raises:
        DataError: If the file cannot be read, or with the line that is not UTF-8.
    """
    content = read_bytes(path)
    refuse_utf_16(content[:2], path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            "the line is not UTF-8",
            remedy="Convert the file to UTF-8, for example with iconv",
            path=path,
            line=content.count(b"\n", 0, error.start) + 1,
        ) from error
