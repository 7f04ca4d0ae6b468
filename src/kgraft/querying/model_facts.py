"""Probabilities of facts by a model, as the solver takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import KnownFacts, Side
from kgraft.inference.candidates import MAX_SCORES
from kgraft.inference.predict import Predictor
from kgraft.linking.joint_graph import positions_of
from kgraft.model.calibration import MAX_PROBABILITY
from kgraft.querying.hops import Columns
from kgraft.querying.missing_answers import MissingAnswers

KEPT_VALUES = 2**23
"""Probabilities that are kept for the same hop of a later query: 32 MiB."""


@dataclass(eq=False)
class ModelFacts:
    """Facts between the candidates of a predictor.

    Args:
        predictor: A prepared model.
        own: The facts that have probability 1, in the model's rows; by default all that the source
            of the names states, in any split.
    """

    predictor: Predictor
    own: Triples | None = None

    def __post_init__(self) -> None:
        names, candidates = self.predictor.names, self.predictor.candidates
        self.known = KnownFacts(names.own_facts if self.own is None else self.own)
        self.rows, self.size = candidates.rows, len(candidates)
        self.missing = MissingAnswers.of(names)
        self.n_relations = names.n_relations
        self._kept = dict[tuple[int, int], NDArray[np.float32]]()
        self._column = positions_of(self.rows, names.model.graph.n_entities)

    def column(self, row: int) -> int:
        """Return the column of an entity."""
        return int(self._column[row])

    def sides(self, along: int) -> tuple[int, Side]:
        """Return relation and side of a directed relation."""
        back, relation = divmod(along, self.n_relations)
        return relation, "head" if back else "tail"

    def probabilities(self, columns: Columns, along: int) -> NDArray[np.float32]:
        """Return the probabilities of the facts from some candidates to all, ``(K, C)``."""
        found = np.empty((len(columns), self.size), dtype=np.float32)
        rows = [self._kept.get((along, column)) for column in columns.tolist()]
        for place, row in enumerate(rows):
            if row is not None:
                found[place] = row
        new = np.flatnonzero([row is None for row in rows])
        size = max(1, MAX_SCORES // max(self.size, 1))
        for start in range(0, len(new), size):
            places = new[start : start + size]
            found[places] = self._block(columns[places], along)
        if len(self._kept) + len(new) > (most := KEPT_VALUES // max(self.size, 1)):
            self._kept.clear()
        for place in new[:most].tolist():
            self._kept[along, int(columns[place])] = found[place]
        return found

    def forget(self) -> None:
        """Forget the probabilities that are kept for later queries."""
        self._kept.clear()

    def value(self, start: int, along: int, end: int) -> float:
        """Return the probability of one fact."""
        _, ends = self.stated(np.array([start]), along)
        if end in ends:
            return 1.0
        return float(self.probabilities(np.array([start]), along)[0, end])

    def _block(self, columns: Columns, along: int) -> NDArray[np.float32]:
        relation, side = self.sides(along)
        anchors, relations = self.rows[columns], np.full(len(columns), relation)
        shares = self.predictor.candidates.shares(anchors, relations, side).numpy()
        found = self.predicted(shares, columns, along)
        found[self.predictor.candidates.own(anchors, relations)] = 0.0
        for known, value in ((self.predictor.names.known_false, 0.0), (self.known, 1.0)):
            query, entity = known.answers(anchors, relations, side)
            column = self._column[entity]
            found[query[column >= 0], column[column >= 0]] = value
        return found

    def predicted(
        self, shares: NDArray[np.float32], columns: Columns, along: int
    ) -> NDArray[np.float32]:
        """Return the probabilities of facts that are not stated, ``(K, C)``.

        A candidate has its share of the answers that its query is expected to lack; of a number
        that varies as Poisson's does, at least one is there with ``1 - exp(-expected)``.
        """
        place, _ = self.stated(columns, along)
        number = self.missing.expected(along, np.bincount(place, minlength=len(columns)))
        # Only stated answers have shares above 1.
        expected = np.exp(np.minimum(shares, 0)) * number[:, None].astype(np.float32)
        found: NDArray[np.float32] = np.minimum(-np.expm1(-expected), MAX_PROBABILITY)
        return found

    def stated(self, columns: Columns, along: int) -> tuple[Columns, Columns]:
        """Return place in ``columns`` and end of stated facts, ``(n,)`` each."""
        relation, side = self.sides(along)
        relations = np.full(len(columns), relation)
        place, entity = self.known.answers(self.rows[columns], relations, side)
        column = self._column[entity]
        return place[column >= 0], column[column >= 0]

    def domain(self, along: int) -> Columns:
        """Return the candidates that are known to have an answer."""
        relation, side = self.sides(along)
        return self.predictor.candidates.ends(relation, "head" if side == "tail" else "tail")
