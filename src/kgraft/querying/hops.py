"""Hops between the variables of a pattern: the best entities at one end, for each at the other.

Entities are columns, the places of candidates. Shapes: C candidates, K of them, J of a child.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Columns = NDArray[np.int64]


class FactSource(Protocol):
    """Probabilities of facts between candidates.

    Attributes:
        size: Number of candidates.
        n_relations: Number of relations; along the inverse of ``r`` goes ``r + n_relations``.
    """

    size: int
    n_relations: int

    def column(self, row: int) -> int:
        """Return the column of an entity."""
        ...

    def probabilities(self, columns: Columns, along: int) -> NDArray[np.float32]:
        """Return the probabilities of the facts from some candidates to all, ``(K, C)``."""
        ...

    def stated(self, columns: Columns, along: int) -> tuple[Columns, Columns]:
        """Return place in ``columns`` and end of stated facts, ``(n,)`` each."""
        ...

    def domain(self, along: int) -> Columns:
        """Return the candidates that are known to have an answer."""
        ...


@dataclass(eq=False)
class HopUp:
    """A hop from a variable to its parent.

    Args:
        anchors: The variable's best entities, ``(K,)``.
        values: Products of their probabilities and those of the facts, ``(K, C)``.
        more: Anchor, parent's entity and value of stated facts of further entities, ``(n,)`` each.
        best: The best value of each of the parent's entities, ``(C,)``.
        choice: The entity that it is due to, ``(C,)``.
    """

    anchors: Columns
    values: NDArray[np.float32]
    more: tuple[Columns, Columns, Floats]
    best: Floats
    choice: Columns

    def options(self, parents: Columns) -> tuple[Columns, Columns, Floats]:
        """Return place in ``parents``, entity and value relative to the best, of all options."""
        values = self.values[:, parents].astype(np.float64)
        anchor, place = np.nonzero(values > 0)
        found = [(place, self.anchors[anchor], values[anchor, place])]
        order = np.argsort(parents, kind="stable")
        extra, ends, value = self.more
        first = np.searchsorted(parents[order], ends)
        last = np.searchsorted(parents[order], ends, side="right")
        for shift in range(int((last - first).max(initial=0))):
            there = first + shift < last
            found.append((order[first[there] + shift], extra[there], value[there]))
        places, entities, reached = (np.concatenate(x) for x in zip(*found, strict=True))
        return places, entities, reached / self.best[parents[places]]


@dataclass(eq=False)
class HopDown:
    """A hop from a variable's candidates to a child that no entity leads to.

    Args:
        columns: The candidates, ascending, ``(K,)``.
        entities: The best entities of the child for each, ``(K, J)``.
        values: Their values, descending, ``(K, J)``.
    """

    columns: Columns
    entities: Columns
    values: Floats

    def options(self, parents: Columns) -> tuple[Columns, Columns, Floats]:
        """Return what ``HopUp.options`` does."""
        row = np.searchsorted(self.columns, parents)
        values = self.values[row]
        place, rank = np.nonzero(values > 0)
        return place, self.entities[row][place, rank], values[place, rank] / values[place, 0]
