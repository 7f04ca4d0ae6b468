"""What facts say of entities: shared neighbours, and how much each of them tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from kgraft.alignment.nodes import Floats, Ints, Nodes
from kgraft.alignment.settings import StructureSettings

MOST = 0.99
"""No single neighbour makes two entities the same with a higher chance."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """What can be said of entities, as that they border on Mali.

    Args:
        said: Nodes and what is said of them, 0 or 1, ``(n, f)``.
        relation: Relation and direction of what is said, ``2 r`` of them, int64 ``(f,)``.
        other: The cluster at its other end, int64 ``(f,)``.
        chance: Chance that two entities of which it is said are the same; 0 where it tells
            nothing, float64 ``(f,)``.
    """

    said: sp.csr_array
    relation: Ints
    other: Ints
    chance: Floats

    def of_clusters(self, clusters: Ints) -> sp.csr_array:
        """Return clusters and the square roots of what is evidence, ``(clusters, f)``."""
        n_clusters = int(clusters.max(initial=-1)) + 1
        ones = np.ones(len(clusters))
        belongs = sp.csr_array(
            (ones, (clusters, np.arange(len(clusters)))), shape=(n_clusters, len(clusters))
        )
        told = (belongs @ self.said).tocsr()
        told.data[:] = 1
        return (told @ sp.diags_array(np.sqrt(-np.log1p(-self.chance)))).tocsr()


def neighbours(
    nodes: Nodes, clusters: Ints, relations: Ints, settings: StructureSettings
) -> Neighbours:
    """Say of every node what its facts say.

    What is said of at most ``d`` entities of a graph tells with a chance of about ``1 / d`` which
    of them is meant: functionality, measured at the neighbour itself. Where few are seen, it is
    held near the inverse functionality of the relation (PARIS, equation 2).

    Args:
        nodes: All entities.
        clusters: The cluster of each node.
        relations: What each relation counts as, and behind them their inverses, ``(2 r,)``.
        settings: What neighbours are worth.
    """
    heads, verbs, tails = nodes.joint.triples.T
    subject = np.concatenate([heads, tails])
    verb = relations[np.concatenate([verbs, verbs + nodes.joint.n_relations])]
    other = clusters[np.concatenate([tails, heads])]
    size = int(clusters.max(initial=-1)) + 1
    kinds, column = np.unique(verb * size + other, return_inverse=True)
    said = sp.csr_array((np.ones(len(subject)), (subject, column)), shape=(len(nodes), len(kinds)))
    said.sum_duplicates()
    said.data[:] = 1
    counts = np.stack(
        [
            said[first:last].sum(axis=0)
            for first, last in zip(nodes.first[:-1], nodes.first[1:], strict=True)
        ]
    )
    relation, other = np.divmod(kinds, size)
    chance = _chance(counts, relation, settings.pseudo_count)
    shared = ((counts > 0).sum(axis=0) > 1) & (counts.max(axis=0) <= settings.max_entities)
    kept = np.flatnonzero(shared)
    return Neighbours(said[:, kept].tocsr(), relation[kept], other[kept], chance[kept])


def _chance(counts: Floats, relation: Ints, pseudo_count: float) -> Floats:
    """Return the chance that entities which share something are the same, ``(f,)``.

    Args:
        counts: Of how many entities of each graph it is said, ``(graphs, f)``.
        relation: Its relation, ``(f,)``.
        pseudo_count: Weight of the relation's functionality.
    """
    n_said = np.bincount(relation, weights=counts.sum(axis=0))
    n_distinct = np.bincount(relation, weights=(counts > 0).sum(axis=0))
    functionality = n_distinct / np.maximum(n_said, 1)
    most = counts.max(axis=0)
    chance: Floats = (1 + pseudo_count * functionality[relation]) / (most + pseudo_count)
    return np.minimum(chance, MOST)
