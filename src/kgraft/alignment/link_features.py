"""Features of links: evidence for and against each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from kgraft.alignment.candidates import Candidates, Evidence, candidates
from kgraft.alignment.labels import Names
from kgraft.alignment.nodes import Floats, Ints, Nodes
from kgraft.alignment.settings import AlignSettings
from kgraft.alignment.structure import neighbours
from kgraft.graph.grouped_index import GroupedIndex
from kgraft.linking.relation_matching import (
    correspondences,
    incidence,
    same_relations,
    unified,
)

FREQUENT = 1000
"""Relations, and as many inverses, that profiles of entities consist of, the most frequent."""


@dataclass(frozen=True, eq=False)
class LinkFeatures:
    """Features of pairs of nodes, each ``(n,)``.

    Args:
        agreeing: Other graphs through which links lead from one node to the other.
        contradicting: Other graphs in which the two are linked to different entities.
        rival_links: Further links of either node to the other's graph.
        support: Evidence that they are the same, by shared neighbours.
        shared: Shared facts.
        checkable: Facts of the node with fewer of them that the other could share, the entity at
            the far end being linked to its graph.
        rival_support: Evidence for the best other partner of either node.
        rival: That partner's node, or -1.
        kind: Mean log lift of their relations at linked entities; below 0 these seldom co-occur.
        named: Evidence by names, 0 where names are masked.
    """

    agreeing: Ints
    contradicting: Ints
    rival_links: Ints
    support: Floats
    shared: Floats
    checkable: Floats
    rival_support: Floats
    rival: Ints
    kind: Floats
    named: Floats

    def matrix(self) -> Floats:
        """Return the features of each pair as numbers, ``(n, f)``."""
        columns = (
            np.minimum(self.agreeing, 2),
            self.agreeing > 0,
            np.log1p(self.contradicting),
            np.log1p(self.rival_links),
            np.log1p(self.support),
            self.support > 0,
            np.log1p(self.shared),
            np.log1p(self.checkable),
            np.log1p(self.checkable) * (self.support == 0),
            np.log1p(self.rival_support),
            np.log1p(np.maximum(self.rival_support - self.support, 0)),
            self.kind,
            np.minimum(self.kind, 0),
            np.log1p(self.named),
            self.named > 0,
        )
        return np.stack(columns, axis=1).astype(np.float64)


class FeatureExtractor:
    """Features of any pair of nodes, from all links and facts.

    Args:
        nodes: All entities.
        links: The pairs of nodes that are linked, ``(n, 2)``.
        followed: Rows of the links that count as evidence for other pairs, ``(k,)``.
        clusters: The clusters that these make.
        names: Evidence by names.
        settings: Weights of the evidence.
    """

    def __init__(
        self,
        nodes: Nodes,
        links: Ints,
        followed: Ints,
        clusters: Ints,
        names: Names,
        settings: AlignSettings,
    ) -> None:
        self._nodes = nodes
        self._names = names
        one, other = np.concatenate([links[followed], links[followed][:, ::-1]]).T
        self._linked = incidence(one, other, (len(nodes), len(nodes)))
        self._n_links = np.zeros((len(nodes), len(nodes.graphs)))
        pairs = self._linked.tocoo()
        np.add.at(self._n_links, (pairs.row, nodes.source_of[pairs.col]), 1)
        found = correspondences(nodes.joint, clusters, settings.relations)
        same = same_relations(nodes.joint, found, settings.relations)
        self._relations = unified(same, nodes.joint.n_relations)
        around = neighbours(nodes, clusters, self._relations, settings.structure)
        alone = np.arange(len(nodes))
        self._around = around.of_clusters(alone)
        self._keys, self._pairs = names.of_clusters(alone)
        evidence = Evidence(self._around, self._keys, self._pairs, names.unlike)
        self._candidates = candidates(
            evidence, nodes.members(alone), settings.accept.no_partner_odds
        )
        self._checkable = _checkable(nodes, clusters)
        self._profile = _profiles(nodes, self._relations)
        self._lift = _lifts(self._profile, links[followed])

    def of(self, pairs: Ints, *, real: bool) -> LinkFeatures:
        """Return the features of pairs of nodes, ``(n, 2)``, which are links or not (``real``)."""
        left, right = pairs.T
        source = self._nodes.source_of
        support = (self._around[left] * self._around[right]).sum(axis=1)
        shared = (self._around[left].astype(bool) * self._around[right].astype(bool)).sum(axis=1)
        named = (self._keys[left] * self._keys[right]).sum(axis=1)
        named = named + np.asarray(self._pairs[left, right]).ravel()
        agreeing, contradicting = self._third_graphs(left, right)
        rival, rival_support = self._rivals(left, right)
        # A made pair takes the place of one of its ends' links, as a real one is its own.
        own = np.asarray(self._linked[left, right]).ravel() if real else 1.0
        further = (self._n_links[left, source[right]], self._n_links[right, source[left]])
        return LinkFeatures(
            agreeing,
            contradicting,
            np.sum([np.maximum(counts - own, 0) for counts in further], axis=0).astype(np.int64),
            np.asarray(support).ravel(),
            np.asarray(shared).ravel().astype(np.float64),
            np.minimum(
                self._checkable[left, source[right]], self._checkable[right, source[left]]
            ).astype(np.float64),
            rival_support,
            rival,
            self._kinds(left, right, real=real),
            np.asarray(named).ravel(),
        )

    def _third_graphs(self, left: Ints, right: Ints) -> tuple[Ints, Ints]:
        """Count other graphs in which both are linked to one entity, and to different ones."""
        source = self._nodes.source_of
        both = (self._n_links[left] > 0) & (self._n_links[right] > 0)
        common = (self._linked[left] * self._linked[right]).tocoo()
        agrees = np.zeros(both.shape, dtype=bool)
        agrees[common.row, source[common.col]] = True
        both[np.arange(len(left)), source[left]] = False
        both[np.arange(len(left)), source[right]] = False
        return agrees.sum(axis=1), (both & ~agrees).sum(axis=1)

    def _rivals(self, left: Ints, right: Ints) -> tuple[Ints, Floats]:
        """Return the best other partner of either node in the other's graph, and its evidence."""
        best, strength = np.full(len(left), -1), np.zeros(len(left))
        for one, other in ((left, right), (right, left)):
            node, evidence = _best_other(self._candidates, self._nodes, one, other)
            better = evidence > strength
            best[better], strength[better] = node[better], evidence[better]
        return best, strength

    def _kinds(self, left: Ints, right: Ints, *, real: bool) -> Floats:
        """Return the mean log lift of their relations."""
        one, other = self._profile[left], self._profile[right]
        lifts = self._lift[int(real)]
        total = np.asarray(other.multiply(one @ lifts).sum(axis=1)).ravel()
        sizes = one.sum(axis=1) * other.sum(axis=1)
        mean: Floats = total / np.maximum(np.asarray(sizes).ravel(), 1)
        return mean


def _checkable(nodes: Nodes, clusters: Ints) -> Ints:
    """Count the facts of each node that lead to an entity linked to each graph."""
    members = nodes.members(clusters) >= 0
    subjects, _, objects = nodes.directed_facts()
    counts = np.zeros((len(nodes), len(nodes.graphs)), dtype=np.int64)
    np.add.at(counts, subjects, members[clusters[objects]].astype(np.int64))
    return counts


def _profiles(nodes: Nodes, relations: Ints) -> sp.csr_array:
    """Return nodes and their relations, 0 or 1."""
    subjects, stated, _ = nodes.directed_facts()
    found = incidence(subjects, relations[stated], (len(nodes), 2 * nodes.joint.n_relations))
    frequent = np.argsort(-found.sum(axis=0), kind="stable")[: 2 * FREQUENT]
    return found[:, np.sort(frequent)].tocsr()


def _lifts(profile: sp.csr_array, links: Ints) -> tuple[Floats, Floats]:
    """Return the log lift of each two relations at linked entities.

    Counts and expectations are one higher than they are; the second array, for pairs that are links
    themselves, leaves out their own count.
    """
    one, other = profile[links[:, 0]], profile[links[:, 1]]
    met = (one.T @ other).toarray()
    met = met + met.T
    counts = np.asarray(one.sum(axis=0) + other.sum(axis=0)).ravel()
    expected = np.outer(counts, counts) / max(2 * len(links), 1)
    independent = np.log(expected + 1)
    return np.log(met + 1) - independent, np.log(np.maximum(met, 1)) - independent


def _best_other(found: Candidates, nodes: Nodes, asked: Ints, partner: Ints) -> tuple[Ints, Floats]:
    """Return each node's best candidate in its partner's graph that is not the partner."""
    n_graphs = len(nodes.graphs)
    group = found.left * n_graphs + nodes.source_of[found.right]
    order = np.lexsort((-found.evidence, group))
    group, right, evidence = group[order], found.right[order], found.evidence[order]
    node, strength = np.full(len(asked), -1), np.zeros(len(asked))
    index = GroupedIndex.of(group)
    known, place = index.groups(asked * n_graphs + nodes.source_of[partner])
    best = index.starts[place].astype(np.int64)
    # The second best where the best is the partner.
    best += right[best] == partner[known]
    there = best < index.starts[place + 1]
    node[known[there]], strength[known[there]] = right[best[there]], evidence[best[there]]
    return node, strength
