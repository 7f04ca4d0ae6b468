"""Vectors of new entities by texts about them, by a map that is fitted to known entities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.errors import DataError
from kgraft.inference.names import ModelNames
from kgraft.io.texts import Texts
from kgraft.pipeline.text_vectors import Tfidf

TEXT_MAP: Final = "text map"
"""Key of the last map and a hash of its texts, among a model's prepared parts."""

FEWEST: Final = 10
"""Known entities with a text that a map is fitted to, at least."""

MAX_FITTED: Final = 50_000
"""The same at most: an even sample of more."""

PENALTIES: Final = (0.01, 0.1, 1.0, 10.0)
"""Penalties of the fit, relative to the mean square of a number of the texts' vectors."""

HELD_OUT: Final = 5
"""One in so many known entities is held out to choose the penalty."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TextMap:
    """A linear map from vectors of texts to vectors of entities, by ridge regression.

    Args:
        encoder: Makes vectors of texts.
        weights: The map, ``(d, D)``.
        centre: Mean vector of the texts ``(d,)``.
        mean: Mean vector of the entities ``(D,)``.
    """

    encoder: Tfidf
    weights: Floats
    centre: Floats
    mean: Floats

    @classmethod
    def of(cls, texts: Sequence[str], vectors: Tensor) -> TextMap:
        """Fit a map to texts and vectors of the same entities, ``(n, D)``.

        Raises:
            DataError: If the texts have too few words in common.
        """
        encoder, given = Tfidf.of(texts)
        rows, wanted = given.astype(np.float64), vectors.double().numpy()
        centre, mean = rows.mean(0), wanted.mean(0)
        rows, wanted = rows - centre, wanted - mean
        is_held_out = np.arange(len(rows)) % HELD_OUT == HELD_OUT - 1
        errors = []
        for penalty in PENALTIES:
            weights = _ridge(rows[~is_held_out], wanted[~is_held_out], penalty)
            error = rows[is_held_out] @ weights - wanted[is_held_out]
            errors.append(float(np.square(error).sum()))
        best = PENALTIES[int(np.argmin(errors))]
        return cls(encoder, _ridge(rows, wanted, best), centre, mean)

    def vectors(self, texts: Sequence[str]) -> Tensor:
        """Return the vectors that texts make probable, float32 ``(n, D)``."""
        given = self.encoder.encode(texts) - self.centre
        return torch.from_numpy(self.mean + given @ self.weights).float()


def _ridge(rows: Floats, wanted: Floats, penalty: float) -> Floats:
    """Return the weights ``(d, D)`` of centred rows, with a penalty per row."""
    square = rows.T @ rows
    ridge = penalty * max(float(np.trace(square)) / len(square), 1e-12)
    found = np.linalg.solve(square + ridge * np.eye(len(square)), rows.T @ wanted)
    return np.asarray(found, dtype=np.float64)


def text_vectors(
    names: ModelNames, texts: Mapping[str, str], new: Sequence[str]
) -> dict[str, Tensor]:
    """Return vectors of new entities by their texts, by name.

    The map is fitted to known entities that ``texts`` has too, or else to labels and names.

    Args:
        names: Names of the model.
        texts: Texts by name.
        new: Names of the new entities; those without a text are left out.

    Raises:
        DataError: If too few known entities have a text, or the texts have no words in common.
    """
    described = [name for name in new if texts.get(name, "").strip()]
    if not described:
        return {}
    found = _map_of(names, texts).vectors([texts[name] for name in described])
    return dict(zip(described, found, strict=True))


def _map_of(names: ModelNames, texts: Mapping[str, str]) -> TextMap:
    entities, prepared = names.part.entities, names.model.prepared
    known = [(x, texts[name]) for x, name in enumerate(entities.names) if name in texts]
    if len(known) < FEWEST:
        known = []
    kept: tuple[int, TextMap] | None = prepared.get(TEXT_MAP)
    key = hash(tuple(known))
    if kept is None or kept[0] != key:
        own = known or [*enumerate(Texts.of_graph(names.model.graph.graphs()[names.source]).texts)]
        kept = key, _fitted(names, [text for _, text in own], np.array([x for x, _ in own]))
        prepared[TEXT_MAP] = kept
    return kept[1]


def _fitted(names: ModelNames, texts: Sequence[str], places: NDArray[np.int64]) -> TextMap:
    """Fit a map to texts of entities of the target, by their places there."""
    kge, rows = names.model.kge, names.part.entity_rows[places]
    there = np.flatnonzero(kge.has_vector(rows)).tolist()
    there = there[:: max(1, -(-len(there) // MAX_FITTED))]
    if len(there) < FEWEST:
        raise DataError(
            f"only {len(there)} entities of {names.source!r} have a text and a vector",
            remedy=f"Give texts of {FEWEST} known entities or more, beside those of new ones",
        )
    return TextMap.of([texts[x] for x in there], kge.vectors(torch.from_numpy(rows[there])))
