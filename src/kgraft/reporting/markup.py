"""Elements of HTML and SVG as text; whatever is not markup yet is escaped."""

from __future__ import annotations

import re
from html import escape

_VOID = frozenset({"meta", "br", "hr"})
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")


class Markup(str):
    """Text that is markup, and goes into other markup as it is."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: object) -> Markup:
    """Return an element, well-formed as HTML and as XML.

    Args:
        name: The element's name.
        *children: What is in it; text that is no ``Markup`` is escaped.
        **attributes: By name; ``text_anchor`` becomes ``text-anchor``, ``class_`` becomes
            ``class``, and one that is None is left out.
    """
    named = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_escaped(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{named} />")
    return Markup(f"<{name}{named}>{together(children)}</{name}>")


def together(parts: tuple[str, ...] | list[str]) -> Markup:
    """Return parts one after the other; text that is no ``Markup`` is escaped."""
    return Markup("".join(x if isinstance(x, Markup) else _escaped(x) for x in parts))


def _escaped(text: str) -> str:
    # Neither HTML nor XML can hold control characters, and labels may.
    return escape(_CONTROLS.sub("\ufffd", text))
