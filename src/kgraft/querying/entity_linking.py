"""The entity that a question in words is about."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from rapidfuzz import fuzz, process

from kgraft.graph.vocabulary import Rows
from kgraft.inference.names import ModelNames
from kgraft.querying.pattern import QueryError, check_time
from kgraft.querying.words import FILLERS, normalized

ENTITY: Final = "E"
"""The word that stands for the entity."""

LONGEST: Final = 1_000
"""Characters of a question."""

LONGEST_RUN: Final = 16
"""Words of a name."""

SHORT: Final = 3
"""Characters of a name that counts only as it is written, since it could be another word."""

MARKS: Final = "?!.,;:\"'()"
"""Marks around words."""

SIMILAR: Final = 85
"""Least similarity, of 100, of another spelling of a name."""

_POSSESSIVE: Final = re.compile(r"['\u2019]s\b")

TOO_LONG: Final = "the question takes too long; write the entity's name as the graph has it"
"""The problem of a question that is given up."""

SHOWN: Final = 3
"""Names that an error shows."""


@dataclass(frozen=True)
class LinkedQuestion:
    """A question and its entity.

    Args:
        text: The question.
        entity: The entity, a row of the model.
        named: The words that name it.
        rest: The question with ``E`` in the place of these words.
    """

    text: str
    entity: int
    named: str
    rest: str


class QuestionLinker:
    """Finds the entity of a question, by the longest run of its words that is a name or label.

    Of several entities with one label the one with the most facts is meant. Where no run of words
    names an entity, the most similar label is taken.

    Args:
        names: A model's names, seen from the source that is asked.
        rows: The entities that may be meant, rows of the model.
    """

    def __init__(self, names: ModelNames, rows: Rows) -> None:
        facts = names.own_facts[:, [0, 2]].ravel()
        n_facts = np.bincount(facts, minlength=names.model.graph.n_entities)
        order = rows[np.argsort(-n_facts[rows], kind="stable")]
        self._row, self._exact = dict[str, int](), set[str]()
        for row in order.tolist():
            name = names.entity_name(row)
            for text in (name, names.entity_label(row), re.split(r"[/#]", name)[-1]):
                plain = normalized(text)
                self._row.setdefault(plain, row)
                if _is_common(plain):
                    self._exact.add(text)
        self._row.pop("", None)
        self._source = names.source

    def link(
        self, text: str, entity: str | None = None, deadline: float | None = None
    ) -> LinkedQuestion:
        """Return a question with its entity.

        Args:
            text: The question.
            entity: The name or label of its entity, where that is known.
            deadline: Time by ``time.monotonic`` at which to give up.

        Raises:
            QueryError: If the question names no entity, or it takes too long.
        """
        if len(text) > LONGEST:
            raise QueryError(f"the question has {len(text):,} characters; give it {LONGEST:,}")
        words = _POSSESSIVE.sub(r" 's", text).split()
        known = None if entity is None else self._row.get(normalized(entity))
        if entity is not None and known is None:
            raise QueryError(f"no entity of {self._source} is called {entity!r}")
        for run, i, j in _runs(words):
            row = self._row.get(run)
            if row is not None and known in (None, row) and self._is_name(run, words, i, j):
                return _linked(text, words, i, j, row)
        if known is not None:
            return LinkedQuestion(text, known, entity or "", text)
        return self._similar(text, words, deadline)

    def _is_name(self, run: str, words: list[str], i: int, j: int) -> bool:
        """Tell whether a run is a name; short ones as written, fillers in capitals within."""
        text = " ".join(words[i:j]).strip(MARKS)
        if not _is_common(run) or text not in self._exact:
            return not _is_common(run)
        return not set(run.split()) <= FILLERS or (i > 0 and text != run)

    def _similar(self, text: str, words: list[str], deadline: float | None) -> LinkedQuestion:
        """Return the question with the entity whose label is most similar to a run of words."""
        known, near = list(self._row), list[str]()
        for run, i, j in _runs(words):
            if _is_common(run):
                continue
            check_time(deadline, TOO_LONG)
            found = process.extractOne(run, known, scorer=fuzz.ratio, score_cutoff=SIMILAR - 25)
            if found is not None and found[1] >= SIMILAR:
                return _linked(text, words, i, j, self._row[found[0]])
            near += [found[0]] if found is not None else []
        hint = ", ".join(repr(x) for x in dict.fromkeys(near[:SHOWN]))
        raise QueryError(
            f"no entity of {self._source} is named in the question {text!r}; write the name or "
            f"label of one{f', such as {hint}' if hint else ''}"
        )


def _is_common(run: str) -> bool:
    """Return True for a normalized name that could be other words."""
    return len(run) <= SHORT or set(run.split()) <= FILLERS


def _runs(words: list[str]) -> Iterable[tuple[str, int, int]]:
    """Return runs of words, normalized, with begin and end, the longest first."""
    places = [
        (i, j)
        for i in range(len(words))
        for j in range(i + 1, min(i + LONGEST_RUN, len(words)) + 1)
    ]
    texts = [(normalized(" ".join(words[i:j])), i, j) for i, j in places]
    return sorted((x for x in texts if x[0]), key=lambda x: (-len(x[0]), x[2] - x[1]))


def _linked(text: str, words: list[str], i: int, j: int, row: int) -> LinkedQuestion:
    rest = " ".join([*words[:i], ENTITY, *words[j:]])
    return LinkedQuestion(text, row, " ".join(words[i:j]).strip(MARKS), rest)
