"""Choice of relation paths by the names of relations, where no questions were learned from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from kgraft.querying.entity_linking import ENTITY, LinkedQuestion
from kgraft.querying.hops import Columns
from kgraft.querying.model_facts import ModelFacts
from kgraft.querying.pattern import QueryError
from kgraft.querying.relation_paths import LONGEST, Path
from kgraft.querying.words import FILLERS, name_words, normalized

LEAST: Final = 75
"""Least similarity, of 100, of a question's word and a word of a relation's name."""

NAMED: Final = 0.5
"""Least similarity of a relation to a question, from 0 to 1."""

RELATIONS: Final = 6
"""Relations that a question may name."""

SHARPNESS: Final = 3
"""Power of a path's similarity that its probability is proportional to."""

UNFIT: Final = 0.3
"""Factor of a relation that has not been seen with entities like those it would start from."""

SYMMETRIC: Final = 0.5
"""Share of facts stated both ways from which on a relation is taken to be symmetric."""

BACKWARD: Final = 0.9
"""Factor of a relation from tail to head."""

PATHS: Final = 5
"""Paths that a question may mean."""


class NameRanker:
    """Ranks paths by the relations that a question names, in their order by the entity.

    The relation that is named nearest to the entity starts from it: in "the languages of the
    neighbours of Syria" that is ``neighbours``. Names that any source gives a relation count.

    Args:
        facts: The model's facts.
    """

    learned_from = 0

    def __init__(self, facts: ModelFacts) -> None:
        self._facts = facts
        names = facts.predictor.names
        self._own = set(names.part.relation_rows.tolist())
        self._source = names.source
        self._symmetric = dict[int, bool]()
        self._known_starts = dict[int, NDArray[np.bool_]]()
        self._words = defaultdict[int, list[list[str]]](list)
        for part in names.model.graph.parts.values():
            for row, name in zip(part.relation_rows.tolist(), part.relations.names, strict=True):
                if row in self._own:
                    self._words[row].append(_content(name_words(name.rstrip("/#"))))

    def ranked(self, question: LinkedQuestion) -> list[tuple[Path, float]]:
        """Return the best paths of a question, with shares of 1.

        Raises:
            QueryError: If it names no relation.
        """
        words = normalized_words(question.rest)
        content = {n for n, x in enumerate(words) if x not in {ENTITY, *FILLERS}}
        named = self._named(words, content)
        if not named:
            known = sorted(" ".join(x[0]) for x in self._words.values() if x and x[0])
            raise QueryError(
                f"no relation of {self._source} is named in the question {question.text!r}; "
                f"relations are {', '.join(known[:8])}{', ...' if len(known) > 8 else ''}. Name "
                "one, or teach how questions are asked: kgraft questions MODEL PAIRS.tsv"
            )
        at = words.index(ENTITY) if ENTITY in words else len(words)
        found = dict[Path, float]()
        for relations in _chains(named, at):
            taken = set[int]().union(*(named[x][1] for x in relations))
            share = (1 + len(taken & content)) / (1 + len(content))
            value = share * float(np.prod([named[x][0] for x in relations]))
            for path in product(*(self._directions(x) for x in relations)):
                found[path] = (value * self._fit(question.entity, path)) ** SHARPNESS
        best = sorted(found.items(), key=lambda x: -x[1])[:PATHS]
        whole = sum(value for _, value in best)
        return [(path, value / whole) for path, value in best]

    def _named(self, words: list[str], content: set[int]) -> dict[int, tuple[float, set[int]]]:
        """Return the relations that a question names: similarity, and places of their words."""
        found = dict[int, tuple[float, set[int]]]()
        for row, names in self._words.items():
            for name in filter(None, names):
                values, places = 0.0, set[int]()
                for word in name:
                    like = {
                        n: max(
                            fuzz.ratio(word, words[n]), fuzz.ratio(word, "".join(words[n : n + 2]))
                        )
                        for n in content
                    }
                    best = max(like, key=lambda n: like[n], default=-1)
                    if best >= 0 and like[best] >= LEAST:
                        values += (like[best] / 100) ** 2
                        places.add(best)
                value = values / len(name)
                if value >= max(NAMED, found.get(row, (0.0,))[0]):
                    found[row] = value, places
        best_rows = sorted(found, key=lambda row: -found[row][0])[:RELATIONS]
        return {row: found[row] for row in best_rows}

    def _directions(self, relation: int) -> tuple[int, ...]:
        """Return a relation, and its inverse where that is not much the same."""
        m, facts = self._facts.n_relations, self._facts.predictor.names.own_facts
        if relation not in self._symmetric:
            own = facts[facts[:, 1] == relation]
            both = self._facts.known.contains(own[:, [2, 1, 0]])
            self._symmetric[relation] = bool(len(own)) and float(both.mean()) >= SYMMETRIC
        return (relation,) if self._symmetric[relation] else (relation, relation + m)

    def _fit(self, entity: int, path: Path) -> float:
        """Return the factor of a path by directions, and by what its relations start from."""
        m, factor = self._facts.n_relations, 1.0
        here = self._like(entity)
        for along in path:
            share = max(float(self._starts(along)[x].mean()) for x in here)
            factor *= UNFIT + (1 - UNFIT) * min(1.0, 2 * share)
            factor *= BACKWARD if along >= m else 1.0
            here = [self._facts.domain((along + m) % (2 * m))]
        return factor

    def _like(self, entity: int) -> list[Columns]:
        """Return an entity, and those that have a relation like it, a group for each relation."""
        column = np.array([self._facts.column(entity)])
        groups = map(self._facts.domain, range(2 * self._facts.n_relations))
        return [column, *(x for x in groups if column[0] in x)]

    def _starts(self, along: int) -> NDArray[np.bool_]:
        """Return a mask of the candidates that have an answer along a directed relation, (C,)."""
        if along not in self._known_starts:
            mask = np.zeros(self._facts.size, dtype=np.bool_)
            mask[self._facts.domain(along)] = True
            self._known_starts[along] = mask
        return self._known_starts[along]


def normalized_words(rest: str) -> list[str]:
    """Return the words of a question, normalized, but for the one that stands for its entity."""
    return [
        x
        for word in rest.split()
        for x in ([ENTITY] if word == ENTITY else normalized(word).split())
    ]


def _chains(named: dict[int, tuple[float, set[int]]], at: int) -> Iterator[tuple[int, ...]]:
    """Yield relations of different words, those nearer to the entity's place first."""

    def distance(row: int) -> float:
        return float(np.mean([abs(at - n) for n in named[row][1]]))

    def grown(chain: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        yield chain
        if len(chain) < LONGEST:
            taken = set[int]().union(*(named[x][1] for x in chain))
            for row, (_, places) in named.items():
                if not taken & places and distance(row) > distance(chain[-1]):
                    yield from grown((*chain, row))

    for row in named:
        yield from grown((row,))


def _content(words: list[str]) -> list[str]:
    return [x for x in words if x not in FILLERS] or words
