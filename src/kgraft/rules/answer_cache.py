"""A cache of the answers of rules to queries, within a bound of memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.grouped_index import Column

Answers = tuple[Column, NDArray[np.float32]]
"""The answers of a query, and the probability of each, ``(n,)``."""

ENTRY_BYTES = 400
"""Bytes that a query takes besides its answers, about."""


class AnswerCache:
    """The answers of the queries that were asked last. Threads may share it.

    Args:
        max_bytes: Bytes of all answers together.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes, self.bytes = max_bytes, 0
        self._answers = OrderedDict[int, Answers]()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, queries: Sequence[int]) -> list[Answers | None]:
        """Return the answers of each query, None where they are not known."""
        with self._lock:
            found = [self._answers.get(query) for query in queries]
            for query, answers in zip(queries, found, strict=True):
                if answers is not None:
                    self._answers.move_to_end(query)
        return found

    def put(self, known: Iterable[tuple[int, Answers]]) -> None:
        """Keep the answers of queries in place of those that were asked for longest ago."""
        with self._lock:
            for query, answers in known:
                if query not in self._answers:
                    self._answers[query] = answers
                    self.bytes += _size(answers)
            while self.bytes > self.max_bytes:
                _, answers = self._answers.popitem(last=False)
                self.bytes -= _size(answers)


def _size(answers: Answers) -> int:
    return ENTRY_BYTES + sum(x.nbytes for x in answers)
