"""Entities found by what people type: how their names and labels begin, and what is nearly so."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

import numpy as np
from rapidfuzz import fuzz, process

from kgraft.inference.names import ModelNames

LEAST_ALIKE = 0.7
"""The least likeness, of 1, of what is found although it begins otherwise; and the least share of
one length in the other."""

LOOKED_AT = 1_000
"""Texts of one beginning, or like one text, that are put in order: of some there are very many."""

TYPED = 100
"""Characters of a search, and of a label, that are looked at; nobody types more by hand."""

_WORDS = re.compile(r"[^\W_]+")

_END = chr(0x10FFFF)
"""Stands after every other character, so that ``text + _END`` ends what begins with ``text``."""


@dataclass(frozen=True)
class Found:
    """An entity that was searched for.

    Args:
        name: Its name.
        label: What a person calls it.
    """

    name: str
    label: str


class EntitySearch:
    """Search over the labels and names of a source's entities that have a vector.

    Sorted texts, one from each word on, tell at once how something or a word in it begins. Only
    where nothing begins so are texts compared, those of about the same length.

    Args:
        named: A model in the names of a source.
    """

    def __init__(self, named: ModelNames) -> None:
        part = named.part
        places = np.flatnonzero(part.entity_rows < named.model.kge.n_entities)
        rows = part.entity_rows[places].tolist()
        self._names = part.entities.names_of(places)
        self._labels = [named.entity_label(row) for row in rows]
        # Each text once, with the first word that it begins at: a whole text comes before a part.
        found: dict[tuple[str, int], int] = {}
        for number, (name, label) in enumerate(zip(self._names, self._labels, strict=True)):
            found[folded(name), number] = 0
            for text in (_ending(name), label):
                words = folded(text[:TYPED]).split()
                for at in range(len(words)):
                    key = " ".join(words[at:]), number
                    found[key] = min(at, found.get(key, at))
        ordered = sorted((text, number, at) for (text, number), at in found.items() if text)
        self._texts = [text for text, _, _ in ordered]
        self._numbers = [number for _, number, _ in ordered]
        self._from_word = [at for _, _, at in ordered]
        # Likeness falls with the difference in length, so most lengths need no comparing.
        self._by_length = sorted(range(len(ordered)), key=lambda at: len(self._texts[at]))
        self._lengths = [len(self._texts[at]) for at in self._by_length]
        self._in_length = [self._texts[at] for at in self._by_length]

    def __len__(self) -> int:
        """Return the number of entities."""
        return len(self._names)

    def find(self, typed: str, limit: int) -> list[Found]:
        """Return the entities that a text may mean, the likeliest first.

        What is called so comes first, then what begins so, then what has a word that begins so.
        Where there is nothing of that kind, it is what is written nearly so.
        """
        text = folded(typed[:TYPED])
        if not text:
            return []
        numbers = self._beginning(text) or self._alike(text)
        chosen = list(dict.fromkeys(numbers))[:limit]
        return [Found(self._names[x], self._labels[x]) for x in chosen]

    def _beginning(self, text: str) -> list[int]:
        """Return the numbers of what begins with a text, be it at a later word."""
        start = bisect_left(self._texts, text)
        stop = bisect_right(self._texts, text + _END, lo=start)
        places = range(start, min(stop, start + LOOKED_AT))
        best = sorted(places, key=lambda at: (self._from_word[at] > 0, len(self._texts[at])))
        return [self._numbers[at] for at in best]

    def _alike(self, text: str) -> list[int]:
        """Return the numbers of what is nearly a text; of equals, whole texts before parts."""
        shortest, longest = len(text) * LEAST_ALIKE, len(text) / LEAST_ALIKE
        start, stop = bisect_left(self._lengths, shortest), bisect_right(self._lengths, longest)
        found = process.extract(
            text,
            self._in_length[start:stop],
            scorer=fuzz.ratio,
            limit=LOOKED_AT,
            score_cutoff=100 * LEAST_ALIKE,
        )
        places = [(-likeness, self._by_length[start + at]) for _, likeness, at in found]
        best = sorted(places, key=lambda x: (x[0], self._from_word[x[1]] > 0))
        return [self._numbers[at] for _, at in best]


def folded(text: str) -> str:
    """Return a text without case, accents and marks between its words, as it is searched by."""
    plain = "".join(x for x in unicodedata.normalize("NFKD", text) if not unicodedata.combining(x))
    return " ".join(_WORDS.findall(plain.casefold()))


def _ending(name: str) -> str:
    """Return the part of a name behind its last slash or hash."""
    return re.split(r"[/#]", name)[-1]
