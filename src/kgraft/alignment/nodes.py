"""The entities of all graphs of a collection in one numbering, and their clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.links import Links
from kgraft.linking.merge import merge

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Nodes:
    """All entities of all graphs, each a node of its own.

    Args:
        graphs: The graphs.
        joint: Their facts in rows of nodes; relations of one name, and
            linked ones, are one.
        source_of: Index of each node's graph, int64 ``(n,)``.
        first: The first node of each graph, and at the end their number, int64 ``(g + 1,)``.
    """

    graphs: tuple[KnowledgeGraph, ...]
    joint: JointGraph
    source_of: Ints
    first: Ints

    @classmethod
    def of(cls, collection: Collection, links: Sequence[Links]) -> Nodes:
        """Lay out the entities of a collection's graphs; ``links`` may join relations.

        Raises:
            DataError: If there are fewer than two graphs.
        """
        graphs = tuple(collection.graphs.values())
        if len(graphs) < 2:
            raise DataError(
                f"{collection.name} has one source, and links join two",
                remedy="Add a [[source]] to link it with",
            )
        sizes = np.array([len(graph.entities) for graph in graphs])
        joint = join(graphs, [x for x in links if x.kind == "relation"])
        first = np.concatenate([[0], np.cumsum(sizes)])
        return cls(graphs, joint, np.repeat(np.arange(len(graphs)), sizes), first)

    def __len__(self) -> int:
        return len(self.source_of)

    def graph_index(self, name: str) -> int:
        """Return the index of a graph."""
        self.joint.part(name)  # An unknown name is refused there.
        return self.joint.sources.index(name)

    def pairs(self, links: Sequence[Links]) -> tuple[Ints, Floats]:
        """Return the two nodes of each entity link, ``(n, 2)``, and its confidence ``(n,)``."""
        own = [x for x in links if x.kind == "entity"]
        if not own:
            return np.empty((0, 2), dtype=np.int64), np.empty(0)
        ends = [[self.graph_index(x.left), self.graph_index(x.right)] for x in own]
        pairs = [x.pairs + self.first[end] for x, end in zip(own, ends, strict=True)]
        return np.concatenate(pairs), np.concatenate([x.confidence for x in own]).astype(np.float64)

    def clusters(self, links: Sequence[Links]) -> Ints:
        """Return the cluster of each node when links are followed, ``(n,)``."""
        pairs, confidence = self.pairs(links)
        return merge(len(self), self.source_of, pairs, confidence).clusters

    def members(self, clusters: Ints) -> Ints:
        """Return each cluster's node of each graph, or -1, int64 ``(clusters, graphs)``."""
        found = np.full((int(clusters.max(initial=-1)) + 1, len(self.graphs)), -1, dtype=np.int64)
        found[clusters, self.source_of] = np.arange(len(self))
        return found

    def joined_pairs(self, clusters: Ints) -> dict[tuple[int, int], Ints]:
        """Return for each two graphs the nodes that share a cluster, ``(n, 2)``."""
        members = self.members(clusters)
        found = {}
        for left, right in combinations(range(len(self.graphs)), 2):
            both = (members[:, left] >= 0) & (members[:, right] >= 0)
            found[left, right] = members[both][:, [left, right]]
        return found

    def directed_facts(self) -> tuple[Ints, Ints, Ints]:
        """Return subjects, relations and objects, each ``(2 n,)``; inverses come second."""
        heads, relations, tails = self.joint.triples.T
        return (
            np.concatenate([heads, tails]),
            np.concatenate([relations, relations + self.joint.n_relations]),
            np.concatenate([tails, heads]),
        )

    def rows(self, nodes: Ints) -> Ints:
        """Return the rows of nodes in their own graphs."""
        return nodes - self.first[self.source_of[nodes]]

    def label(self, node: int) -> str:
        """Return a node's readable label."""
        source = int(self.source_of[node])
        return self.graphs[source].label(int(node - self.first[source]))


def first_members(clusters: Ints) -> Ints:
    """Return the first node of each cluster, int64 ``(clusters,)``."""
    return np.unique(clusters, return_index=True)[1].astype(np.int64)
