"""Rules among relations, in rows and in names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.grouped_index import GroupedIndex
from kgraft.graph.vocabulary import Vocabulary

RuleKind = Literal["symmetric", "inverse", "subrelation", "composition", "constant"]

Pairs = NDArray[np.int64]
"""int64 ``(n, 2)``: head row and tail row of each fact of one relation."""

Atom = tuple[str, str, str]
"""Head, relation, tail; a head or tail that begins with ``?`` is a variable."""


@dataclass(frozen=True)
class PlantedRule:
    """A rule of the hidden world, in the target's names.

    Args:
        kind: Form of the rule.
        head: Conclusion.
        body: Premises.
        confidence: Share of the body's groundings for which the head is true in the hidden world;
            a source states a sample of both.
    """

    kind: RuleKind
    head: Atom
    body: tuple[Atom, ...]
    confidence: float

    def __str__(self) -> str:
        body = ", ".join(f"{relation}({x}, {y})" for x, relation, y in self.body)
        x, relation, y = self.head
        return f"{relation}({x}, {y}) <= {body}  [{self.confidence:g}]"


@dataclass(frozen=True)
class Rule:
    """A rule in rows of relations and entities.

    Args:
        kind: ``symmetric`` r(x, y) <= r(y, x); ``inverse`` r(x, y) <= s(y, x); ``subrelation``
            r(x, y) <= s(x, y); ``composition`` r(x, y) <= s(x, a), t(a, y); ``constant``
            r(x, c) <= s(x, b).
        head: Row of r.
        body: Rows of s, or of s and t.
        confidence: Probability that a grounding of the body makes the head true.
        constants: Rows of b and c, of a constant rule.
    """

    kind: RuleKind
    head: int
    body: tuple[int, ...]
    confidence: float
    constants: tuple[int, int] = (-1, -1)

    def conclude(self, facts: Sequence[Pairs], draw: np.random.Generator) -> Pairs:
        """Return conclusions from facts, each kept with the rule's confidence as probability."""
        found = self._groundings(facts[self.body[0]], facts[self.body[-1]])
        if self.confidence == 1.0:
            return found
        return found[draw.random(len(found)) < self.confidence]

    def _groundings(self, first: Pairs, last: Pairs) -> Pairs:
        match self.kind:
            case "symmetric" | "inverse":
                return first[:, ::-1]
            case "subrelation":
                return first
            case "composition":
                query, row = GroupedIndex.of(last[:, 0]).rows(first[:, 1])
                return np.stack([first[query, 0], last[row, 1]], axis=1)
            case "constant":
                given, concluded = self.constants
                heads = first[first[:, 1] == given, 0]
                return np.stack([heads, np.full_like(heads, concluded)], axis=1)

    def named(self, entities: Vocabulary, relations: Vocabulary) -> PlantedRule:
        """Return the rule in names."""
        head, *body = (relations.name(relation) for relation in (self.head, *self.body))
        conclusion: Atom = ("?x", head, "?y")
        premises: tuple[Atom, ...]
        match self.kind:
            case "symmetric" | "inverse":
                premises = (("?y", body[0], "?x"),)
            case "subrelation":
                premises = (("?x", body[0], "?y"),)
            case "composition":
                premises = (("?x", body[0], "?a"), ("?a", body[1], "?y"))
            case "constant":
                given, constant = (entities.name(row) for row in self.constants)
                conclusion, premises = ("?x", head, constant), (("?x", body[0], given),)
        return PlantedRule(self.kind, conclusion, premises, self.confidence)
