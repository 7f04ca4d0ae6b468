"""Streams of bytes that guard a parser of RDF."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO, Final

from kgraft.errors import DataError


class WithoutEntityBombs:
    """RDF/XML without entity bombs: no entity is long or made of others."""

    _DECLARATION: Final = re.compile(rb"<!ENTITY[^>]*(>?)")
    _LONGEST: Final = 1000

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._before = b""

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        content = self._stream.read(size)
        seen = self._before + content
        for found in self._DECLARATION.finditer(seen):
            value = found[0].replace(b"&#", b"")
            if len(value) > self._LONGEST or (found[1] and b"&" in value):
                raise DataError(
                    "an XML entity is made of other entities, or is long",
                    remedy="Write the text in its place",
                    path=self._path,
                )
        # A declaration may continue in the next bytes.
        self._before = seen[-2 * self._LONGEST :]
        return content
