"""Terminal output: control characters, and characters that its encoding lacks, as escapes."""

from __future__ import annotations

import codecs
import json
import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

HIDDEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters with line breaks, marks of text direction, and lone surrogates."""


def visible(text: str) -> str:
    r"""Return text with hidden characters as JSON writes them, ``\u001b`` for an escape."""
    return HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def visible_lines(text: str) -> str:
    """Return text with hidden characters but line breaks as JSON writes them."""
    return "\n".join(map(visible, text.split("\n")))


def _escape(error: Any) -> tuple[str, int]:
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error("kgraft.escape", _escape)


def encodable(text: str, encoding: str) -> str:
    r"""Return text with characters that an encoding lacks as JSON writes them, ``\u6771``."""
    if encoding.lower().startswith("utf"):
        return text
    return text.encode(encoding, "kgraft.escape").decode(encoding)


def close_unwritable_output() -> None:
    """Lead standard output nowhere if it cannot be written, or Python fails again as it ends."""
    with suppress(AttributeError, OSError, ValueError):
        try:
            sys.stdout.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)


class OutputClosedError(BrokenPipeError):
    """Standard output leads to a program that reads no further."""


UNLIMITED = 1 << 20
"""Characters of a line off a terminal."""


class Terminal(Console):
    """A console without markup and emoji, on which hidden characters are visible.

    Line breaks are visible, too, where text is given as a plain string. Characters that its
    encoding lacks are escapes. Off a terminal lines have any length, so that piped output is
    complete.

    Args:
        stderr: Print to standard error.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False)
        if not (self.is_terminal or self.is_jupyter):
            self.width = UNLIMITED

    def on_broken_pipe(self) -> None:
        """Raise ``OutputClosedError``."""
        close_unwritable_output()
        raise OutputClosedError

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as it is printed, for its width."""
        return super().render_str(encodable(visible(text), self.encoding), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Return the segments of anything that is printed."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                text = encodable(visible_lines(segment.text), self.encoding)
                yield Segment(text, segment.style)
