"""Evidence by structure: shared neighbours and their weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from kgraft.alignment.nodes import Floats, Ints, Nodes
from kgraft.alignment.settings import StructureSettings
from kgraft.linking.relation_matching import incidence

MOST = 0.99
"""Upper limit of a single neighbour's probability."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Statements about entities, such as "borders on Mali".

    Args:
        statements: Nodes and the statements about them, 0 or 1, ``(n, f)``.
        relation: Relation and direction of each statement, ``2 r`` of them, int64 ``(f,)``.
        other: The cluster at its other end, int64 ``(f,)``.
        probability: That two entities which share it are the same, float64 ``(f,)``.
    """

    statements: sp.csr_array
    relation: Ints
    other: Ints
    probability: Floats

    def of_clusters(self, clusters: Ints) -> sp.csr_array:
        """Return clusters and the square roots of their statements' evidence, ``(clusters, f)``."""
        n_clusters = int(clusters.max(initial=-1)) + 1
        belongs = incidence(clusters, np.arange(len(clusters)), (n_clusters, len(clusters)))
        stated = (belongs @ self.statements).tocsr()
        stated.data[:] = 1
        return (stated @ sp.diags_array(np.sqrt(-np.log1p(-self.probability)))).tocsr()


def neighbours(
    nodes: Nodes, clusters: Ints, relations: Ints, settings: StructureSettings
) -> Neighbours:
    """Collect the statements about every node.

    Two entities that share a statement about at most ``d`` entities of a graph are the same with a
    probability of about ``1 / d``: functionality, measured at the neighbour itself. For small ``d``
    it is held near the inverse functionality of the relation (PARIS, equation 2).

    Args:
        nodes: All entities.
        clusters: The cluster of each node.
        relations: Each relation's class, and behind them those of inverses, ``(2 r,)``.
        settings: Weights of neighbours.
    """
    subject, relation, other = nodes.directed_facts()
    size = int(clusters.max(initial=-1)) + 1
    keys = relations[relation] * size + clusters[other]
    kinds, column = np.unique(keys, return_inverse=True)
    stated = incidence(subject, column, (len(nodes), len(kinds)))
    counts = np.stack(
        [
            stated[first:last].sum(axis=0)
            for first, last in zip(nodes.first[:-1], nodes.first[1:], strict=True)
        ]
    )
    relation, other = np.divmod(kinds, size)
    probability = _probability(counts, relation, settings.pseudo_count)
    shared = ((counts > 0).sum(axis=0) > 1) & (counts.max(axis=0) <= settings.max_entities)
    kept = np.flatnonzero(shared)
    return Neighbours(stated[:, kept].tocsr(), relation[kept], other[kept], probability[kept])


def _probability(counts: Floats, relation: Ints, caution: float) -> Floats:
    """Return the probability ``(f,)`` of statements about ``counts`` entities ``(graphs, f)``."""
    n_stated = np.bincount(relation, weights=counts.sum(axis=0))
    n_distinct = np.bincount(relation, weights=(counts > 0).sum(axis=0))
    functionality = n_distinct / np.maximum(n_stated, 1)
    most = counts.max(axis=0)
    probability: Floats = (1 + caution * functionality[relation]) / (most + caution)
    return np.minimum(probability, MOST)
