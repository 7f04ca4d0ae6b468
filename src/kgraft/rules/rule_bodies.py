"""Bodies of path rules as a prefix tree, followed through a graph together.

A node of the tree is a sequence of relations; a rule belongs to the node where its body ends. Edges
and steps of the tree are sorted arrays, so they are followed by binary search and repetition.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.grouped_index import (
    GroupedIndex,
    Ints,
    changes,
    offsets,
    quotient_and_rest,
    spans,
)
from kgraft.rules.edges import Edges
from kgraft.rules.rules import BODY

MAX_QUERY_EDGES = 200_000
"""The approximate maximum number of edges followed for one query at one step."""

BATCH_EDGES = 20_000
"""The approximate number of edges followed at a time, for all queries; few enough for the
processor's cache, and for memory that is used again rather than asked for."""


class Adjacency:
    """The edges of each entity, by relation.

    Args:
        edges: The graph.

    Attributes:
        index: Groups of edges by entity and relation.
        relation: The relation of each group, ``(g,)``.
        ends: The ends of the edges; those of a group in a fixed random order, so that the first
            ones are a sample.
        of: Start of each entity's groups, and end of the last one's, ``(n + 1,)``.
        masks: ``relation_masks`` of each entity, and 0 for entities without edges, ``(n + 1,)``.
    """

    def __init__(self, edges: Edges) -> None:
        order = np.random.default_rng(0).permutation(len(edges.frame))
        x, relation, y = (edges.frame[name].to_numpy()[order] for name in ("x", "relation", "y"))
        self.index = GroupedIndex.of(x, relation)
        self.ends = y[self.index.members].astype(np.int64)
        entities, self.relation = np.divmod(self.index.keys, max(self.index.sizes[1], 1))
        n_entities = max(x.max(initial=-1), y.max(initial=-1)) + 1
        self.of = offsets(entities, n_entities)
        self.masks = np.append(relation_masks(self.of, self.relation), np.uint64(0))

    def extended(self, x: Ints, relation: Ints, y: Ints) -> Adjacency:
        """Return the graph with a few more edges; those of a group come last."""
        if not len(x):
            return self
        found = Adjacency.__new__(Adjacency)
        index = replace(self.index, members=self.ends)
        found.index = index.extended(x, relation, values=y, ordered=False)
        found.ends = found.index.members.astype(np.int64)
        entities, found.relation = np.divmod(found.index.keys, found.index.sizes[1])
        n_entities = max(len(self.of) - 1, int(x.max()) + 1, int(y.max()) + 1)
        n_groups = np.bincount(entities, minlength=n_entities)
        found.of = np.concatenate([[0], np.cumsum(n_groups)])
        found.masks = np.zeros(n_entities + 1, dtype=np.uint64)
        found.masks[: len(self.masks) - 1] = self.masks[:-1]
        bits = np.left_shift(np.uint64(1), (relation % 64).astype(np.uint64))
        np.bitwise_or.at(found.masks, x, bits)
        return found

    def masks_of(self, entities: Ints) -> NDArray[np.uint64]:
        """Return the ``relation_masks`` of entities, ``(b,)``."""
        return self.masks[np.minimum(entities, len(self.masks) - 1)]

    def first_and_size(self, entities: Ints) -> tuple[Ints, Ints]:
        """Return the first group of each entity and its number of groups, ``(b,)`` each."""
        known = np.minimum(entities, len(self.of) - 2)
        return self.of[known], np.where(entities > known, 0, self.of[known + 1] - self.of[known])

    def edges(self, entities: Ints) -> tuple[Ints, Ints, Ints]:
        """Return all edges of entities: position of the entity, relation and end, ``(m,)`` each."""
        place, group = spans(*self.first_and_size(entities))
        starts = self.index.starts
        which, edge = spans(starts[group], starts[group + 1] - starts[group])
        return place[which], self.relation[group[which]], self.ends[edge]


@dataclass(frozen=True, eq=False)
class Frontier:
    """Entities that queries have reached, distinct and sorted.

    Args:
        query: Position of the query, int64 ``(n,)``.
        node: Node of the tree, ``(n,)``.
        entity: The entity, ``(n,)``.
    """

    query: Ints
    node: Ints
    entity: Ints

    def where(self, mask: NDArray[np.bool_] | Ints) -> Frontier:
        """Return the rows of a mask or of positions, ``(n,)``."""
        return Frontier(self.query[mask], self.node[mask], self.entity[mask])


class BodyTree:
    """The prefix tree of the bodies of path rules.

    Args:
        paths: ``relation``, the columns of ``BODY``, and ``rule``.
        n_relations: Number of relations, inverses not counted.
        by_relation: Give each head relation a tree of its own, whose root is the relation;
            otherwise all bodies begin at node 0.

    Attributes:
        rule: The rules, sorted by the node where their body ends.
        relation: The head relation of each.
        start: Start of each node's rules, and end of the last one's.
    """

    def __init__(self, paths: pl.DataFrame, n_relations: int, *, by_relation: bool) -> None:
        width = 2 * n_relations
        self.roots = width if by_relation else 1
        root = pl.col("relation") if by_relation else pl.lit(0)
        paths = paths.with_columns(node=root.cast(pl.Int64))
        complete, steps, n_nodes = [], [], self.roots
        for name in BODY:
            complete.append(paths.filter(pl.col(name).is_null()))
            paths = paths.filter(pl.col(name).is_not_null())
            level = paths.select("node", name).unique().sort("node", name)
            steps.append((level["node"].to_numpy(), level[name].to_numpy()))
            level = level.with_columns(next=n_nodes + pl.int_range(pl.len()))
            paths = paths.join(level, on=["node", name]).drop("node").rename({"next": "node"})
            n_nodes += len(level)
        rules = pl.concat([*complete, paths]).sort("node", "relation", "rule")
        before, self._relation = (np.concatenate(column) for column in zip(*steps, strict=True))
        self._steps = GroupedIndex.of(before, self._relation)
        self._first_step = offsets(before, n_nodes)
        self._masks = relation_masks(self._first_step, self._relation)
        self.rule = rules["rule"].to_numpy()
        self.relation = rules["relation"].to_numpy()
        self.start = offsets(rules["node"].to_numpy(), n_nodes)

    def follow(
        self, graph: Adjacency, entities: Ints, roots: Ints, wanted: NDArray[np.bool_]
    ) -> Iterator[Frontier]:
        """Follow all bodies from the entities of queries; no path returns to its first entity.

        Args:
            graph: The edges to follow; of a query with more than ``MAX_QUERY_EDGES`` at one step, a
                sample.
            entities: First entity of each query, ``(n,)``.
            roots: Root of each query, ``(n,)``.
            wanted: True for entities that may be answers, of all entities of the graph.

        Yields:
            The wanted entities reached after one step, two and three, for some queries at a time.
        """
        start = Frontier(np.arange(len(entities)), roots, entities)
        yield from self._follow_from(graph, entities, start, wanted, len(BODY))

    def _follow_from(
        self,
        graph: Adjacency,
        entities: Ints,
        here: Frontier,
        wanted: NDArray[np.bool_],
        n_steps: int,
    ) -> Iterator[Frontier]:
        if not (n_steps and len(here.query) and len(self._steps)):
            return
        place, group, step = self._next_steps(graph, here)
        query = here.query[place]
        starts = graph.index.starts
        sizes = _limited_sizes(starts[group + 1] - starts[group], query)
        # The numbers of (query, step, entity) in `_distinct` must fit into 63 bits.
        max_queries = ((1 << 63) - 1) // (len(self._steps) * len(graph.of))
        for part in _batches(query, sizes, max_queries):
            which, edge = spans(starts[group[part]], sizes[part])
            end = graph.ends[edge]
            kept = end != entities[query[part]][which]
            if n_steps == 1:
                kept &= wanted[end]
            there = self._distinct(query[part], step[part], which, end, kept)
            yield there if n_steps == 1 else there.where(wanted[there.entity])
            yield from self._follow_from(graph, entities, there, wanted, n_steps - 1)

    def _next_steps(self, graph: Adjacency, here: Frontier) -> tuple[Ints, Ints, Ints]:
        """Return steps that edges match: position in ``here``, sorted, group of edges, and step.

        Steps are looked up among the groups or vice versa, depending on which are fewer.
        """
        # Most entities have none of the next relations, and their masks show it.
        may = np.flatnonzero(graph.masks_of(here.entity) & self._masks[here.node])
        here = here.where(may)
        first_group, n_groups = graph.first_and_size(here.entity)
        first_step = self._first_step[here.node]
        n_steps = self._first_step[here.node + 1] - first_step
        few_steps = n_steps < n_groups
        which, step = spans(first_step, np.where(few_steps, n_steps, 0))
        found, group = graph.index.groups(here.entity[which], self._relation[step])
        by_step = which[found], group, step[found]
        which, group = spans(first_group, np.where(few_steps, 0, n_groups))
        found, step = self._steps.groups(here.node[which], graph.relation[group])
        by_group = which[found], group[found], step
        place, group, step = (np.concatenate(x) for x in zip(by_step, by_group, strict=True))
        order = np.argsort(place, kind="stable")
        return may[place[order]], group[order], step[order]

    def _distinct(
        self, query: Ints, step: Ints, which: Ints, entity: Ints, kept: NDArray[np.bool_]
    ) -> Frontier:
        """Sort the entities that are ``kept``, reached by steps ``which``, without repetitions."""
        first, width = query.min(initial=0), entity.max(initial=0) + 1
        # One number sorts several times faster than a row.
        numbers = (((query - first) * len(self._steps) + step) * width)[which]
        numbers += entity
        numbers = numbers[kept]
        numbers.sort()
        rest, entity = quotient_and_rest(numbers[changes(numbers)], width)
        query, step = quotient_and_rest(rest, len(self._steps))
        return Frontier(query + first, self.roots + step, entity)


def relation_masks(starts: Ints, relations: Ints) -> NDArray[np.uint64]:
    """Return 64 bits for each span of relations, which share a bit where they share a relation.

    Args:
        starts: Start of each span, and the number of relations, ``(n + 1,)``.
        relations: ``(m,)``.
    """
    masks = np.zeros(len(starts) - 1, dtype=np.uint64)
    bits = np.left_shift(np.uint64(1), (relations % 64).astype(np.uint64))
    filled = np.flatnonzero(np.diff(starts))
    masks[filled] = np.bitwise_or.reduceat(bits, starts[filled])
    return masks


def _limited_sizes(sizes: Ints, query: Ints) -> Ints:
    """Reduce the sizes of groups in proportion to about ``MAX_QUERY_EDGES`` edges per query."""
    if sizes.sum() <= MAX_QUERY_EDGES:
        return sizes
    total = np.bincount(query, weights=sizes)[query]
    return np.ceil(sizes * np.minimum(1.0, MAX_QUERY_EDGES / total)).astype(np.int64)


def _batches(query: Ints, sizes: Ints, max_queries: int) -> Iterator[slice]:
    """Yield slices of rows, sorted by query, of whole queries and about ``BATCH_EDGES`` edges."""
    begins = np.flatnonzero(changes(query)) if len(query) else query
    edges = np.cumsum(np.add.reduceat(sizes, begins)) if len(query) else sizes
    start = 0
    while start < len(begins):
        before = edges[start - 1] if start else 0
        stop = int(np.searchsorted(edges, before + BATCH_EDGES, side="right"))
        within = int(np.searchsorted(query[begins], query[begins[start]] + max_queries))
        stop = max(start + 1, min(stop, within))
        yield slice(begins[start], begins[stop] if stop < len(begins) else len(query))
        start = stop
