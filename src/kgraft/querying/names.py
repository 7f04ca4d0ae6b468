"""Names as users write them in a query: whole, short, or as a label."""

from __future__ import annotations

from functools import cached_property
from urllib.parse import unquote

import polars as pl

from kgraft.errors import UnknownNameError
from kgraft.inference.names import ModelNames

_LAST_PART = r"([^/#:]+)$"


class QueryNames:
    """Finds the rows of a model's entities and relations.

    Args:
        names: The model's names, seen from the source that is asked.
    """

    def __init__(self, names: ModelNames) -> None:
        self._names = names

    def entity(self, text: str, own: bool) -> int:
        """Return the model's row of an entity that has a vector.

        Args:
            text: Its name or label; without a namespace also the unambiguous end of its name.
            own: Whether it was written without a namespace.

        Raises:
            UnknownNameError: If there is none, it has no vector, or the text fits several.
        """
        names = self._names
        for form in _forms(text, own=own):
            place = names.known_entity(form)
            if place is None:
                place = self._by_last_part(form)
            if place is not None:
                return names.vector(place)
        return names.vector(names.entity(_forms(text, own=own)[-1]))

    def relation(self, text: str, own: bool) -> int:
        """Return the model's row of a relation, by its name or the unambiguous end of it.

        Raises:
            UnknownNameError: If there is none, or the text fits several.
        """
        names, first = self._names, None
        for form in _forms(text, own=own):
            try:
                return names.relation_row(form)
            except UnknownNameError as error:
                first = first or error
        raise first or UnknownNameError(f"no relation is called {text!r}")

    def _by_last_part(self, text: str) -> int | None:
        if any(mark in text for mark in "/#"):
            return None
        found = self._last_parts.filter(pl.col("part") == text)["place"]
        if len(found) > 1:
            several = ", ".join(self._names.part.entities.names_of(found[:5].to_list()))
            raise UnknownNameError(
                f"{text!r} is the end of the names of {len(found)} entities; give one whole, in "
                f"<>: {several}"
            )
        return int(found[0]) if len(found) else None

    @cached_property
    def _last_parts(self) -> pl.DataFrame:
        """Places of entities by the last part of names that have several."""
        names = self._names.part.entities.names.alias("name")
        return (
            pl.DataFrame({"name": names})
            .with_row_index("place")
            .with_columns(part=pl.col("name").str.extract(_LAST_PART))
            .filter(pl.col("part") != pl.col("name"))
            .select("part", "place")
        )


def _forms(text: str, own: bool) -> list[str]:
    """Return ways to read a text: as it is, percent-decoded, with spaces for underscores."""
    if not own:
        last = text.partition(":")[2] if "/" not in text else ""
        return [text, last] if last else [text]
    decoded = unquote(text)
    return list(dict.fromkeys([text, decoded, decoded.replace("_", " ")]))
