"""Search for entities and relations by beginnings of words, or else by similar spelling."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl
from rapidfuzz import fuzz, process

from kgraft.inference.names import ModelNames
from kgraft.querying.words import name_words, normalized
from kgraft.serving.entity_view import MAX_NAME_LENGTH, Entity, Relation

MIN_SIMILARITY = 0.7  # of another spelling, from 0 to 1; also the least ratio of the lengths
MAX_RANKED = 1_000  # matching texts that are ranked; short prefixes match very many
MAX_TEXT = 100  # characters of a search or a label that are compared

_LAST = chr(0x10FFFF)  # texts with a prefix sort before ``prefix + _LAST``


class EntitySearch:
    """Search over the labels and names of a source's entities that can be asked about.

    An index of sorted texts, one from each word on, finds prefixes by bisection. Only if no text
    has the prefix, texts of about the same length are compared.

    Args:
        named: A model in the names of a source.
    """

    def __init__(self, named: ModelNames) -> None:
        part = named.part
        places = np.flatnonzero(part.entity_rows < named.model.kge.n_entities)
        labels = [named.entity_label(row) for row in part.entity_rows[places].tolist()]
        names = part.entities.names_of(places)
        self._entities = [
            Entity(name, label, True)
            for name, label in zip(names, labels, strict=True)
            if len(name) <= MAX_NAME_LENGTH
        ]
        texts = pl.DataFrame(
            self._found_texts(),
            schema={"text": pl.String, "number": pl.Int64, "word": pl.Int64},
            orient="row",
        )
        texts = texts.filter(pl.col("text") != "").group_by("text", "number").min()
        texts = texts.sort("text", "number")
        self._texts, self._numbers, self._from_word = (texts[x].to_list() for x in texts.columns)
        # A large difference in length rules out similarity, so most texts need no comparison.
        lengths = texts["text"].str.len_chars()
        by_length = lengths.to_frame("n").with_row_index("at").sort("n", maintain_order=True)
        self._by_length = by_length["at"].to_list()
        self._lengths = by_length["n"].to_list()
        self._texts_by_length = [self._texts[at] for at in self._by_length]

    def _found_texts(self) -> Iterator[tuple[str, int, int]]:
        """Yield each text of an entity, the entity's number, and the first word of the text."""
        for number, entity in enumerate(self._entities):
            yield normalized(entity.name), number, 0
            for text in (re.split(r"[/#]", entity.name)[-1], entity.label):
                words = normalized(text[:MAX_TEXT]).split()
                for at in range(len(words)):
                    yield " ".join(words[at:]), number, at

    def __len__(self) -> int:
        """Return the number of entities."""
        return len(self._entities)

    def find(self, text: str, limit: int) -> list[Entity]:
        """Return the entities that a text may mean, the best match first.

        Equal texts come first, then texts with the prefix, then texts with a word that has it.
        Without any, texts of similar spelling are returned.
        """
        text = normalized(text[:MAX_TEXT])
        if not text:
            return []
        numbers = self._by_prefix(text) or self._by_similarity(text)
        return [self._entities[x] for x in list(dict.fromkeys(numbers))[:limit]]

    def _by_prefix(self, text: str) -> list[int]:
        """Return the entities with a text or a word that begins with ``text``."""
        start = bisect_left(self._texts, text)
        stop = bisect_right(self._texts, text + _LAST, lo=start)
        places = range(start, min(stop, start + MAX_RANKED))
        best = sorted(places, key=lambda at: (self._from_word[at] > 0, len(self._texts[at])))
        return [self._numbers[at] for at in best]

    def _by_similarity(self, text: str) -> list[int]:
        """Return the entities with a text of similar spelling; at a tie, whole texts first."""
        shortest, longest = len(text) * MIN_SIMILARITY, len(text) / MIN_SIMILARITY
        start, stop = bisect_left(self._lengths, shortest), bisect_right(self._lengths, longest)
        found = process.extract(
            text,
            self._texts_by_length[start:stop],
            scorer=fuzz.ratio,
            limit=MAX_RANKED,
            score_cutoff=100 * MIN_SIMILARITY,
        )
        places = [(-similarity, self._by_length[start + at]) for _, similarity, at in found]
        best = sorted(places, key=lambda x: (x[0], self._from_word[x[1]] > 0))
        return [self._numbers[at] for _, at in best]


def find_relations(relations: Iterable[Relation], text: str, limit: int) -> list[Relation]:
    """Return the relations whose names have all words of a text, or else resemble it."""
    words = normalized(text[:MAX_TEXT]).split()
    by_text = [(" ".join(name_words(x.name[:MAX_TEXT])), x) for x in relations]
    found = [x for name, x in by_text if words and all(word in name for word in words)]
    if not found and words:
        best = process.extract(
            " ".join(words),
            [name for name, _ in by_text],
            scorer=fuzz.token_set_ratio,
            limit=limit,
            score_cutoff=100 * MIN_SIMILARITY,
        )
        found = [by_text[at][1] for _, _, at in best]
    return found[:limit]
