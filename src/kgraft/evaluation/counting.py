"""Scores of a block of candidates, counted against answers' scores where they are.

Shapes: u queries, c candidates, b answers, each of one of the queries.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kgraft.graph.known_facts import Ids

AT_ONCE = 2**26
"""Scores that a GPU compares at once."""

NO_NUMBERS = (
    "the model's scores are not numbers (NaN): its training diverged or its weights are damaged; "
    "train again with a lower learning rate"
)


class Scores(ABC):
    """Scores ``(u, c)``."""

    shape: tuple[int, int]

    @abstractmethod
    def at(self, query: Ids, columns: Ids) -> NDArray[Any]:
        """Return some scores, each by its query and its column."""

    @abstractmethod
    def counts(self, query: Ids, own: NDArray[Any]) -> NDArray[np.int64]:
        """Count the scores that are higher, those no lower than each answer's own, and all.

        Args:
            query: Of each answer, ``(b,)``.
            own: The answers' scores, ``(b,)``.

        Returns:
            The three counts, ``(3, b)``.

        Raises:
            ValueError: If a score is NaN.
        """


def scores_of(scores: torch.Tensor) -> Scores:
    """Return scores that are counted where they are."""
    return (
        HostScores(scores.numpy(force=True)) if scores.device.type == "cpu" else GpuScores(scores)
    )


class HostScores(Scores):
    """NumPy compares and counts three times as fast as torch, a row at a time in the cache."""

    def __init__(self, scores: NDArray[Any]) -> None:
        self._scores = scores
        self.shape = (scores.shape[0], scores.shape[1])

    def at(self, query: Ids, columns: Ids) -> NDArray[Any]:
        """Return some scores."""
        found: NDArray[Any] = self._scores[query, columns]
        return found

    def counts(self, query: Ids, own: NDArray[Any]) -> NDArray[np.int64]:
        """Count a row after the other."""
        counts = np.full((3, len(query)), self.shape[1])
        for place, (row, against) in enumerate(zip(query.tolist(), own, strict=True)):
            theirs = self._scores[row]
            # The maximum of values with a NaN is NaN, and costs a fraction of isnan().any().
            if np.isnan(theirs.max()):
                raise ValueError(NO_NUMBERS)
            counts[0, place] = np.count_nonzero(theirs > against)
            counts[1, place] = np.count_nonzero(theirs >= against)
        return counts


class GpuScores(Scores):
    """What is counted comes back as one matrix; so do single scores, as one vector."""

    def __init__(self, scores: torch.Tensor) -> None:
        self._scores = scores
        self.shape = (scores.shape[0], scores.shape[1])

    def at(self, query: Ids, columns: Ids) -> NDArray[Any]:
        """Return some scores."""
        places = self._there(query * self.shape[1] + columns)
        return self._scores.reshape(-1)[places].numpy(force=True)

    def counts(self, query: Ids, own: NDArray[Any]) -> NDArray[np.int64]:
        """Count many rows at once."""
        if self._scores.isnan().any():
            raise ValueError(NO_NUMBERS)
        rows, against = self._there(query), self._there(own)[:, None]
        size = max(AT_ONCE // max(self.shape[1], 1), 1)
        parts = []
        for some, their in zip(*(torch.split(x, size) for x in (rows, against)), strict=True):
            theirs = self._scores[some]
            parts.append(torch.stack([(theirs > their).sum(1), (theirs >= their).sum(1)]))
        counts = np.full((3, len(query)), self.shape[1])
        counts[:2] = torch.cat(parts, dim=1).numpy(force=True)
        return counts

    def _there(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._scores.device)
