"""Texts of graphs as data for assistants: without hidden characters, and of bounded length."""

from __future__ import annotations

import re
from typing import Any

from kgraft.system.terminal import HIDDEN

MAX_TEXT = 500
"""Characters of a text that an assistant receives or sends."""

_INVISIBLE = re.compile(
    f"{HIDDEN.pattern[:-1]}\xad\u180e\u200b\u2060-\u2065\u206a-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
"""Characters that no reader sees, tags and variation selectors too, in which text can be hidden."""


def cleaned_text(text: str) -> str:
    """Return a text on one line, without invisible characters, cut off at ``MAX_TEXT``."""
    text = _INVISIBLE.sub(lambda found: " " if found[0].isspace() else "", text)
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def cleaned(data: Any) -> Any:
    """Return JSON data with all its texts cleaned.

    An entity whose name changes by that cannot be asked for by it, and is marked so.
    """
    match data:
        case str():
            return cleaned_text(data)
        case list():
            return [cleaned(x) for x in data]
        case {"name": str(name), "queryable": _} if cleaned_text(name) != name:
            return {**{key: cleaned(x) for key, x in data.items()}, "queryable": False}
        case dict():
            return {cleaned_text(key): cleaned(x) for key, x in data.items()}
    return data
