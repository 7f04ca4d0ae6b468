"""A source as a graph: facts, labels, and identifiers that link it to others."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from importlib.metadata import version

Fact = tuple[str, str, str]
"""Head, relation, tail."""

Identifier = tuple[str, str]
"""A kind and a code that several sources use, such as ``("country", "FR")``."""


@dataclass(frozen=True)
class SourceGraph:
    """One source as a graph in its own words.

    Args:
        name: What the collection calls it.
        facts: Its facts, each once.
        labels: A readable label for entities whose names are codes.
        identifiers: Which entity a shared identifier means; not all need occur in facts.
        aliases: Older or alternative identifiers, by the source's own account.
    """

    name: str
    facts: set[Fact] = field(default_factory=set)
    labels: dict[str, str] = field(default_factory=dict)
    identifiers: dict[Identifier, str] = field(default_factory=dict)
    aliases: dict[Identifier, str] = field(default_factory=dict)

    @property
    def entities(self) -> set[str]:
        """The entities that occur in facts."""
        return {entity for head, _, tail in self.facts for entity in (head, tail)}


def require(package: str, wanted: str) -> None:
    """Stop where the installed release is not the one the committed data were made from."""
    found = version(package)
    if found != wanted:
        raise SystemExit(f"{package} {found} is installed; run: pip install {package}=={wanted}")


def plain(name: str) -> str:
    """Return a name's letters and digits without case, accents or punctuation."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if letter.isalnum())
