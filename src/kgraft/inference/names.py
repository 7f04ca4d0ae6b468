"""A model's rows and the names that people give them."""

from __future__ import annotations

import re
from collections import Counter
from functools import cached_property

import numpy as np

from kgraft.errors import UnknownNameError
from kgraft.graph.vocabulary import Rows, Vocabulary
from kgraft.linking.joint import Part
from kgraft.model.trained import TrainedModel

_MARKS = ("/", "#", ":")
"""What parts of a name stand between."""

_ENDINGS = (r"[^/#:]+$", r"[^/#:]+[/#:][^/#:]+$")
"""The last part of a name, and its last two."""


class Named:
    """A model in the names of one of its sources.

    Args:
        model: The model.
        source: The source whose names are understood, and preferred.

    Raises:
        UnknownNameError: If the model has no such source.
    """

    def __init__(self, model: TrainedModel, source: str) -> None:
        self._graph = model.graph
        self.part: Part = model.graph.part(source)

    @property
    def n_relations(self) -> int:
        """Number of the model's relations, inverses not counted."""
        return self._graph.n_relations

    def entity(self, text: str) -> int:
        """Return the source's row of an entity by name, or by a label that only it has.

        Raises:
            UnknownNameError: If there is none, or the label means several.
        """
        part = self.part
        if text in part.entities:
            return part.entities.row(text)
        rows = np.flatnonzero(np.isin(part.entity_rows, self._graph.labelled(text)))
        if len(rows) > 1:
            names = ", ".join(part.entities.names_of(rows[:5]))
            raise UnknownNameError(
                f"{text!r} is the label of {len(rows)} entities; name one of them: {names}"
            )
        return int(rows[0]) if len(rows) else part.entities.row(text)

    def relation(self, text: str) -> int:
        """Return the source's row of a relation by name, or by the unambiguous end of its name.

        Raises:
            UnknownNameError: If there is none, or the end of a name means several.
        """
        names = self.part.relations
        if text in names:
            return names.row(text)
        rows = np.flatnonzero(
            np.any([names.names.str.ends_with(mark + text) for mark in _MARKS], axis=0)
        )
        if len(rows) > 1:
            raise UnknownNameError(
                f"{text!r} may be any of {', '.join(names.names_of(rows))}; give the whole name"
            )
        return int(rows[0]) if len(rows) else names.row(text)

    def entity_label(self, row: int) -> str:
        """Return what people call a model's entity: a label, or a name."""
        return self._graph.label(row) or self._name(row, "entity")

    def relation_label(self, row: int) -> str:
        """Return the readable end of a model's relation's name, as long as it takes to be the only
        one that ends so; an inverse is called the same.
        """  # noqa: D205
        name = self._name(row % self.n_relations, "relation")
        endings = [found[0] for ending in _ENDINGS if (found := re.search(ending, name))]
        return next((ending for ending in endings if self._endings[ending] == 1), name)

    def stated_by(self, fact: Rows) -> tuple[str, ...]:
        """Return the sources whose training facts hold a fact ``(3,)`` of the model's rows."""
        graph = self._graph
        stating = graph.triple_sources[(graph.triples == fact).all(axis=1)]
        return tuple(graph.sources[place] for place in np.unique(stating))

    @cached_property
    def _endings(self) -> Counter[str]:
        """How many of the model's relation names end in the same way."""
        names = {x for part in self._graph.parts.values() for x in part.relations.names}
        found = (re.search(ending, name) for name in names for ending in _ENDINGS)
        return Counter(ending[0] for ending in found if ending)

    def _name(self, row: int, kind: str) -> str:
        """Return a name from the source itself, or from the first other one that has one."""
        for part in (self.part, *self._graph.parts.values()):
            names: Vocabulary = part.entities if kind == "entity" else part.relations
            rows = part.entity_rows if kind == "entity" else part.relation_rows
            if len(places := np.flatnonzero(rows == row)):
                return names.name(int(places[0]))
        raise UnknownNameError(f"no {kind} has the row {row}")
