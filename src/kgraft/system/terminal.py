"""The terminal, on which what comes from data is shown and never obeyed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

HIDDEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, line breaks among them, what turns the direction of text, and halves of
characters, which no terminal can be sent."""


def visible(text: str) -> str:
    r"""Return text with hidden characters as JSON writes them, ``\u001b`` for an escape."""
    return HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def visible_lines(text: str) -> str:
    """Return the same of text whose line breaks are meant."""
    return "\n".join(map(visible, text.split("\n")))


UNLIMITED = 1 << 20
"""Characters of a line off a terminal."""


class Terminal(Console):
    """A console for names from data: what looks like a style or an emoji in them is neither.

    Hidden characters are made visible, line breaks too where text is given as a plain string.
    Off a terminal lines have any length, so that what is piped is complete.

    Args:
        stderr: Whether it is standard error.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False)
        if not (self.is_terminal or self.is_jupyter):
            self.width = UNLIMITED

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as what is printed, and as wide as that."""
        return super().render_str(visible(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Return the pieces of anything that is printed; none comes another way."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(visible_lines(segment.text), segment.style)
