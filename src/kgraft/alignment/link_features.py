"""What speaks for and against each of many links, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from kgraft.alignment.candidates import Candidates, Evidence, candidates
from kgraft.alignment.labels import Names
from kgraft.alignment.nodes import Floats, Ints, Nodes
from kgraft.alignment.relations import correspondences, same_relations, unified
from kgraft.alignment.settings import AlignSettings
from kgraft.alignment.structure import neighbours
from kgraft.graph.grouped_index import changes

FREQUENT = 1000
"""Relations, and as many inverses, that kinds of entities are told apart by, the most frequent."""


@dataclass(frozen=True, eq=False)
class LinkFeatures:
    """What is seen of pairs of nodes that are, or might be, linked; arrays are ``(n,)``.

    Args:
        agreeing: Other graphs by way of which links lead from one node to the other.
        contradicting: Other graphs in which the two are linked to different entities.
        rival_links: Further links of either node to the other's graph.
        support: Evidence that they are the same, by what is said of both.
        shared: Facts that they share.
        checkable: Facts of the node with fewer of them that the other could share, the entity at
            the far end being linked to its graph.
        rival_support: Evidence for the best other partner of either node.
        rival: That partner's node, or -1.
        kind: How well the relations of one go together with those of the other, as linked entities
            show; below 0 they seldom do.
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

    def features(self) -> Floats:
        """Return a row of numbers for each pair, ``(n, f)``."""
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


class Witnesses:
    """What all links and facts together say of any pair of nodes.

    Args:
        nodes: All entities.
        links: The pairs of nodes that are linked, ``(n, 2)``.
        trusted: Which links are followed where they are not themselves in question, ``(n,)``.
        clusters: What these make one.
        names: What names say.
        settings: How evidence counts.
    """

    def __init__(
        self,
        nodes: Nodes,
        links: Ints,
        trusted: Ints,
        clusters: Ints,
        names: Names,
        settings: AlignSettings,
    ) -> None:
        self._nodes = nodes
        self._names = names
        size = (len(nodes), len(nodes))
        both = np.concatenate([links[trusted], links[trusted][:, ::-1]])
        ones = np.ones(len(both))
        self._linked = sp.csr_array((ones, (both[:, 0], both[:, 1])), shape=size)
        self._linked.data[:] = 1
        found = correspondences(nodes, clusters, settings.relations)
        same = same_relations(nodes, found, settings.relations.threshold)
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
        self._lift = _lifts(self._profile, links[trusted])

    def signs(self, pairs: Ints, *, real: bool) -> LinkFeatures:
        """Look at pairs of nodes, ``(n, 2)``; ``real`` says that they are links themselves."""
        left, right = pairs.T
        source = self._nodes.source_of
        support = (self._around[left] * self._around[right]).sum(axis=1)
        shared = (self._around[left].astype(bool) * self._around[right].astype(bool)).sum(axis=1)
        named = (self._keys[left] * self._keys[right]).sum(axis=1)
        named = named + np.asarray(self._pairs[left, right]).ravel()
        agreeing, contradicting = self._third_graphs(left, right)
        rival, rival_support = self._rivals(left, right)
        # A made pair stands for the links that its ends have, as a real one stands for itself.
        own = np.asarray(self._linked[left, right]).ravel() if real else 1.0
        further = [self._to_graph(*ends) for ends in ((left, right), (right, left))]
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

    def _to_graph(self, one: Ints, other: Ints) -> Floats:
        """Return how many links lead from each node to the graph of the other."""
        source = self._nodes.source_of
        counts = np.zeros((len(source), len(self._nodes.graphs)))
        links = self._linked.tocoo()
        np.add.at(counts, (links.row, source[links.col]), 1)
        found: Floats = counts[one, source[other]]
        return found

    def _third_graphs(self, left: Ints, right: Ints) -> tuple[Ints, Ints]:
        """Return in how many other graphs both are linked to one entity, and to different ones."""
        source, n_graphs = self._nodes.source_of, len(self._nodes.graphs)
        common = (self._linked[left] * self._linked[right]).tocoo()
        agrees = np.zeros((len(left), n_graphs), dtype=bool)
        agrees[common.row, source[common.col]] = True
        reaches = np.zeros((len(source), n_graphs), dtype=bool)
        links = self._linked.tocoo()
        reaches[links.row, source[links.col]] = True
        both = reaches[left] & reaches[right]
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
        """Return the mean log of how much oftener than by chance their relations meet."""
        one, other = self._profile[left], self._profile[right]
        lifts = self._lift[int(real)]
        total = np.asarray(other.multiply(one @ lifts).sum(axis=1)).ravel()
        sizes = one.sum(axis=1) * other.sum(axis=1)
        mean: Floats = total / np.maximum(np.asarray(sizes).ravel(), 1)
        return mean


def _checkable(nodes: Nodes, clusters: Ints) -> Ints:
    """Return how many facts of each node lead to an entity that is linked to each graph."""
    members = nodes.members(clusters) >= 0
    heads, _, tails = nodes.joint.triples.T
    counts = np.zeros((len(nodes), len(nodes.graphs)), dtype=np.int64)
    for one, other in ((heads, tails), (tails, heads)):
        np.add.at(counts, one, members[clusters[other]].astype(np.int64))
    return counts


def _profiles(nodes: Nodes, relations: Ints) -> sp.csr_array:
    """Return nodes and the relations that are said of them, 0 or 1."""
    heads, verbs, tails = nodes.joint.triples.T
    rows = np.concatenate([heads, tails])
    columns = relations[np.concatenate([verbs, verbs + nodes.joint.n_relations])]
    size = (len(nodes), 2 * nodes.joint.n_relations)
    found = sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=size)
    found.sum_duplicates()
    found.data[:] = 1
    frequent = np.argsort(-found.sum(axis=0), kind="stable")[: 2 * FREQUENT]
    return found[:, np.sort(frequent)].tocsr()


def _lifts(profile: sp.csr_array, links: Ints) -> tuple[Floats, Floats]:
    """Return how much oftener than by chance two relations meet at linked entities, as logs.

    One more meeting is supposed than is expected; the second array is for pairs that are links
    themselves, and leaves out the meeting that they are.
    """
    one, other = profile[links[:, 0]], profile[links[:, 1]]
    met = (one.T @ other).toarray()
    met = met + met.T
    said = np.asarray(one.sum(axis=0) + other.sum(axis=0)).ravel()
    expected = np.outer(said, said) / max(2 * len(links), 1)
    by_chance = np.log(expected + 1)
    return np.log(met + 1) - by_chance, np.log(np.maximum(met, 1)) - by_chance


def _best_other(found: Candidates, nodes: Nodes, asked: Ints, partner: Ints) -> tuple[Ints, Floats]:
    """Return each node's best candidate in its partner's graph that is not the partner."""
    n_graphs = len(nodes.graphs)
    group = found.left * n_graphs + nodes.source_of[found.right]
    order = np.lexsort((-found.evidence, group))
    group, right, evidence = group[order], found.right[order], found.evidence[order]
    if not len(group):
        return np.full(len(asked), -1), np.zeros(len(asked))
    starts = np.flatnonzero(changes(group))
    sizes = np.diff(np.append(starts, len(group)))
    wanted = asked * n_graphs + nodes.source_of[partner]
    place = np.minimum(np.searchsorted(group[starts], wanted), len(starts) - 1)
    known = group[starts][place] == wanted
    first = starts[place]
    # The second best where the best is the partner.
    first = first + ((right[first] == partner) & known)
    known &= first < starts[place] + sizes[place]
    first = np.minimum(first, len(group) - 1)
    return np.where(known, right[first], -1), np.where(known, evidence[first], 0.0)
