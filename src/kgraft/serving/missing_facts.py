"""The most probable facts that a served graph lacks, found in the background."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import polars as pl

from kgraft.errors import KgraftError
from kgraft.inference.complete import COLUMNS, complete
from kgraft.inference.predict import Predictor
from kgraft.system.memory import give_back
from kgraft.system.progress import Silence

LOG = logging.getLogger(__name__)

MIN_PROBABILITY = 0.1  # of the facts that are kept
KEPT = 1_000  # facts of one relation, of either list
LEASE_SECONDS = 20.0  # of work after a client's last request

Basis = Literal["stated", "inferred"]
"""The list of a missing fact: other sources state it, or it is inferred."""


@dataclass(frozen=True)
class Found:
    """Missing facts, as far as they have been looked for.

    Args:
        facts: With the columns of ``kgraft.inference.complete``, the most probable first.
        asked: Number of queries that were asked.
        queries: Number of all queries.
    """

    facts: pl.DataFrame
    asked: int
    queries: int


class _StoppedError(Exception):
    """The work ends."""


class _PostponedError(Exception):
    """Another relation is wanted sooner."""


class MissingFacts:
    """The facts that a model's target lacks, relation by relation.

    A thread of its own looks for them, since a large graph takes minutes. It begins when someone
    asks, takes first the relation that was asked for last, and rests when nobody has asked for
    ``LEASE_SECONDS``.

    Args:
        predictor: A prepared model.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._found: dict[int, pl.DataFrame] = {}
        self._asked: dict[int, int] = {}
        self._changed = threading.Condition()
        self._lease = 0.0
        self._stopped = self._closed = False
        self._failed: Exception | None = None
        self._thread: threading.Thread | None = None

    @cached_property
    def _queries(self) -> dict[int, int]:
        """The number of queries of each relation, by row."""
        names, judge = self._predictor.names, self._predictor.judge
        if judge is None:
            raise KgraftError(
                "the model gives no probabilities of facts: it was trained without validation "
                "facts, or has no target. Hold facts out for validation, and train again."
            )
        asked = np.concatenate([pairs[:, 0] for pairs in judge.queries().values()])
        sizes = np.bincount(asked, minlength=names.model.graph.n_relations)
        return {row: int(sizes[row]) for row in np.unique(names.part.relation_rows).tolist()}

    @cached_property
    def _left(self) -> list[int]:
        """The relations to look at; small ones come first, so that something is seen soon."""
        return sorted(self._queries, key=lambda row: self._queries[row])

    def find(self, relation: str | None, basis: Basis | None) -> Found:
        """Return the facts that have been found, and let the work go on.

        Args:
            relation: Only facts along this relation, by its name or the end of it.
            basis: Only facts of this list.

        Raises:
            UnknownNameError: If there is no such relation.
            KgraftError: If the model has no probabilities of facts, or the search has failed.
        """
        if self._failed is not None:
            raise KgraftError(f"the search for missing facts has failed ({self._failed})")
        names = self._predictor.names
        rows = list(self._queries)
        if relation is not None:
            rows = [names.relation_row(relation)]
        with self._changed:
            self._lease = time.monotonic() + LEASE_SECONDS
            if relation is not None and rows[0] in self._left:
                self._left.remove(rows[0])
                self._left.insert(0, rows[0])
            if self._left and self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="missing", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            frames = [self._found[row] for row in rows if row in self._found]
            asked = sum(self._progress(row) for row in rows)
        facts = pl.concat(frames) if frames else pl.DataFrame(schema=COLUMNS)
        if basis is not None:
            facts = facts.filter(pl.col("list") == basis)
        facts = facts.sort("probability", "probability_if_asked", descending=True)
        return Found(facts, asked, sum(self._queries[row] for row in rows))

    def _progress(self, row: int) -> int:
        """Return the number of a relation's queries that were asked, all only with its facts."""
        whole = self._queries[row]
        return whole if row in self._found else min(self._asked.get(row, 0), max(whole - 1, 0))

    def stop(self) -> None:
        """End the work; a later request takes it up again."""
        with self._changed:
            thread, self._thread, self._stopped = self._thread, None, True
            self._changed.notify_all()
        if thread is not None:
            thread.join()
        self._stopped = False

    def close(self) -> None:
        """End the work for good, also for a request that still holds the model."""
        with self._changed:
            self._closed = True
        self.stop()

    def _work(self) -> None:
        self._find_all()
        give_back()

    def _find_all(self) -> None:
        try:
            while self._left:
                row = self._left[0]
                if (facts := self._facts_of(row)) is not None:
                    with self._changed:
                        self._found[row] = facts
                        self._left.remove(row)
        except _StoppedError:
            return
        except Exception as error:  # whatever it is, who asks is told
            LOG.exception("The search for missing facts has failed.")
            self._failed = error

    def _facts_of(self, row: int) -> pl.DataFrame | None:
        """Return the missing facts of a relation, or None if another one is wanted sooner."""
        part = self._predictor.names.part
        name = part.relation_name(row)
        progress = _Progress(self, row)
        frames = complete(
            self._predictor, min_probability=MIN_PROBABILITY, relation=name, listener=progress
        )
        try:
            found = [_best(frame) for frame in frames]
        except _PostponedError:
            return None
        return pl.concat(found) if found else pl.DataFrame(schema=COLUMNS)

    def _wait(self, row: int, n: int) -> None:
        """Count queries, wait for a client, and leave the relation if another is wanted."""
        with self._changed:
            self._asked[row] = self._asked.get(row, 0) + n
            while not self._stopped and time.monotonic() > self._lease:
                self._changed.wait()
            if self._stopped:
                self._asked[row] = 0
                raise _StoppedError
            if self._left[0] != row and self._asked[row] < self._queries[row]:
                self._asked[row] = 0
                raise _PostponedError


@dataclass(frozen=True)
class _Progress(Silence):
    """A listener at which the work waits."""

    missing: MissingFacts
    row: int

    def advance(self, n: int) -> None:
        """Count queries."""
        self.missing._wait(self.row, n)


def _best(facts: pl.DataFrame) -> pl.DataFrame:
    """Return the most probable facts of each list."""
    return facts.filter(pl.int_range(pl.len()).over("list") < KEPT)
