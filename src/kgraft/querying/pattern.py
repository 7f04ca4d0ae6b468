"""Queries: graph patterns in a model's rows, as branches of which an answer fits one.

A term is a variable, by its name, or an entity, by its row. The name of a variable that the query
gives none begins with ``_``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from kgraft.errors import KgraftError

Term = str | int


class QueryError(KgraftError):
    """A query that cannot be read, is not supported, or takes too long."""


def check_time(deadline: float | None, problem: str) -> None:
    """Raise ``QueryError`` with a problem once a time by ``time.monotonic`` is over."""
    if deadline is not None and time.monotonic() > deadline:
        raise QueryError(problem)


@dataclass(frozen=True)
class Atom:
    """A fact with terms at its ends.

    Args:
        left: Its head.
        relation: Row of the relation, inverses not counted.
        right: Its tail.
    """

    left: Term
    relation: int
    right: Term

    @property
    def variables(self) -> tuple[str, ...]:
        """Its distinct variables."""
        return tuple(dict.fromkeys(x for x in (self.left, self.right) if isinstance(x, str)))


@dataclass(frozen=True)
class Allowed:
    """Bindings of which one holds.

    Args:
        variables: The variables.
        rows: An entity for each, or None where any will do.
    """

    variables: tuple[str, ...]
    rows: tuple[tuple[int | None, ...], ...]


@dataclass(frozen=True)
class Differs:
    """A variable and a term that are not the same."""

    variable: str
    other: Term


@dataclass(frozen=True)
class Negation:
    """A pattern that does not hold.

    Args:
        branches: Its branches.
    """

    branches: tuple[Branch, ...]

    @property
    def variables(self) -> tuple[str, ...]:
        """Its distinct variables."""
        return tuple(dict.fromkeys(x for branch in self.branches for x in branch.variables))


@dataclass(frozen=True)
class Branch:
    """Conditions that all hold.

    Args:
        atoms: Facts.
        allowed: Bindings that variables may have.
        differs: Terms that are not the same.
        negations: Patterns that do not hold.
    """

    atoms: tuple[Atom, ...] = ()
    allowed: tuple[Allowed, ...] = ()
    differs: tuple[Differs, ...] = ()
    negations: tuple[Negation, ...] = ()

    def __and__(self, other: Branch) -> Branch:
        return Branch(
            self.atoms + other.atoms,
            self.allowed + other.allowed,
            self.differs + other.differs,
            self.negations + other.negations,
        )

    @property
    def variables(self) -> tuple[str, ...]:
        """The distinct variables of its facts and bindings."""
        found = [x for atom in self.atoms for x in atom.variables]
        return tuple(dict.fromkeys([*found, *(x for y in self.allowed for x in y.variables)]))

    @property
    def n_atoms(self) -> int:
        """Number of its facts, negated ones too."""
        inner = sum(x.n_atoms for negation in self.negations for x in negation.branches)
        return len(self.atoms) + inner


@dataclass(frozen=True)
class PatternQuery:
    """A query.

    Args:
        form: ``select`` for bindings, ``ask`` for one probability, ``count`` for a number.
        variables: The variables that are asked for; the one that is counted.
        branches: Alternatives.
        limit: The maximum number of answers that the query sets itself.
        offset: Number of best answers that are left out.
        alias: Name of a count.
    """

    form: Literal["select", "ask", "count"]
    variables: tuple[str, ...]
    branches: tuple[Branch, ...]
    limit: int | None = None
    offset: int = 0
    alias: str = ""


def negations(branch: Branch) -> Iterator[Negation]:
    """Yield the negations of a branch, nested ones too."""
    for negation in branch.negations:
        yield negation
        for inner in negation.branches:
            yield from negations(inner)
