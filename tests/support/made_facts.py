"""Made probabilities of facts, and the best assignments by trying all."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgraft.querying.pattern import Branch, Term

SHAPES = {
    "1p": "{ :e0 :r0 ?x }",
    "2p": "{ :e0 :r0 ?v . ?v :r1 ?x }",
    "3p": "{ :e0 :r0 ?v . ?v :r1 ?w . ?x :r2 ?w }",
    "2i": "{ :e0 :r0 ?x . :e1 :r1 ?x }",
    "3i": "{ :e0 :r0 ?x . :e1 :r1 ?x . ?x :r2 :e2 }",
    "pi": "{ :e0 :r0 ?v . ?v :r1 ?x . :e1 :r2 ?x }",
    "ip": "{ :e0 :r0 ?v . :e1 :r1 ?v . ?v :r2 ?x }",
    "2u": "{ { :e0 :r0 ?x } UNION { :e1 :r1 ?x } }",
    "up": "{ { :e0 :r0 ?v } UNION { :e1 :r1 ?v } ?v :r2 ?x }",
    "2in": "{ :e0 :r0 ?x . FILTER NOT EXISTS { :e1 :r1 ?x } }",
    "3in": "{ :e0 :r0 ?x . :e1 :r1 ?x . MINUS { ?x :r2 :e2 } }",
    "inp": "{ :e0 :r0 ?v . FILTER NOT EXISTS { :e1 :r1 ?v } ?v :r2 ?x }",
    "pin": "{ :e0 :r0 ?v . ?v :r1 ?x . FILTER NOT EXISTS { :e1 :r2 ?x } }",
    "pni": "{ :e0 :r0 ?x . FILTER NOT EXISTS { :e1 :r1 ?v . ?v :r2 ?x } }",
}
"""The usual shapes of queries, as patterns for ``?x``."""


class Numbered:
    """Names of entities ``e0`` and relations ``r0`` for rows."""

    def entity(self, text: str, own: bool) -> int:  # noqa: ARG002
        return int(text.removeprefix("e"))

    def relation(self, text: str, own: bool) -> int:  # noqa: ARG002
        return int(text.removeprefix("r"))


@dataclass
class MadeFacts:
    """Facts of given probability; those of 1 are stated.

    Args:
        table: Of relation, head and tail, ``(m, C, C)``.
    """

    table: NDArray[np.float64]

    @property
    def size(self) -> int:
        return self.table.shape[1]

    @property
    def n_relations(self) -> int:
        return len(self.table)

    def column(self, row: int) -> int:
        return row

    def _along(self, along: int) -> NDArray[np.float64]:
        m = self.n_relations
        found: NDArray[np.float64] = self.table[along] if along < m else self.table[along - m].T
        return found

    def probabilities(self, columns: Any, along: int) -> Any:
        return self._along(along)[columns].astype(np.float32)

    def stated(self, columns: Any, along: int) -> Any:
        return np.nonzero(self._along(along)[columns] == 1)

    def domain(self, along: int) -> Any:
        return np.flatnonzero((self._along(along) > 0).any(axis=1))


def best(facts: MadeFacts, branch: Branch, fixed: dict[str, int]) -> float:
    """Return the probability of the best assignment of a branch by trying all."""
    free = [name for name in branch.variables if name not in fixed]
    found = 0.0
    for values in product(range(facts.size), repeat=len(free)):
        found = max(found, _value(facts, branch, {**fixed, **dict(zip(free, values, strict=True))}))
    return found


def _value(facts: MadeFacts, branch: Branch, at: dict[str, int]) -> float:
    def entity(term: Term) -> int:
        return at[term] if isinstance(term, str) else term

    found = 1.0
    for atom in branch.atoms:
        found *= facts.table[atom.relation, entity(atom.left), entity(atom.right)]
    for bindings in branch.allowed:
        rows = [
            all(y is None or at[x] == y for x, y in zip(bindings.variables, row, strict=True))
            for row in bindings.rows
        ]
        found *= any(rows)
    for difference in branch.differs:
        found *= at[difference.variable] != entity(difference.other)
    for negation in branch.negations:
        found *= 1 - max(best(facts, inner, at) for inner in negation.branches)
    return found
