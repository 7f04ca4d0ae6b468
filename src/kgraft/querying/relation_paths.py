"""Relation paths: what leads from a question's entity to its answers.

A path is a tuple of directed relations, rows of the model: relation ``r + m`` leads from tail to
head of relation ``r``, where m is the number of relations. Written out, its names are joined by
`` / ``, inverses with ``^`` ahead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.vocabulary import Rows
from kgraft.inference.names import ModelNames
from kgraft.querying.names import QueryNames
from kgraft.querying.pattern import Atom, Branch, PatternQuery, QueryError

Path = tuple[int, ...]

LONGEST: Final = 3
"""Relations of a path that is looked for."""

MAX_PATHS: Final = 500
"""Paths of one length that are followed."""

MAX_ENDS: Final = 5_000
"""Entities that a path which is followed may lead to."""

ASKED: Final = "x"
"""The variable of answers."""


def path_query(entity: int, path: Path, n_relations: int) -> PatternQuery:
    """Return the query for the answers of a path from an entity."""
    ends: list[str | int] = [entity, *(f"_{n}" for n in range(1, len(path))), ASKED]
    atoms = []
    for place, along in enumerate(path):
        back, relation = divmod(along, n_relations)
        start, end = ends[place], ends[place + 1]
        atoms.append(Atom(end, relation, start) if back else Atom(start, relation, end))
    return PatternQuery("select", (ASKED,), (Branch(tuple(atoms)),))


def path_names(path: Path, names: ModelNames) -> tuple[str, ...]:
    """Return the source's names of a path's relations, inverses with ``^`` ahead."""
    own = dict(zip(names.part.relation_rows.tolist(), names.part.relations.names, strict=True))
    m = names.n_relations
    return tuple(f"{'^' if along >= m else ''}{own[along % m]}" for along in path)


def path_labels(path: Path, names: ModelNames) -> str:
    """Return a path in words."""
    m = names.n_relations
    return " / ".join(f"{'^' if x >= m else ''}{names.relation_label(x)}" for x in path)


def path_rows(steps: Sequence[str], names: QueryNames, n_relations: int) -> Path:
    """Return the path of relation names, inverses with ``^`` ahead.

    Raises:
        UnknownNameError: If a relation is unknown.
    """
    found = []
    for step in steps:
        name = step.removeprefix("^")
        own = not name.startswith("<")
        row = names.relation(name.strip("<>").removeprefix(":"), own=own)
        found.append(row + (n_relations if step.startswith("^") else 0))
    return tuple(found)


def path_steps(text: str) -> list[str]:
    """Return the names in a path such as ``borders/languages`` or ``^<http://x.org/r>/:q``.

    Raises:
        QueryError: If a name is empty.
    """
    steps, depth, begin = list[str](), 0, 0
    for place, sign in enumerate(f"{text}/"):
        depth += (sign == "<") - (sign == ">")
        if sign == "/" and depth <= 0:
            steps.append(text[begin:place].strip())
            begin = place + 1
    if any(not x.strip("^<>: ") for x in steps):
        raise QueryError(f"the path {text!r} has a step without a name; write relation/relation")
    return steps


class StatedPaths:
    """Paths of stated facts.

    Args:
        facts: In the model's rows, ``(n, 3)``.
        n_entities: Number of the model's entities.
        n_relations: Number of its relations.
    """

    def __init__(self, facts: Triples, n_entities: int, n_relations: int) -> None:
        heads, relations, tails = facts.T
        start, end = np.concatenate([heads, tails]), np.concatenate([tails, heads])
        along = np.concatenate([relations, relations + n_relations])
        order = np.argsort(start, kind="stable")
        self._end, self._along = end[order], along[order]
        self._first = np.searchsorted(start[order], np.arange(n_entities + 1))

    def paths_between(self, entity: int, answers: Rows) -> list[Path]:
        """Return the paths from an entity whose ends are most like its answers, by F1.

        Args:
            entity: A row of the model.
            answers: Rows of the model, ``(k,)``.
        """
        right = np.zeros(len(self._first) - 1, dtype=np.bool_)
        right[answers] = True
        near = [right]
        for _ in range(LONGEST - 1):
            wider = near[-1].copy()
            wider[self._step(np.flatnonzero(near[-1]))[1]] = True
            near.append(wider)
        best, chosen = 0.0, list[Path]()
        here: dict[Path, Rows] = {(): np.array([entity])}
        for left in range(LONGEST - 1, -1, -1):
            further = self._further(here, near[left])
            for path, ends in further.items():
                value = _f1(right, ends)
                if value > best + 1e-9:
                    best, chosen = value, []
                if value >= best - 1e-9 and value > 0:
                    chosen.append(path)
            if best == 1:
                break
            small = sorted(further.items(), key=lambda x: len(x[1]))[:MAX_PATHS]
            here = {path: ends for path, ends in small if len(ends) <= MAX_ENDS}
        return chosen

    def _further(self, here: dict[Path, Rows], near: NDArray[np.bool_]) -> dict[Path, Rows]:
        """Return paths one relation longer that may still lead to an answer, with their ends."""
        found = {}
        for path, rows in here.items():
            along, ends = self._step(rows)
            for relation in np.unique(along[near[ends]]).tolist():
                found[*path, relation] = np.unique(ends[along == relation])
        return found

    def _step(self, rows: Rows) -> tuple[Rows, Rows]:
        """Return the directed relations and ends of all facts of some entities."""
        first, last = self._first[rows], self._first[rows + 1]
        size = last - first
        offset = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        places = np.repeat(first, size) + offset
        return self._along[places], self._end[places]


def _f1(right: NDArray[np.bool_], ends: Rows) -> float:
    shared = int(right[ends].sum())
    return 2 * shared / (int(right.sum()) + len(ends))
