"""Normal forms of names: without case, punctuation, accents and script."""

from __future__ import annotations

import re
import unicodedata
from types import ModuleType
from typing import Final

from kgraft.errors import KgraftError

_REMARK: Final = re.compile(r"\s*[(\[(【][^()\[\]()【】]*[)\])】]\s*$")
_WORDS: Final = re.compile(r"[a-z0-9]+")
_DIGITS: Final = re.compile(r"\d+")
_PARTS: Final = re.compile(r"[/#:]")


def transliterator() -> ModuleType:
    """Import the library that transliterates any script to Latin letters.

    Raises:
        KgraftError: If it is not installed.
    """
    try:
        import anyascii
    except ImportError as error:
        raise KgraftError(
            "names are compared with the help of anyascii and rapidfuzz, which are not installed. "
            "Install them with pip install 'kgraft[align]', or set labels.use=false."
        ) from error
    return anyascii


def normal_form(text: str) -> str:
    """Return the words of a text in small Latin letters and digits, one space apart.

    ``Ηνωμένα_Αραβικά Εμιράτα!`` gives ``inomena aravika emirata``; a text without letters or digits
    gives an empty one.
    """
    plain = unicodedata.normalize("NFKC", text).casefold().replace("_", " ")
    if not plain.isascii():
        plain = transliterator().anyascii(plain).lower()
    return " ".join(_WORDS.findall(plain))


def without_remark(text: str) -> str:
    """Return a label without a remark in brackets at its end, as ``(film)``."""
    return _REMARK.sub("", text.replace("_", " ")) or text


def endings(name: str) -> list[str]:
    """Return the parts of a name or IRI from each of its separators on, the longest first.

    ``ex:zone/Asia/Tokyo`` gives itself, ``zone/Asia/Tokyo``, ``Asia/Tokyo`` and ``Tokyo``.
    """
    path = re.sub(r"^\w+://[^/]*/", "", name)
    return [path, *(path[place.end() :] for place in _PARTS.finditer(path))]


def numbers(text: str) -> tuple[str, ...]:
    """Return the numbers in a text; labels that differ in them name different things."""
    return tuple(_DIGITS.findall(text))
