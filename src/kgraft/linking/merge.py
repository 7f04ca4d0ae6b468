"""Merge linked nodes into clusters, and leave out links that contradict others.

Following every link blindly (the transitive closure) would join two entities of one source as
soon as a single link is wrong. Here a cluster holds at most one node of each source, always.

Where links contradict each other, the better ones decide. A link's *rank* is its confidence and,
among equals, its corroboration: how many third nodes are linked to both of its ends. Ranks are
worked off from the highest to the lowest, all links of one rank together:

1. A link whose ends would join two nodes of one source, given what higher ranks have joined, is
   rejected: reason ``"confidence"``.
2. Among the links of one rank, a contradiction is a shortest chain of links that leads from one
   node of a source to another node of it. Any link of the chain may be the wrong one, so all of
   them are rejected: reason ``"apart"``. Short contradictions go first, since breaking
   one of them often resolves the longer ones around it: in ``c1-b1-a1-b2-c2`` only the two links
   of ``a1`` fall, and ``b1-c1`` and ``b2-c2`` stay.
3. The links that are left are followed.

So a tie is never settled by the order of the links or of the nodes: the partition depends only on
what is linked with what confidence. A tie may still be settled by links of a lower rank that lead
around it; then the link that agrees with them is no conflict. Hence the conflicts are exactly the
links whose ends are in different clusters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Ids = NDArray[np.int64]
_Node = tuple[str, int]  # ("cluster", its root) or ("link", its row)
_Graph = dict[_Node, dict[_Node, None]]  # neighbours, in a dict for its order
_Predecessors = dict[_Node, list[_Node]]


@dataclass(frozen=True)
class Conflict:
    """One link that was not followed.

    Args:
        link: Its row in the given links.
        source: The source that would have had two of its nodes joined.
        kept_apart: These two nodes.
        reason: ``"confidence"`` when links of a higher rank decided against it, ``"apart"`` when
            links of its own rank exclude each other (or it joins two nodes of one source itself).
    """

    link: int
    source: int
    kept_apart: tuple[int, int]
    reason: Literal["confidence", "apart"]


@dataclass(frozen=True, eq=False)
class Merge:
    """A partition of nodes in which no cluster holds two nodes of one source.

    Args:
        clusters: int64 ``(n_nodes,)``: each node's cluster, numbered from 0 by first node.
        conflicts: The links that were not followed, in their order.
    """

    clusters: Ids
    conflicts: tuple[Conflict, ...]


def merge(n_nodes: int, source_of: ArrayLike, pairs: ArrayLike, confidence: ArrayLike) -> Merge:
    """Join linked nodes, but never two of one source.

    Linear in the number of links; only parts of the graph that hold a contradiction are worked
    off link by link.

    Args:
        n_nodes: Number of nodes.
        source_of: ``(n_nodes,)``: the source of each node, numbered from 0.
        pairs: ``(m, 2)``: the two nodes of each link.
        confidence: ``(m,)``: the confidence of each link; only the order matters.

    Returns:
        The clusters and the links that were not followed.

    Raises:
        ValueError: If shapes do not agree or a node is out of range.
    """
    sources = np.asarray(source_of, dtype=np.int64)
    links = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    confidences = np.asarray(confidence)
    if sources.shape != (n_nodes,) or confidences.shape != (len(links),):
        raise ValueError("each node has one source and each link one confidence")
    if links.size and (links.min() < 0 or links.max() >= n_nodes):
        raise ValueError(f"a linked node is outside 0..{n_nodes - 1}")

    labels = _components(n_nodes, links)
    # All nodes of a component with two of them are linked.
    contradictory = _holds_a_source_twice(labels, sources, np.unique(links))[labels]
    if not contradictory.any():
        return Merge(_numbered_by_first(labels), ())
    open_links = np.flatnonzero(contradictory[links[:, 0]])
    resolution = _Resolution(sources, links, confidences, open_links)
    nodes = np.flatnonzero(contradictory)
    labels[nodes] = labels.max() + 1 + np.array([resolution.root(node) for node in nodes.tolist()])
    return Merge(_numbered_by_first(labels), resolution.conflicts())


def _components(n_nodes: int, links: Ids) -> Ids:
    ones = np.ones(len(links), dtype=np.int8)
    graph = coo_array((ones, (links[:, 0], links[:, 1])), shape=(n_nodes, n_nodes))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _holds_a_source_twice(labels: Ids, sources: Ids, nodes: Ids) -> NDArray[np.bool_]:
    """Mask the components in which two of some nodes have one source."""
    twice = np.zeros(labels.max(initial=-1) + 1, dtype=np.bool_)
    n_sources = sources[nodes].max(initial=0) + 1
    key = np.sort(labels[nodes] * n_sources + sources[nodes])
    twice[key[1:][key[1:] == key[:-1]] // n_sources] = True
    return twice


def _numbered_by_first(labels: Ids) -> Ids:
    if (np.diff(np.maximum.accumulate(labels), prepend=-1) <= 1).all():
        return labels  # As they are, but for contradictions.
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[inverse]


class _Resolution:
    """Clusters that grow rank by rank, and the links rejected on the way."""

    def __init__(
        self, sources: Ids, links: Ids, confidence: NDArray[np.generic], chosen: Ids
    ) -> None:
        self._ends: dict[int, tuple[int, int]] = {
            link: (left, right)
            for link, (left, right) in zip(chosen.tolist(), links[chosen].tolist(), strict=True)
        }
        self._source_of = {node: int(sources[node]) for node in np.unique(links[chosen]).tolist()}
        self._parent = {node: node for node in self._source_of}
        self._members = {node: {source: node} for node, source in self._source_of.items()}
        self._rejected: dict[int, Conflict] = {}
        ranks = self._ranks(dict(zip(chosen.tolist(), confidence[chosen].tolist(), strict=True)))
        by_rank = sorted(self._ends, key=ranks.__getitem__, reverse=True)
        for _, group in groupby(by_rank, key=ranks.__getitem__):
            self._settle(group)

    def _ranks(self, confidence: Mapping[int, float]) -> dict[int, tuple[float, int]]:
        best: dict[tuple[int, int], float] = {}
        neighbours: dict[int, set[int]] = defaultdict(set)
        for link, (left, right) in self._ends.items():
            pair = (min(left, right), max(left, right))
            best[pair] = max(confidence[link], best.get(pair, confidence[link]))
            neighbours[left].add(right)
            neighbours[right].add(left)
        return {
            link: (
                best[min(left, right), max(left, right)],
                len((neighbours[left] & neighbours[right]) - {left, right}),
            )
            for link, (left, right) in self._ends.items()
        }

    def _settle(self, tied: Iterable[int]) -> None:
        """Follow the links of one rank, except those that are outranked or exclude each other."""
        graph: _Graph = defaultdict(dict)
        followed: set[int] = set()
        for link in tied:
            left, right = map(self.root, self._ends[link])
            if left == right:
                continue
            shared = self._members[left].keys() & self._members[right].keys()
            if shared:
                self._rejected[link] = self._outranked(link, min(shared))
                continue
            followed.add(link)
            for cluster in (left, right):
                graph["link", link]["cluster", cluster] = None
                graph["cluster", cluster]["link", link] = None
        if len(followed) > 1:
            followed -= self._excluded(graph)
        for link in followed:
            self._join(*self._ends[link])

    def _outranked(self, link: int, source: int) -> Conflict:
        ends = self._ends[link]
        own, other = (self._source_of[end] for end in ends)
        if own == other:
            return Conflict(link, own, (min(ends), max(ends)), "apart")
        one, two = (self._members[self.root(end)][source] for end in ends)
        return Conflict(link, source, (min(one, two), max(one, two)), "confidence")

    def _excluded(self, graph: _Graph) -> set[int]:
        """Reject every link of the shortest contradictions, then of the next longer ones, ….

        Links are nodes of ``graph`` too, so a chain of ``length`` links has a middle at the
        distance ``length`` from both of its ends. No shorter contradiction is left, so each source
        occurs once nearer to a middle, and the search stays small. A chain of more clusters than
        there are sources has a source twice, so there is no longer contradiction.
        """
        excluded: set[int] = set()
        n_sources = len({s for kind, c in graph if kind == "cluster" for s in self._members[c]})
        for length in range(2, n_sources + 1):
            found: dict[int, Conflict] = {}
            middle_kind = "link" if length % 2 else "cluster"
            for middle in [node for node in graph if node[0] == middle_kind]:
                for conflict in self._contradictions(graph, middle, length):
                    known = found.setdefault(conflict.link, conflict)
                    found[conflict.link] = min(conflict, known, key=lambda c: c.kept_apart)
            for link in found:
                for cluster in graph.pop(("link", link)):
                    del graph[cluster]["link", link]
            excluded |= found.keys()
            self._rejected |= found
        return excluded

    def _contradictions(self, graph: _Graph, middle: _Node, length: int) -> Iterator[Conflict]:
        """Yield the links of every contradiction of ``length`` links around ``middle``."""
        edge, nearer = _search(graph, middle, length)
        of_source: dict[int, list[_Node]] = defaultdict(list)
        for end in edge:
            for source in self._members[end[1]]:
                of_source[source].append(end)
        for source, ends in of_source.items():
            if len(ends) == 1:
                continue
            one, other, *_ = sorted(self._members[cluster][source] for _, cluster in ends)
            for link in _links_back(ends, nearer):
                yield Conflict(link, source, (one, other), "apart")

    def root(self, node: int) -> int:
        """Return the root of this node's cluster."""
        while self._parent[node] != node:
            self._parent[node] = self._parent[self._parent[node]]
            node = self._parent[node]
        return node

    def _join(self, left: int, right: int) -> None:
        left, right = self.root(left), self.root(right)
        if left != right:
            if len(self._members[left]) < len(self._members[right]):
                left, right = right, left
            self._parent[right] = left
            self._members[left] |= self._members.pop(right)

    def conflicts(self) -> tuple[Conflict, ...]:
        """The rejected links whose ends did not come together by other links."""
        return tuple(
            conflict
            for link, conflict in sorted(self._rejected.items())
            if self.root(self._ends[link][0]) != self.root(self._ends[link][1])
        )


def _search(graph: _Graph, middle: _Node, distance: int) -> tuple[list[_Node], _Predecessors]:
    """Return the nodes at a distance from ``middle``, and each node's nearer neighbours."""
    nearer: _Predecessors = {middle: []}
    edge = [middle]
    for _ in range(distance):
        reached: _Predecessors = defaultdict(list)
        for node in edge:
            for other in graph[node]:
                if other not in nearer:
                    reached[other].append(node)
        nearer |= reached
        edge = list(reached)
    return edge, nearer


def _links_back(ends: Iterable[_Node], nearer: _Predecessors) -> Iterator[int]:
    """Yield the links on all shortest paths from ``ends`` back to the middle."""
    level = set(ends)
    while level:
        yield from (number for kind, number in level if kind == "link")
        level = {closer for node in level for closer in nearer[node]}
