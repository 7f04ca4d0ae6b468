"""Following the bodies of many path rules through a graph at once.

BodyTree that begin alike are followed together: they form a tree whose steps are relations, and a
rule stands at the node where its body ends. Edges and steps are sorted arrays, so that following
them is a search and a repetition of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.grouped_index import GroupedIndex, Ints, changes, offsets, spans
from kgraft.rules.edges import Edges
from kgraft.rules.rules import BODY

MAX_QUERY_EDGES = 200_000
"""About the most edges that are followed at one step for one question."""

BATCH_EDGES = 200_000
"""About the most edges that are followed at once, for all questions."""


class Adjacency:
    """The edges of each entity, by relation.

    Args:
        edges: The graph.

    Attributes:
        index: Groups of edges by entity and relation.
        relation: The relation of each group.
        ends: Where the edges lead, those of a group in a random but fixed order, so that its first
            ones are a sample.
        of: Where the groups of each entity begin, and where the last one's stop.
    """

    def __init__(self, edges: Edges) -> None:
        order = np.random.default_rng(0).permutation(len(edges.frame))
        x, relation, y = (edges.frame[name].to_numpy()[order] for name in ("x", "relation", "y"))
        self.index = GroupedIndex.of(x, relation)
        self.ends = y[self.index.members].astype(np.int64)
        entities, self.relation = np.divmod(self.index.keys, max(self.index.sizes[1], 1))
        n_entities = max(x.max(initial=-1), y.max(initial=-1)) + 1
        self.of = offsets(entities, n_entities)

    def first_and_size(self, entities: Ints) -> tuple[Ints, Ints]:
        """Return the first group of each entity, and how many it has."""
        known = np.minimum(entities, len(self.of) - 2)
        return self.of[known], np.where(entities > known, 0, self.of[known + 1] - self.of[known])

    def edges(self, entities: Ints) -> tuple[Ints, Ints, Ints]:
        """Return all edges of each entity: its place, the relation, and where the edge leads."""
        place, group = spans(*self.first_and_size(entities))
        starts = self.index.starts
        which, edge = spans(starts[group], starts[group + 1] - starts[group])
        return place[which], self.relation[group[which]], self.ends[edge]


@dataclass(frozen=True, eq=False)
class Frontier:
    """Entities that questions have reached, distinct and in order.

    Args:
        question: The number of the question, int64 ``(n,)``.
        node: The node of the bodies' tree, ``(n,)``.
        entity: The entity, ``(n,)``.
    """

    question: Ints
    node: Ints
    entity: Ints

    def where(self, mask: NDArray[np.bool_]) -> Frontier:
        """Return those that a mask ``(n,)`` keeps."""
        return Frontier(self.question[mask], self.node[mask], self.entity[mask])


class BodyTree:
    """The tree of the bodies of path rules.

    Args:
        paths: ``relation``, the columns of ``BODY``, and ``rule``.
        n_relations: Number of relations, inverses not counted.
        by_relation: Whether each head relation has a tree of its own, whose root is the relation;
            otherwise all bodies begin at node 0.

    Attributes:
        rule: The rules, in the order of the nodes where their bodies end.
        relation: The relation that each explains.
        start: Where the rules of each node begin, and where the last one's stop.
    """

    def __init__(self, paths: pl.DataFrame, n_relations: int, *, by_relation: bool) -> None:
        width = 2 * n_relations
        self.roots = width if by_relation else 1
        root = pl.col("relation") if by_relation else pl.lit(0)
        going = paths.with_columns(node=root.cast(pl.Int64))
        ended, steps, n_nodes = [], [], self.roots
        for name in BODY:
            ended.append(going.filter(pl.col(name).is_null()))
            going = going.filter(pl.col(name).is_not_null())
            level = going.select("node", name).unique().sort("node", name)
            steps.append((level["node"].to_numpy(), level[name].to_numpy()))
            level = level.with_columns(next=n_nodes + pl.int_range(pl.len()))
            going = going.join(level, on=["node", name]).drop("node").rename({"next": "node"})
            n_nodes += len(level)
        rules = pl.concat([*ended, going]).sort("node", "relation", "rule")
        before, self._relation = (np.concatenate(column) for column in zip(*steps, strict=True))
        self._steps = GroupedIndex.of(before, self._relation)
        self._first_step = offsets(before, n_nodes)
        self.rule = rules["rule"].to_numpy()
        self.relation = rules["relation"].to_numpy()
        self.start = offsets(rules["node"].to_numpy(), n_nodes)

    def follow(
        self, graph: Adjacency, entities: Ints, roots: Ints, wanted: NDArray[np.bool_]
    ) -> Iterator[Frontier]:
        """Follow all bodies, each question in steps away from its own entity.

        Args:
            graph: The edges to follow, a sample where there are more than ``MAX_QUERY_EDGES``
                for one query at one step.
            entities: Where each question begins, ``(n,)``.
            roots: The node at which it begins, ``(n,)``.
            wanted: Whether an entity may be an answer, for all of the graph's entities.

        Yields:
            The wanted ones of what is reached after one step, two, three: for some of the questions
            at a time.
        """
        start = Frontier(np.arange(len(entities)), roots, entities)
        yield from self._onwards(graph, entities, start, wanted, len(BODY))

    def _onwards(
        self,
        graph: Adjacency,
        entities: Ints,
        here: Frontier,
        wanted: NDArray[np.bool_],
        left: int,
    ) -> Iterator[Frontier]:
        if not (left and len(here.question) and len(self._steps)):
            return
        place, group, step = self._possible(graph, here)
        question = here.question[place]
        starts = graph.index.starts
        sizes = _shared(starts[group + 1] - starts[group], question)
        # No more questions than their numbers leave room for, where each pair has one of its own.
        most = ((1 << 63) - 1) // (len(self._steps) * len(graph.of))
        for part in _portions(question, sizes, most):
            which, edge = spans(starts[group[part]], sizes[part])
            end = graph.ends[edge]
            if left == 1:
                kept = wanted[end]
                which, end = which[kept], end[kept]
            there = self._distinct(question[part][which], step[part][which], end, entities)
            yield there if left == 1 else there.where(wanted[there.entity])
            yield from self._onwards(graph, entities, there, wanted, left - 1)

    def _possible(self, graph: Adjacency, here: Frontier) -> tuple[Ints, Ints, Ints]:
        """Return which steps can be made: a place in ``here``, in order, its group, and the step.

        Either each group of an entity is looked up among the steps, or each step among the groups,
        whichever are fewer there.
        """
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
        return place[order], group[order], step[order]

    def _distinct(self, question: Ints, step: Ints, entity: Ints, entities: Ints) -> Frontier:
        """Order what is reached, leaving out repetitions and the questions' own entities."""
        away = entity != entities[question]
        question, step, entity = question[away], step[away], entity[away]
        first, width = question.min(initial=0), entity.max(initial=0) + 1
        numbers = np.sort(((question - first) * len(self._steps) + step) * width + entity)
        rest, entity = np.divmod(numbers[changes(numbers)], width)
        question, step = np.divmod(rest, len(self._steps))
        return Frontier(question + first, self.roots + step, entity)


def _shared(sizes: Ints, question: Ints) -> Ints:
    """Cut what a question follows down to about ``MAX_QUERY_EDGES`` edges, in proportion."""
    if not len(sizes):
        return sizes
    total = np.bincount(question, weights=sizes)[question]
    return np.ceil(sizes * np.minimum(1.0, MAX_QUERY_EDGES / total)).astype(np.int64)


def _portions(question: Ints, sizes: Ints, most: int) -> Iterator[slice]:
    """Cut rows, in order of their questions, into portions of about ``BATCH_EDGES`` edges.

    A question's rows are never parted.

    Args:
        question: The question of each row, ascending.
        sizes: The edges of each row.
        most: The most questions from the first to the last of a portion.
    """
    begins = np.flatnonzero(changes(question)) if len(question) else question
    edges = np.cumsum(np.add.reduceat(sizes, begins)) if len(question) else sizes
    start = 0
    while start < len(begins):
        before = edges[start - 1] if start else 0
        stop = int(np.searchsorted(edges, before + BATCH_EDGES, side="right"))
        within = int(np.searchsorted(question[begins], question[begins[start]] + most))
        stop = max(start + 1, min(stop, within))
        yield slice(begins[start], begins[stop] if stop < len(begins) else len(question))
        start = stop
