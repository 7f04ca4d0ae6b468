"""Made queries of the fourteen usual shapes, with answers that need missing facts.

The shapes are those of Ren and Leskovec (NeurIPS 2020): projections (p), intersections (i), unions
(u) and negations (n). A query is sampled backwards from an answer, over all facts. Its hard answers
are those that the observed facts do not give. Answers of which no derivation has an observed fact
are kept apart (*all missing*), since most hard answers need one missing fact only (arXiv
2410.12537); queries for those are sampled over missing facts alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from kgraft.graph.knowledge_graph import Triples
from kgraft.inference.names import ModelNames

POSITIVE = ("1p", "2p", "3p", "2i", "3i", "pi", "ip", "2u", "up")
NEGATED = ("2in", "3in", "inp", "pin", "pni")
SHAPES = POSITIVE + NEGATED
MOST_ANSWERS = 100
"""Answers of a query at most, as in the query sets of the field."""
TRIES = 400
"""Samples for each query that is wanted."""

_TOGETHER = {"2i": [1, 1], "3i": [1, 1, 1], "pi": [2, 1]}
"""Lengths of paths that meet."""

_WITHOUT = {"2in": ([1], 1), "3in": ([1, 1], 1), "pin": ([2], 1), "pni": ([1], 2)}
"""Lengths of paths that meet, and that of one that does not."""

Node = tuple[Any, ...]
"""An entity ``("e", row)``, a projection ``("p", directed relation, node)``, or an intersection,
union or negation (``("i", nodes)``, ``("u", nodes)``, ``("n", node)``)."""


@dataclass(frozen=True)
class MadeQuery:
    """A query with its answers.

    Args:
        shape: Its shape.
        node: What it asks for.
        answers: All answers.
        hard: Those that the observed facts do not give.
        missing: Those of which no derivation has an observed fact.
    """

    shape: str
    node: Node
    answers: frozenset[int]
    hard: frozenset[int]
    missing: frozenset[int]


class Facts:
    """Facts by entity and directed relation.

    Args:
        facts: In rows, ``(n, 3)``.
        n_relations: Number of relations.
    """

    def __init__(self, facts: Triples, n_relations: int) -> None:
        self.ends: dict[tuple[int, int], set[int]] = defaultdict(set)
        self.into: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for head, relation, tail in np.unique(facts, axis=0).tolist():
            for x, r, y in ((head, relation, tail), (tail, relation + n_relations, head)):
                self.ends[x, r].add(y)
                self.into[y].append((x, r))

    def along(self, starts: set[int], relation: int) -> set[int]:
        """Return the ends of facts from some entities."""
        found = [self.ends[x, relation] for x in starts if (x, relation) in self.ends]
        return set().union(*found)


def answers(node: Node, facts: Facts) -> set[int]:
    """Return the answers of a node."""
    match node[0]:
        case "e":
            return {node[1]}
        case "p":
            return facts.along(answers(node[2], facts), node[1])
        case "u":
            return set[int]().union(*(answers(x, facts) for x in node[1]))
    held = [answers(x, facts) for x in node[1] if x[0] != "n"]
    taken = [answers(x[1], facts) for x in node[1] if x[0] == "n"]
    return set.intersection(*held).difference(*taken)


def partly_observed(node: Node, whole: Facts, observed: Facts) -> set[int]:
    """Return the answers of a positive node with a derivation that has an observed fact."""
    match node[0]:
        case "e":
            return set()
        case "p":
            later = whole.along(partly_observed(node[2], whole, observed), node[1])
            return later | observed.along(answers(node[2], whole), node[1])
    found = set[int]().union(*(partly_observed(x, whole, observed) for x in node[1]))
    return found if node[0] == "u" else found & answers(node, whole)


class Sampler:
    """Samples queries.

    Args:
        observed: Observed facts, ``(n, 3)``.
        missing: Facts that are true too.
        n_relations: Number of relations.
        seed: Seed.
    """

    def __init__(self, observed: Triples, missing: Triples, n_relations: int, seed: int) -> None:
        whole = np.concatenate([observed, missing])
        self.whole, self.observed, self.missing = (
            Facts(x, n_relations) for x in (whole, observed, missing)
        )
        self._draw = np.random.default_rng(seed)

    def sample(
        self, shape: str, number: int, *, all_missing: bool = False, any_answers: bool = False
    ) -> list[MadeQuery]:
        """Return different queries of a shape; fewer where the graph has no more.

        Args:
            shape: The shape.
            number: How many.
            all_missing: Queries with answers of which no derivation has an observed fact.
            any_answers: Queries without hard answers too.
        """
        facts = self.missing if all_missing else self.whole
        starts, found = list(facts.into), dict[Node, MadeQuery]()
        for _ in range(TRIES * number):
            if len(found) == number:
                break
            node = self._node(shape, starts[self._draw.integers(len(starts))], facts)
            if node is None or node in found:
                continue
            made = self._made(shape, node)
            if made is None:
                continue
            if any_answers or (made.missing if all_missing else made.hard):
                found[node] = made
        return list(found.values())

    def _made(self, shape: str, node: Node) -> MadeQuery | None:
        whole = answers(node, self.whole)
        if not 0 < len(whole) <= MOST_ANSWERS:
            return None
        hard = whole - answers(node, self.observed)
        missing = set[int]()
        if shape in POSITIVE:
            missing = hard - partly_observed(node, self.whole, self.observed)
        return MadeQuery(shape, node, frozenset(whole), frozenset(hard), frozenset(missing))

    def _node(self, shape: str, answer: int, facts: Facts) -> Node | None:
        """Return a query that an entity answers, or None if this try has found none."""
        if shape in ("1p", "2p", "3p"):
            return self._path(answer, int(shape[0]), facts)
        if shape in _TOGETHER:
            return self._all(answer, _TOGETHER[shape], facts)
        if shape in _WITHOUT:
            return self._without(answer, *_WITHOUT[shape], facts)
        if shape == "2u":
            return self._any(answer, facts)
        inner: dict[str, Callable[[int], Node | None]] = {
            "ip": lambda x: self._all(x, [1, 1], facts),
            "up": lambda x: self._any(x, facts),
            "inp": lambda x: self._without(x, [1], 1, facts),
        }
        return self._then(answer, inner[shape], facts)

    def _path(self, answer: int, length: int, facts: Facts) -> Node | None:
        if not length:
            return ("e", answer)
        before = facts.into.get(answer)
        if not before:
            return None
        start, relation = before[self._draw.integers(len(before))]
        node = self._path(start, length - 1, facts)
        return None if node is None else ("p", relation, node)

    def _then(self, answer: int, inner: Callable[[int], Node | None], facts: Facts) -> Node | None:
        before = facts.into.get(answer)
        if not before:
            return None
        start, relation = before[self._draw.integers(len(before))]
        node = inner(start)
        return None if node is None else ("p", relation, node)

    def _all(self, answer: int, lengths: Sequence[int], facts: Facts) -> Node | None:
        parts = [self._path(answer, length, facts) for length in lengths]
        return self._distinct("i", parts)

    def _any(self, answer: int, facts: Facts) -> Node | None:
        other = list(facts.into)[self._draw.integers(len(facts.into))]
        return self._distinct("u", [self._path(x, 1, facts) for x in (answer, other)])

    def _without(
        self, answer: int, lengths: Sequence[int], negated: int, facts: Facts
    ) -> Node | None:
        """Return an intersection less the answers of a path that shares some of them."""
        node = self._all(answer, lengths, facts) if len(lengths) > 1 else None
        positive = list(node[1]) if node else [self._path(answer, lengths[0], facts)]
        if any(x is None for x in positive):
            return None
        others = sorted(answers(("i", positive), self.whole) - {answer})
        if not others:
            return None
        taken = self._path(others[self._draw.integers(len(others))], negated, facts)
        if taken is None or answer in answers(taken, self.whole):
            return None
        return ("i", (*positive, ("n", taken)))

    def _distinct(self, kind: str, parts: Sequence[Node | None]) -> Node | None:
        known = [x for x in parts if x is not None]
        return (kind, tuple(known)) if len(set(known)) == len(parts) else None


def sparql(node: Node, names: ModelNames, m: int) -> str:
    """Return a query of a model's rows in SPARQL, for ``?x``.

    Args:
        node: The query.
        names: The model's names.
        m: Number of relations.
    """
    fresh = (f"?v{number}" for number in count())
    return f"SELECT ?x WHERE {{ {_pattern(node, '?x', names, m, fresh)} }}"


def _pattern(node: Node, end: str, names: ModelNames, m: int, fresh: Iterator[str]) -> str:
    """Return the pattern of a node whose answers are the values of a variable."""
    match node[0]:
        case "p":
            start, before = f"<{_entity(names, node[2])}>", ""
            if node[2][0] != "e":
                start = next(fresh)
                before = f"{_pattern(node[2], start, names, m, fresh)} "
            relation = f"<{names.names((0, node[1] % m, 0))[1]}>"
            ends = (start, relation, end) if node[1] < m else (end, relation, start)
            return f"{before}{' '.join(ends)} ."
        case "i":
            return " ".join(_pattern(x, end, names, m, fresh) for x in node[1])
        case "u":
            return " UNION ".join(f"{{ {_pattern(x, end, names, m, fresh)} }}" for x in node[1])
    return f"FILTER NOT EXISTS {{ {_pattern(node[1], end, names, m, fresh)} }}"


def _entity(names: ModelNames, node: Node) -> str:
    return names.entity_name(node[1]) if node[0] == "e" else ""
