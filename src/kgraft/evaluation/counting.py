"""Comparison of a block of scores with answers' scores, on the host or on a GPU.

Shapes: u queries, c candidates, b answers, each of one of the queries. Both classes have ``at``
for single scores, ``(b,)``, and ``counts`` of higher scores, no lower ones, and all, ``(3, b)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kgraft.graph.known_facts import Ids

MAX_COMPARED = 2**26
"""The maximum number of scores that a GPU compares at once."""

NAN_SCORES = (
    "the model's scores are not numbers (NaN): its training diverged or its weights are damaged; "
    "train again with a lower learning rate"
)


class HostScores:
    """Scores ``(u, c)`` in host memory: NumPy counts a row at a time, which stays in the cache."""

    def __init__(self, scores: NDArray[Any]) -> None:
        self._scores = scores
        self.shape = (scores.shape[0], scores.shape[1])

    def at(self, query: Ids, columns: Ids) -> NDArray[Any]:
        """Return some scores, each by its query and its column."""
        found: NDArray[Any] = self._scores[query, columns]
        return found

    def counts(self, query: Ids, own: NDArray[Any]) -> NDArray[np.int64]:
        """Count for each answer, by its query ``(b,)`` and its own score ``(b,)``.

        Raises:
            ValueError: If a score is NaN.
        """
        counts = np.full((3, len(query)), self.shape[1])
        for place, (row, score) in enumerate(zip(query.tolist(), own, strict=True)):
            scores = self._scores[row]
            # The maximum of values with a NaN is NaN, and costs a fraction of isnan().any().
            if np.isnan(scores.max()):
                raise ValueError(NAN_SCORES)
            counts[0, place] = np.count_nonzero(scores > score)
            counts[1, place] = np.count_nonzero(scores >= score)
        return counts


class GpuScores:
    """Scores ``(u, c)`` on a GPU; results come back in one transfer."""

    def __init__(self, scores: torch.Tensor) -> None:
        self._scores = scores
        self.shape = (scores.shape[0], scores.shape[1])

    def at(self, query: Ids, columns: Ids) -> NDArray[Any]:
        """Return some scores, each by its query and its column."""
        places = self._on_gpu(query * self.shape[1] + columns)
        return self._scores.reshape(-1)[places].numpy(force=True)

    def counts(self, query: Ids, own: NDArray[Any]) -> NDArray[np.int64]:
        """Count many rows at once, as ``HostScores.counts`` does."""
        if self._scores.isnan().any():
            raise ValueError(NAN_SCORES)
        size = max(MAX_COMPARED // max(self.shape[1], 1), 1)
        rows, answers = (torch.split(self._on_gpu(x), size) for x in (query, own[:, None]))
        parts = []
        for some, score in zip(rows, answers, strict=True):
            scores = self._scores[some]
            parts.append(torch.stack([(scores > score).sum(1), (scores >= score).sum(1)]))
        counts = np.full((3, len(query)), self.shape[1])
        counts[:2] = torch.cat(parts, dim=1).numpy(force=True)
        return counts

    def _on_gpu(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._scores.device)


Scores = HostScores | GpuScores


def scores_of(scores: torch.Tensor) -> Scores:
    """Wrap scores where they are, so that only counts leave a GPU."""
    on_host = scores.device.type == "cpu"
    return HostScores(scores.numpy(force=True)) if on_host else GpuScores(scores)
