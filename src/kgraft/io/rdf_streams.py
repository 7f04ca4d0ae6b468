"""Streams of bytes that guard a parser of RDF."""

from __future__ import annotations

import codecs
import io
import re
from pathlib import Path
from typing import BinaryIO, Final, cast
from xml.parsers import expat

from kgraft.errors import DataError
from kgraft.system.files import refuse_utf_16


def skip_mark(stream: BinaryIO, path: Path) -> None:
    """Read over a byte order mark of UTF-8 at a stream's start; that of UTF-16 is an error."""
    buffered = cast("io.BufferedReader", stream)
    refuse_utf_16(buffered.peek(2), path)
    if buffered.peek(len(codecs.BOM_UTF8)).startswith(codecs.BOM_UTF8):
        buffered.read(len(codecs.BOM_UTF8))


class GuardedXml:
    """RDF/XML that has an end, no entity that is long or made of others, and is not very deep."""

    _DECLARATION: Final = re.compile(rb"<!ENTITY[^>]*(>?)")
    _LONGEST: Final = 300
    _DEEPEST: Final = 10_000
    _AMPLIFIED: Final = 43
    """Expat's code for entities that become more than a hundred times the file."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._before = b""
        # The parser of RDF takes an end within an element for the document's.
        self._elements: expat.XMLParserType | None = expat.ParserCreate()
        self._elements.StartElementHandler = self._begin
        self._elements.EndElementHandler = self._end
        self._depth = 0

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
        self._follow(content, is_last=False)
        return content

    def _begin(self, _: str, __: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > self._DEEPEST:
            raise DataError(
                f"elements are nested more than {self._DEEPEST:,} deep",
                remedy="Write it in another syntax, as N-Triples",
                path=self._path,
            )

    def _end(self, _: str) -> None:
        self._depth -= 1

    def check_end(self) -> None:
        """Raise DataError if the outermost element is not closed."""
        while self.read(1 << 20):
            pass
        self._follow(b"", is_last=True)

    def _follow(self, content: bytes, *, is_last: bool) -> None:
        if self._elements is None:
            return
        try:
            self._elements.Parse(content, is_last)
        except expat.ExpatError as error:
            self._elements = None
            if error.code == self._AMPLIFIED:
                raise DataError(
                    "XML entities are used for too much text",
                    remedy="Write the text in their place",
                    path=self._path,
                    line=error.lineno,
                ) from error
            if is_last:
                raise DataError(
                    "the file ends before its outermost element is closed",
                    remedy="Fetch or write it again: it was cut off",
                    path=self._path,
                    line=error.lineno,
                ) from error
