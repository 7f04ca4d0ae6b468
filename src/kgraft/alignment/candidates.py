"""Pairs of clusters with their evidence and probability to be one.

Each piece of evidence for a pair is a probability ``p`` that it makes them the same, taken as
independent of the others (noisy-or, as in PARIS: Suchanek et al., VLDB 2012, equation 4), so
evidence is the sum of ``-log(1 - p)`` over its pieces. Where a cluster is a row of a sparse matrix
whose squared numbers are these terms, the evidence for all pairs is the matrix times its transpose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgraft.alignment.nodes import Floats, Ints
from kgraft.graph.grouped_index import changes

ROWS = 4096
"""Clusters whose products are in memory at once."""

KEPT = 20
"""Candidates kept of a cluster, the best ones."""

LARGEST = 30.0
"""Upper limit of evidence, at which odds are still finite."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Evidence for clusters.

    Args:
        structure: Clusters and their neighbours, ``(n, f)``.
        labels: Clusters and their names, ``(n, k)``.
        pairs: Evidence for pairs of clusters, symmetric, ``(n, n)``.
        unlike: Evidence subtracted from pairs without any by labels.
    """

    structure: sp.csr_array
    labels: sp.csr_array
    pairs: sp.csr_array
    unlike: float = 0.0

    def between(self, rows: Ints) -> sp.csr_array:
        """Return the evidence for pairs of some clusters with all, ``(len(rows), n)``."""
        structure = (self.structure[rows] @ self.structure.T).tocsr()
        named = (self.labels[rows] @ self.labels.T + self.pairs[rows]).tocsr()
        if not self.unlike:
            return (structure + named).tocsr()
        unnamed = structure.astype(bool).astype(np.float64)
        unnamed = unnamed - unnamed.multiply(named.astype(bool))
        return (structure + named - self.unlike * unnamed).tocsr()


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of clusters that may be one; each occurs twice, once from either side.

    Args:
        left: One cluster, sorted, int64 ``(m,)``.
        right: The other, the most probable first, ``(m,)``.
        evidence: For the pair, float64 ``(m,)``.
        probability: That they are one, float64 ``(m,)``.
    """

    left: Ints
    right: Ints
    evidence: Floats
    probability: Floats

    def matches(self, threshold: float, n_clusters: int) -> Ints:
        """Return the positions of pairs that are each other's best candidates, each pair once.

        Args:
            threshold: Minimum probability.
            n_clusters: Number of clusters.
        """
        first = np.flatnonzero(changes(self.left)) if len(self.left) else np.empty(0, np.int64)
        best = np.full(n_clusters, -1, dtype=np.int64)
        best[self.left[first]] = self.right[first]
        mutual = best[self.right[first]] == self.left[first]
        sure = self.probability[first] >= threshold
        found: Ints = first[mutual & sure & (self.left[first] < self.right[first])]
        return found


def candidates(
    evidence: Evidence, members: Ints, no_partner_odds: float, only: int | None = None
) -> Candidates:
    """Compare all clusters with evidence in common.

    A pair's odds are divided by those of all its rivals: pairs of the same cluster of which only
    one can be right, since a cluster holds one entity of each graph, and that none is right. The
    lower of both sides' probabilities counts.

    Args:
        evidence: Evidence for clusters.
        members: Each cluster's node of each graph, or -1, ``(n, graphs)``.
        no_partner_odds: Prior odds that a cluster has no partner in a graph.
        only: A graph's index: only clusters with an entity of it are compared with others.
    """
    holds = members >= 0
    asked = np.arange(len(holds)) if only is None else np.flatnonzero(holds[:, only])
    none = np.empty(0, dtype=np.int64)
    kept, totals = [(none, none, np.empty(0))], np.zeros(holds.shape)
    for start in range(0, len(asked), ROWS):
        rows = asked[start : start + ROWS]
        left, right, strength = _possible(evidence.between(rows), rows, holds)
        odds = np.expm1(np.minimum(strength, LARGEST))
        sides = [(left, right)] if only is None else [(left, right), (right, left)]
        for one, other in sides:
            for place in range(holds.shape[1]):
                with_place = holds[other, place]
                totals[:, place] += np.bincount(
                    one[with_place], weights=odds[with_place], minlength=len(holds)
                )
        order = np.lexsort((right, -strength, left))
        left, right, strength = left[order], right[order], strength[order]
        best = rank_in_group(left) < KEPT
        kept.append((left[best], right[best], strength[best]))
        if only is not None:
            kept.append((right[best], left[best], strength[best]))
    left, right, strength = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    odds = np.expm1(np.minimum(strength, LARGEST))
    probability = np.ones(len(left))
    for one, other in ((left, right), (right, left)):
        for place in range(holds.shape[1]):
            rivals = np.where(holds[other, place], totals[one, place], 0.0)
            probability = np.minimum(
                probability, odds / (no_partner_odds + np.maximum(rivals, odds))
            )
    order = np.lexsort((right, -strength, -probability, left))
    return Candidates(left[order], right[order], strength[order], probability[order])


def _possible(
    product: sp.csr_array, rows: Ints, holds: NDArray[np.bool_]
) -> tuple[Ints, Ints, Floats]:
    """Return pairs with evidence and without two entities of one graph."""
    pairs = product.tocoo()
    left = rows[pairs.row]
    right = pairs.col.astype(np.int64)
    bits = holds @ (1 << np.arange(holds.shape[1]))
    possible = ((bits[left] & bits[right]) == 0) & (pairs.data > 0)
    return left[possible], right[possible], pairs.data[possible].astype(np.float64)


def rank_in_group(groups: Ints) -> Ints:
    """Return each row's position in its run of equal numbers."""
    if not len(groups):
        return groups
    starts = np.flatnonzero(changes(groups))
    sizes = np.diff(np.append(starts, len(groups)))
    return np.arange(len(groups)) - np.repeat(starts, sizes)


def merged(clusters: Ints, left: Ints, right: Ints) -> Ints:
    """Join pairs of clusters, and number all anew from 0."""
    number = np.arange(int(clusters.max(initial=-1)) + 1)
    number[right] = left
    return np.unique(number[clusters], return_inverse=True)[1].astype(np.int64)
