"""Choice of relation paths by questions that were learned from, and the file that keeps it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from kgraft.errors import DataError
from kgraft.model.tensor_file import read_tensor_file
from kgraft.pipeline.text_vectors import sentence_vectors
from kgraft.system.extras import import_extra
from kgraft.system.outputs import write_atomically

EXTRA: Final = "questions"

TFIDF: Final = "tfidf"
"""The encoder by n-grams of characters, weighted by TF-IDF."""

STRENGTHS: Final = (1.0, 10.0, 100.0)
"""Inverses of the regularization, of which held-out questions choose."""

HELD_OUT: Final = 10
"""One question of so many is held out to choose the strength."""

MIN_CHOICE: Final = 50
"""Questions from which on the strength is chosen; with fewer it is the middle one."""

MANY: Final = 100
"""Questions from which on an n-gram counts only if two have it."""

ROUNDS: Final = 300
"""Steps of a fit at most."""

PATHS: Final = 5
"""Paths that a question may mean."""

LIKELY: Final = 0.02
"""Least probability of such a path, but for the best one."""

SEED: Final = 0

Names = tuple[str, ...]
"""Names of a path's relations, inverses with ``^`` ahead."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LearnedPaths:
    """The probability of relation paths by the words of a question.

    A logistic regression over n-grams of characters, weighted by TF-IDF, or over the vectors of a
    sentence encoder. Shapes: F features, P paths.

    Args:
        paths: The paths.
        weights: Weights of features, float32 ``(F, P)``.
        bias: Of each path, ``(P,)``.
        encoder: ``tfidf``, ``sentence-transformers:MODEL`` or ``model2vec:MODEL``.
        terms: The n-grams, by row of ``weights``; empty for sentence encoders.
        idf: Weights of the n-grams, ``(F,)``; likewise.
        questions: The number of questions that were learned from.
    """

    paths: tuple[Names, ...]
    weights: Floats
    bias: Floats
    encoder: str
    terms: tuple[str, ...]
    idf: Floats
    questions: int

    def __post_init__(self) -> None:
        counter = None
        if self.encoder == TFIDF:
            counter = _counter(vocabulary={term: n for n, term in enumerate(self.terms)})
            counter.idf_ = self.idf.astype(np.float64)
        object.__setattr__(self, "_counter", counter)

    def ranked(self, texts: Sequence[str]) -> list[list[tuple[Names, float]]]:
        """Return the best paths of each question with their probabilities.

        Args:
            texts: Questions, with ``E`` for their entity.

        Raises:
            DataError: If the encoder is not on this machine: the file that names it may be of
                others, so none is downloaded.
        """
        counter: Any = vars(self)["_counter"]
        rows = counter.transform(texts) if counter else _vectors(texts, self.encoder, False)
        scores = np.asarray(rows @ self.weights) + self.bias
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares = scores / scores.sum(axis=1, keepdims=True)
        best = np.argsort(-shares, axis=1, kind="stable")[:, :PATHS]
        return [
            [(self.paths[at], float(row[at])) for at in places if row[at] >= min(LIKELY, row.max())]
            for row, places in zip(shares, best.tolist(), strict=True)
        ]

    def save(self, path: FilePath | str) -> None:
        """Write it into a file."""
        about = {
            "paths": self.paths,
            "encoder": self.encoder,
            "terms": self.terms,
            "questions": self.questions,
        }
        tensors = {"weights": self.weights, "bias": self.bias, "idf": self.idf}
        kept = {name: torch.from_numpy(x.copy()) for name, x in tensors.items()}
        with write_atomically(FilePath(path), apart=True) as temporary:
            save_file(kept, temporary, metadata={"questions": json.dumps(about)})

    @classmethod
    def read(cls, path: FilePath) -> LearnedPaths:
        """Read what ``save`` has written.

        Raises:
            DataError: If the file is missing, damaged or another one.
        """
        try:
            file = read_tensor_file(path)
            about = json.loads(file.metadata["questions"])
            weights, bias, idf = (file.tensors[x].numpy() for x in ("weights", "bias", "idf"))
            paths = tuple(tuple(map(str, x)) for x in about["paths"])
            terms, encoder = tuple(map(str, about["terms"])), str(about["encoder"])
            if weights.shape != (len(idf) or len(weights), len(paths)) or len(bias) != len(paths):
                raise ValueError("shapes and names differ")
            if len(terms) != len(idf):
                raise ValueError("terms and their weights differ in number")
            return cls(paths, weights, bias, encoder, terms, idf, int(about["questions"]))
        except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise DataError(
                f"no questions that were learned from can be read ({error})",
                remedy="Write the file with 'kgraft questions MODEL PAIRS.tsv'",
                path=path,
            ) from error


def learn_paths(
    texts: Sequence[str], paths: Sequence[Names], groups: Sequence[int], encoder: str = TFIDF
) -> LearnedPaths:
    """Learn which paths questions mean.

    Args:
        texts: Questions, with ``E`` for their entity.
        paths: The path of each.
        groups: Their entities; those about one entity are held out together.
        encoder: As in ``LearnedPaths``.

    Raises:
        DataError: If there is no question, or no such encoder.
        KgraftError: If a library is not installed.
    """
    names = tuple(sorted(set(paths)))
    number = {path: at for at, path in enumerate(names)}
    wanted = np.array([number[x] for x in paths])
    if not len(wanted):
        raise DataError("no question has a path", remedy="Give pairs of question and path")
    counter = None
    if encoder == TFIDF:
        counter = _counter(min_df=2 if len(texts) >= MANY else 1)
        rows = counter.fit_transform(texts)
    else:
        rows = _vectors(texts, encoder, True)
    if len(names) == 1:
        weights, bias = np.zeros((rows.shape[1], 1)), np.zeros(1)
    else:
        fitted = _fitted(rows, wanted, _strength(rows, wanted, np.asarray(groups)))
        weights, bias = _of_two(fitted.coef_.T, fitted.intercept_)
    return LearnedPaths(
        names,
        weights.astype(np.float32),
        bias.astype(np.float32),
        encoder,
        tuple(counter.get_feature_names_out().tolist()) if counter else (),
        counter.idf_.astype(np.float32) if counter else np.empty(0, np.float32),
        len(wanted),
    )


def _counter(**more: Any) -> Any:
    """Return the transformer of texts to weighted n-grams."""
    library = import_extra("sklearn.feature_extraction.text", extra=EXTRA)
    return library.TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, dtype=np.float32, **more
    )


def _vectors(texts: Sequence[str], encoder: str, download: bool) -> Floats:
    rows = sentence_vectors(texts, encoder, download=download)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), dtype=np.float32)


def _strength(rows: Any, wanted: NDArray[np.int64], groups: NDArray[np.int64]) -> float:
    """Return the strength by which held-out questions about other entities are answered best."""
    distinct, group = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(SEED).permutation(len(distinct))
    held = order[group] % HELD_OUT == 0
    if len(wanted) < MIN_CHOICE or held.all() or len(set(wanted[~held].tolist())) < 2:
        return STRENGTHS[1]
    rates = [
        float((_fitted(rows[~held], wanted[~held], x).predict(rows[held]) == wanted[held]).mean())
        for x in STRENGTHS
    ]
    return STRENGTHS[int(np.argmax(rates))]


def _fitted(rows: Any, wanted: NDArray[np.int64], strength: float) -> Any:
    library = import_extra("sklearn.linear_model", extra=EXTRA)
    with warnings.catch_warnings():
        # Of many questions the last steps change nothing that is seen; few have a path each.
        warnings.filterwarnings("ignore", "lbfgs failed to converge|The number of unique classes")
        return library.LogisticRegression(C=strength, max_iter=ROUNDS).fit(rows, wanted)


def _of_two(weights: NDArray[Any], bias: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return weights and bias for each path, where of two paths only one has them."""
    if weights.shape[1] > 1:
        return weights, bias
    return np.hstack([np.zeros_like(weights), weights]), np.append(np.zeros_like(bias), bias)
