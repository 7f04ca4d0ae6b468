"""Words of questions, labels and names, in one spelling."""

from __future__ import annotations

import re
import unicodedata

_WORDS = re.compile(r"[^\W_]+")
_PARTS = re.compile(r"[A-Z]?[^\W_A-Z]+|[A-Z]+")

FILLERS = frozenset((
    "a", "all", "an", "and", "are", "as", "at", "be", "been", "by", "did", "do", "does", "find",
    "for", "from", "give", "had", "has", "have", "he", "her", "his", "how", "i", "in", "is", "it",
    "its", "list", "many", "me", "much", "my", "name", "of", "on", "or", "s", "she", "show",
    "tell", "than", "that", "the", "their", "them", "there", "these", "they", "this", "those",
    "to", "was", "we", "were", "what", "when", "where", "which", "who", "whom", "whose", "will",
    "with", "you", "your",
))  # fmt: skip
"""English words that say little about a relation."""


def normalized(text: str) -> str:
    """Return a text in lower case, without accents and punctuation."""
    if text.isascii():
        return " ".join(_WORDS.findall(text.lower()))
    plain = "".join(x for x in unicodedata.normalize("NFKD", text) if not unicodedata.combining(x))
    return " ".join(_WORDS.findall(plain.casefold()))


def name_words(name: str) -> list[str]:
    """Return the words of a relation's name, such as ``parentOf`` or ``parent_of``."""
    return normalized(" ".join(_PARTS.findall(name))).split()
