"""Evidence on single facts by counting: kinds of entities, second values, other sources.

Each fact is judged as if the graph did not state it, and any fact may be judged, stated or not.
What tells against a fact, and what for it, is in ``error_probability.SIGNS``.

Shapes: n facts, own facts of the target ``(m, 3)``, all in the rows of a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kgraft.graph.grouped_index import GroupedIndex, Ints
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import KnownFacts

Floats = NDArray[np.float64]

MAX_CELLS = 2**22
"""Numbers of a dense block of entities and kinds of facts."""

SMOOTHING = 0.5
"""Facts that are added to each count of a share."""


@dataclass(frozen=True, eq=False)
class JudgedFacts:
    """Facts to judge, and for each the own fact that the graph is judged without.

    Args:
        facts: int64 ``(n, 3)``.
        absent: Position among the own facts, or -1 for none, ``(n,)``.
        fold: The fold whose evidence is used, ``(n,)``.
    """

    facts: Triples
    absent: Ints
    fold: Ints

    def __len__(self) -> int:
        return len(self.facts)


class RowCounter:
    """Counts of equal rows of some columns of facts."""

    def __init__(self, facts: Triples, columns: tuple[int, ...], n_entities: int) -> None:
        self._columns = columns
        sizes = (n_entities,) * len(columns)
        self._rows = GroupedIndex.of(*(facts[:, x] for x in columns), sizes=sizes)

    def of(self, facts: Triples) -> Ints:
        """Return the count of each of some facts' columns, ``(n,)``."""
        return self._rows.counts(*(facts[:, x] for x in self._columns))

    def without(self, judged: JudgedFacts, own: Triples) -> Ints:
        """Return the counts with the absent facts left out."""
        return self.of(judged.facts) - self.same(judged, own)

    def same(self, judged: JudgedFacts, own: Triples) -> NDArray[np.bool_]:
        """Tell for each fact if the absent one has equal columns."""
        absent = own[np.maximum(judged.absent, 0)]
        equal = [absent[:, x] == judged.facts[:, x] for x in self._columns]
        found: NDArray[np.bool_] = np.logical_and.reduce([judged.absent >= 0, *equal])
        return found


class FactCounts:
    """Counts of a target's facts, and of what other sources state.

    Args:
        own: The target's distinct facts.
        others: The facts of other sources.
        n_entities: Number of entity rows; at least that of relations is used.
        n_relations: Number of relations.
        weights: The share to which each own fact counts for the kinds of its ends, ``(m,)``.
    """

    def __init__(
        self,
        own: Triples,
        others: Triples,
        n_entities: int,
        n_relations: int,
        weights: Floats | None = None,
    ) -> None:
        self.own, self.others = own, np.unique(others, axis=0) if len(others) else others
        self.n_entities, self.n_relations = n_entities, n_relations
        self._weights = np.ones(len(own)) if weights is None else weights
        size = max(n_entities, n_relations)
        columns = {"head": (0, 1), "tail": (1, 2), "ends": (0, 2)}
        self._own = {name: RowCounter(own, x, size) for name, x in columns.items()}
        self._others = {name: RowCounter(self.others, x, size) for name, x in columns.items()}
        self.stated_by_others = KnownFacts(self.others)

    def features(self, judged: JudgedFacts) -> dict[str, Floats]:
        """Return each feature by its name, ``(n,)``."""
        heads, relations, tails = judged.facts.T
        stated = self.stated_by_others.contains(judged.facts)
        own_stated, share = self.stated_by_others.contains(self.own), self._share
        found = {
            "kind_head": self._fit(judged, heads, relations),
            "kind_tail": self._fit(judged, tails, relations + self.n_relations),
            "stated": stated * -np.log(share(own_stated))[relations],
            "unstated": ~stated * -np.log(share(~own_stated))[relations],
        }
        itself = JudgedFacts(self.own, np.arange(len(self.own)), np.zeros(len(self.own), int))
        for name, of in (("tail", "head"), ("head", "tail")):
            several = self._own[of].without(itself, self.own) > 0
            surprise = -np.log(share(several))[relations]
            found[f"second_{name}"] = (self._own[of].without(judged, self.own) > 0) * surprise
            rivals = ~own_stated & (self._others[of].of(self.own) > 0)
            surprise = -np.log(share(rivals))[relations]
            found[f"rival_{name}"] = (~stated & (self._others[of].of(judged.facts) > 0)) * surprise
        turned = judged.facts[:, ::-1]
        joined = self._own["ends"].without(judged, self.own) + self._others["ends"].of(judged.facts)
        found["joined"] = np.log1p(joined - stated + self._others["ends"].of(turned))
        found["loop"] = (heads == tails).astype(np.float64)
        return found

    def _share(self, mask: NDArray[np.bool_]) -> Floats:
        """Return the share of each relation's own facts in a mask, smoothed by that of all."""
        n = np.bincount(self.own[:, 1], minlength=self.n_relations)
        hits = np.bincount(self.own[:, 1], weights=mask, minlength=self.n_relations)
        mean = (mask.sum() + SMOOTHING) / (len(mask) + 1)
        found: Floats = (hits + 2 * SMOOTHING * mean) / (n + 2 * SMOOTHING)
        return found

    def _fit(self, judged: JudgedFacts, entities: Ints, kinds: Ints) -> Floats:
        """Return how well an entity's other facts fit one of a kind, about 0 for neither, ``(n,)``.

        It is the mean of log P(kind | kind of another fact) / P(kind).
        """
        size, width = max(1, MAX_CELLS // (2 * self.n_relations)), 2 * self.n_relations
        absent = self.own[np.maximum(judged.absent, 0)]
        weight = self._weights[np.maximum(judged.absent, 0)] * (judged.absent >= 0)
        found = np.zeros(len(judged))
        for start in range(0, len(judged), size):
            part = slice(start, start + size)
            rows = self._kinds[entities[part]].toarray()
            place = np.arange(len(rows))
            for end, shift in ((0, 0), (2, self.n_relations)):
                here = absent[part, end] == entities[part]
                kind = (absent[part, 1] + shift) % width
                rows[place[here], kind[here]] -= weight[part][here]
            counts = np.log1p(rows.clip(min=0))
            counts[counts < 1e-6] = 0
            found[part] = (counts * self._lift[kinds[part]]).sum(1) / (counts.sum(1) + 0.3)
        return found

    @cached_property
    def _kinds(self) -> sparse.csr_matrix:
        """Number of facts of each entity by relation and side, ``(entities, 2 relations)``."""
        both = np.concatenate([self.own, self.others])
        weights = np.concatenate([self._weights, np.ones(len(self.others))])
        rows, columns = both[:, [0, 2]].T.ravel(), np.tile(both[:, 1], 2)
        columns[len(both) :] += self.n_relations
        shape = (self.n_entities, 2 * self.n_relations)
        return sparse.csr_matrix((np.tile(weights, 2), (rows, columns)), shape=shape)

    @cached_property
    def _lift(self) -> Floats:
        """Log of P(a | b) / P(a) of each two kinds of facts of one entity."""
        has = self._kinds.minimum(1.0)
        together = np.asarray((has.T @ has).todense())
        n = together.diagonal().copy()
        base = (n + SMOOTHING) / (np.count_nonzero(has.getnnz(axis=1)) + 1)
        given = (together + 2 * base[:, None]) / (n[None, :] + 2)
        lift: Floats = np.log(given) - np.log(base[:, None])
        return lift
