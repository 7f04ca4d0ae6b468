"""Vectors of texts, by words and parts of words, by vectors of words, or by sentence encoders."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from kgraft.errors import DataError
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.vectors import read_vectors
from kgraft.pipeline.singular_vectors import singular_vectors
from kgraft.system.extras import import_extra

Floats = NDArray[np.float32]

WORD: Final = re.compile(r"\w+")

WIDTH: Final = 200
"""Numbers of a vector by words and parts of words."""

PARTS: Final = (3, 4, 5)
"""Lengths of parts of words."""

ENCODERS: Final = "tfidf, words:FILE, sentence-transformers:MODEL or model2vec:MODEL"


def encode(texts: pl.Series, encoders: Sequence[str]) -> Floats:
    """Return vectors of texts, those of several encoders side by side, float32 ``(n, D)``.

    Args:
        texts: String ``(n,)``.
        encoders: As in ``kgraft.pipeline.vector_teacher.text_teacher``.

    Raises:
        DataError: If all texts are empty, or there is no such encoder.
        KgraftError: If an encoder's library is not installed.
    """
    if not encoders:
        raise DataError("no encoder is named", remedy=f"Name {ENCODERS}")
    given = [text or "" for text in texts.to_list()]
    if not any(WORD.search(text) for text in given):
        raise DataError("all texts are empty", remedy="Give labels or descriptions")
    parts = [_scaled(_encoded(given, encoder)) for encoder in encoders]
    return np.concatenate(parts, axis=1).astype(np.float32)


def sentence_vectors(texts: Sequence[str], encoder: str, *, download: bool = True) -> Floats:
    """Return vectors by a sentence encoder, which do not depend on each other, ``(n, D)``.

    Args:
        texts: The texts.
        encoder: ``sentence-transformers:MODEL`` or ``model2vec:MODEL``.
        download: Whether a model that is not on this machine is downloaded.

    Raises:
        DataError: If there is no such encoder, or it is not here and may not be downloaded.
        KgraftError: If its library is not installed.
    """
    kind, _, name = encoder.partition(":")
    if kind not in ("sentence-transformers", "model2vec"):
        raise DataError(
            f"there is no sentence encoder {encoder!r}",
            remedy="Name tfidf, sentence-transformers:MODEL or model2vec:MODEL",
        )
    if not download and not Path(name).is_dir():
        own = name if "/" in name or kind == "model2vec" else f"{kind}/{name}"
        hub = import_extra("huggingface_hub", extra="hub")
        try:
            encoder = f"{kind}:{hub.snapshot_download(own, local_files_only=True)}"
        except (OSError, ValueError) as error:
            raise DataError(
                f"the encoder {name!r} is not on this machine, and no file may have it downloaded",
                remedy=f"If you know it: hf download {own}",
            ) from error
    return _encoded(texts, encoder)


def _encoded(texts: Sequence[str], encoder: str) -> Floats:
    kind, _, name = encoder.partition(":")
    by_name: Mapping[str, Callable[[Sequence[str], str], Floats]] = {
        "words": _by_words,
        "sentence-transformers": _by_sentence_transformers,
        "model2vec": _by_model2vec,
    }
    if encoder == "tfidf":
        return Tfidf.of(texts)[1]
    if kind not in by_name or not name:
        raise DataError(f"there is no encoder {encoder!r}", remedy=f"Name {ENCODERS}")
    return by_name[kind](texts, name)


def _scaled(rows: Floats) -> Floats:
    """Return centred vectors of a mean squared norm of 1, so that encoders count alike."""
    centred = rows - rows.mean(0)
    norm = float(np.sqrt(np.square(centred).sum(1).mean()))
    return np.asarray(centred / max(norm, 1e-12), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Tfidf:
    """Weights of words and parts of words in texts, in their first principal directions.

    A word counts by the logarithm of its number in a text, times the logarithm of the texts' number
    by that of texts with it; so do parts of 3 to 5 letters of words, with their ends.

    Args:
        columns: By kind of term, words and parts, the column of each.
        weights: What a term of each column weighs, float32 ``(terms,)``, again by kind.
        directions: The principal directions, float32 ``(terms, d)``, of all kinds.
    """

    columns: Sequence[dict[str, int]]
    weights: Sequence[Floats]
    directions: Floats

    @classmethod
    def of(cls, texts: Sequence[str]) -> tuple[Tfidf, Floats]:
        """Fit it to texts, and return their vectors ``(n, d)`` too.

        Raises:
            DataError: If they have too few words in common.
        """
        columns, weights, tables = [], [], []
        for terms, least in TERMS:
            known: dict[str, int] = {}
            counts = _counts(terms(texts), known, more=True)
            n_texts = np.bincount(counts.indices, minlength=len(known))
            kept = np.flatnonzero(n_texts >= least)
            place = dict(zip(kept.tolist(), range(len(kept)), strict=True))
            columns.append({x: place[column] for x, column in known.items() if column in place})
            weights.append(1 + np.log((1 + len(texts)) / (1 + n_texts[kept])))
            tables.append(_scaled_rows(counts[:, kept], weights[-1]))
        every = sp.hstack(tables, format="csr", dtype=np.float32)
        width = min(WIDTH, *(size - 1 for size in every.shape))
        if width < 1:
            raise DataError(
                "the texts have too few words in common",
                remedy="Give texts of more entities, or another encoder",
            )
        start = np.random.default_rng(0).standard_normal(min(every.shape))
        _, values, right = singular_vectors(every, width, start)
        right = np.ascontiguousarray(right[np.argsort(-values)].T, dtype=np.float32)
        return cls(columns, weights, right), np.asarray(every @ right, dtype=np.float32)

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return vectors of texts, float32 ``(n, d)``."""
        tables = [
            _scaled_rows(_counts(terms(texts), columns), weights)
            for (terms, _), columns, weights in zip(TERMS, self.columns, self.weights, strict=True)
        ]
        every = sp.hstack(tables, format="csr", dtype=np.float32)
        return np.asarray(every @ self.directions, dtype=np.float32)


def _words(texts: Sequence[str]) -> Iterable[list[str]]:
    return (WORD.findall(text.lower()) for text in texts)


def _parts_of_words(texts: Sequence[str]) -> Iterable[list[str]]:
    return ([*_parts(words)] for words in _words(texts))


def _parts(words: Sequence[str]) -> Iterable[str]:
    for word in words:
        whole = f" {word} "
        for size in PARTS:
            yield from (whole[at : at + size] for at in range(len(whole) - size + 1))


TERMS: Final = ((_words, 2), (_parts_of_words, 3))
"""The kinds of terms of texts, and the minimum number of texts with a term, for it to count."""


def _counts(
    texts: Iterable[Sequence[str]], columns: dict[str, int], *, more: bool = False
) -> sp.csr_array:
    """Count terms in texts, ``(n, terms)``; with ``more``, new terms get a column of their own."""
    found: list[int] = []
    counts: list[int] = []
    ends = [0]
    for terms in texts:
        for term, count in Counter(terms).items():
            column = columns.get(term)
            if column is None and more:
                column = len(columns)
                columns[term] = column
            if column is not None:
                found.append(column)
                counts.append(count)
        ends.append(len(found))
    shape = (len(ends) - 1, len(columns))
    return sp.csr_array((np.array(counts, dtype=np.float32), found, ends), shape=shape)


def _scaled_rows(counts: sp.csr_array, weights: Floats) -> sp.csr_array:
    """Return weighted logarithms of counts ``(n, terms)``, each row of length 1."""
    table = sp.csr_array((1 + np.log(counts.data), counts.indices, counts.indptr), counts.shape)
    table = sp.csr_array(table * weights[None, :])
    norms = np.sqrt(table.multiply(table).sum(axis=1))
    return sp.csr_array(sp.diags_array(1 / np.maximum(norms, 1e-12)) @ table)


def _by_words(texts: Sequence[str], file: str) -> Floats:
    """Return means of the vectors of a text's words, rarer words weighing more."""
    found = [WORD.findall(text.lower()) for text in texts]
    n_texts = Counter(word for words in found for word in set(words))
    known = read_vectors(Path(file), only=Vocabulary.of(n_texts))
    row_of = {word: row for row, word in enumerate(known.names.names.to_list())}
    means = np.zeros((len(texts), known.rows.shape[1]), dtype=np.float32)
    for place, words in enumerate(found):
        rows = [(row_of[word], n_texts[word]) for word in words if word in row_of]
        if rows:
            chosen, counts = np.array(rows).T
            weights = 1 + np.log(len(texts) / counts)
            means[place] = weights @ known.rows[chosen] / weights.sum()
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return np.asarray(means / np.maximum(lengths, 1e-12), dtype=np.float32)


def _by_sentence_transformers(texts: Sequence[str], model: str) -> Floats:
    library = import_extra("sentence_transformers", extra="texts")
    encoder = library.SentenceTransformer(model)
    return np.asarray(encoder.encode(list(texts), show_progress_bar=False), dtype=np.float32)


def _by_model2vec(texts: Sequence[str], model: str) -> Floats:
    library = import_extra("model2vec", extra="texts")
    return np.asarray(library.StaticModel.from_pretrained(model).encode(list(texts)), np.float32)
