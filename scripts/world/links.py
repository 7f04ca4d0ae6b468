"""Links between two sources, by identifiers that both give."""

from __future__ import annotations

from world.facts import SourceGraph

Link = tuple[str, str, float]
"""An entity of the left source, one of the right, and a confidence in (0, 1]."""

CONFIDENCE = {
    "country": 1.0,
    "language": 1.0,
    "currency": 1.0,
    "zone": 1.0,
    # One name in one country is strong evidence, but no identifier.
    "city": 0.9,
    # A UN region and a continent of one name differ in a few countries at the edge.
    "continent": 0.8,
}

ALIAS_CONFIDENCE = 0.9
"""For a time zone that one source gives by a name which the other calls outdated."""


def link(left: SourceGraph, right: SourceGraph) -> list[Link]:
    """Return the links between two sources, no entity in more than one."""
    links: list[Link] = []
    free_left, free_right = left.entities, right.entities

    def add(one: str, other: str, confidence: float) -> None:
        if one in free_left and other in free_right:
            free_left.remove(one)
            free_right.remove(other)
            links.append((one, other, confidence))

    shared = sorted(left.identifiers.keys() & right.identifiers.keys())
    for kind, code in shared:
        add(left.identifiers[kind, code], right.identifiers[kind, code], CONFIDENCE[kind])
    # After all exact matches: several outdated names may stand for one zone of today, and where
    # a source still has that zone itself, its outdated names are other zones to it.
    for identifier in sorted(left.identifiers.keys() & right.aliases.keys()):
        add(left.identifiers[identifier], right.aliases[identifier], ALIAS_CONFIDENCE)
    return sorted(links)
