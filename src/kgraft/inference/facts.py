"""Facts in names and labels, with those who state them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StatedFact:
    """A fact with those who state it.

    Args:
        head: Name or label of the head.
        relation: Name of the relation, as short as it is unambiguous.
        tail: Name or label of the tail.
        stated_by: The sources whose training facts hold it.
        names: The whole names of the three, in the source that was asked, or in the first that has
            one.
    """

    head: str
    relation: str
    tail: str
    stated_by: tuple[str, ...]
    names: tuple[str, str, str]


@dataclass(frozen=True)
class Statement:
    """A fact in the names of the source that states it.

    Args:
        source: The source.
        head: The source's own name of the head.
        relation: Its name of the relation.
        tail: Its name of the tail.
        labels: What a person calls the three.
    """

    source: str
    head: str
    relation: str
    tail: str
    labels: tuple[str, str, str]
