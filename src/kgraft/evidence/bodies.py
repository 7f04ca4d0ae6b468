"""Following the bodies of many path rules through a graph at once.

Bodies that begin alike are followed together: they form a tree whose steps are relations, and a
rule stands at the node where its body ends. Edges and steps are sorted arrays, so that following
them is a search and a repetition of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from kgraft.evidence.edges import Edges
from kgraft.evidence.rules import BODY
from kgraft.graph.sorted_rows import Ints, changes, spans

REACH = 200_000
"""About the most edges that are followed at one step for one question."""

AT_ONCE = 200_000
"""About the most edges that are followed at once, for all questions."""

SIEVE = 1 << 22
"""Places in which steps are marked, so that what is certainly none need not be searched for."""


class Adjacency:
    """The edges of each entity, by relation.

    Args:
        edges: The graph.

    Attributes:
        relation: The relation of each group; a group holds the edges of one entity along one
            relation.
        start: Where each group begins in ``ends``, and where the last one stops.
        ends: Where the edges lead, those of a group in a random but fixed order, so that its first
            ones are a sample.
        of: Where the groups of each entity begin, and where the last one's stop.
    """

    def __init__(self, edges: Edges) -> None:
        order = np.random.default_rng(0).permutation(len(edges.frame))
        frame = edges.frame[order].sort("x", "relation", maintain_order=True)
        groups = frame.group_by("x", "relation", maintain_order=True).len()
        entities = groups["x"].to_numpy()
        self.relation = groups["relation"].to_numpy().astype(np.int64)
        self.start = np.concatenate([[0], np.cumsum(groups["len"].to_numpy(), dtype=np.int64)])
        self.ends = frame["y"].to_numpy().astype(np.int64)
        n_entities = max(entities.max(initial=-1), self.ends.max(initial=-1)) + 1
        self.of = np.searchsorted(entities, np.arange(n_entities + 1))

    def groups(self, entities: Ints) -> tuple[Ints, Ints]:
        """Return all groups of each entity, with the place in ``entities`` that each is of."""
        known = np.minimum(entities, len(self.of) - 2)
        sizes = np.where(entities > known, 0, self.of[known + 1] - self.of[known])
        return spans(self.of[known], sizes)

    def edges(self, entities: Ints) -> tuple[Ints, Ints, Ints]:
        """Return all edges of each entity: its place, the relation, and where the edge leads."""
        place, group = self.groups(entities)
        which, edge = spans(self.start[group], np.diff(self.start)[group])
        return place[which], self.relation[group[which]], self.ends[edge]


@dataclass(frozen=True, eq=False)
class Reached:
    """Where questions have come to, distinct and in order.

    Args:
        question: The number of the question, int64 ``(n,)``.
        node: The node of the bodies' tree, ``(n,)``.
        entity: The entity, ``(n,)``.
    """

    question: Ints
    node: Ints
    entity: Ints


class Bodies:
    """The tree of the bodies of path rules.

    Args:
        paths: ``relation``, the columns of ``BODY``, ``rule``, ``confidence`` and ``weight``.
        n_relations: Number of relations, inverses not counted.
        by_relation: Whether each head relation has a tree of its own, whose root is the relation;
            otherwise all bodies begin at node 0.

    Attributes:
        rules: ``relation``, ``rule``, ``confidence`` and ``weight``, in the order of the nodes
            where they end.
    """

    def __init__(self, paths: pl.DataFrame, n_relations: int, *, by_relation: bool) -> None:
        self.width = 2 * n_relations
        self.roots = self.width if by_relation else 1
        root = pl.col("relation") if by_relation else pl.lit(0)
        going = paths.with_columns(node=root.cast(pl.Int64))
        ended, steps, n_nodes = [], [], self.roots
        for name in BODY:
            ended.append(going.filter(pl.col(name).is_null()))
            going = going.filter(pl.col(name).is_not_null())
            level = going.select("node", name).unique().sort("node", name)
            steps.append(level["node"].to_numpy() * self.width + level[name].to_numpy())
            level = level.with_columns(next=n_nodes + pl.int_range(pl.len()))
            going = going.join(level, on=["node", name]).drop("node").rename({"next": "node"})
            n_nodes += len(level)
        rules = pl.concat([*ended, going]).sort("node", "relation", "rule")
        self.steps: Ints = np.concatenate(steps)
        self._sieve = np.zeros(SIEVE, dtype=np.bool_)
        self._sieve[self.steps % SIEVE] = True
        self.rules = rules.select("relation", "rule", "confidence", "weight")
        self.start = np.searchsorted(rules["node"].to_numpy(), np.arange(n_nodes + 1))

    def follow(self, graph: Adjacency, entities: Ints, roots: Ints) -> Iterator[Reached]:
        """Follow all bodies, each question in steps away from its own entity.

        Args:
            graph: The edges to follow. Where a step would follow more than ``REACH`` edges for one
                question, a sample of them is followed; everything else is exact.
            entities: Where each question begins, ``(n,)``.
            roots: The node at which it begins, ``(n,)``.

        Yields:
            What is reached after one step, two, three: for some of the questions at a time.
        """
        start = Reached(np.arange(len(entities)), roots, entities)
        yield from self._steps(graph, entities, start, len(BODY))

    def _steps(
        self, graph: Adjacency, entities: Ints, here: Reached, left: int
    ) -> Iterator[Reached]:
        if not (left and len(here.question) and len(self.steps)):
            return
        place, group = graph.groups(here.entity)
        key = here.node[place] * self.width + graph.relation[group]
        # Most keys are no steps, and nearly all of those a look at the sieve tells.
        maybe = np.flatnonzero(self._sieve[key % SIEVE])
        key = key[maybe]
        step = np.minimum(np.searchsorted(self.steps, key), len(self.steps) - 1)
        goes_on = self.steps[step] == key
        place, group, step = place[maybe[goes_on]], group[maybe[goes_on]], step[goes_on]
        question = here.question[place]
        sizes = _shared(graph.start[group + 1] - graph.start[group], question)
        # No more questions than their numbers leave room for, where each pair has one of its own.
        most = ((1 << 63) - 1) // (len(self.steps) * len(graph.of))
        for part in _portions(question, sizes, most):
            which, edge = spans(graph.start[group[part]], sizes[part])
            there = self._distinct(
                question[part][which], step[part][which], graph.ends[edge], entities
            )
            yield there
            yield from self._steps(graph, entities, there, left - 1)

    def _distinct(self, question: Ints, step: Ints, entity: Ints, entities: Ints) -> Reached:
        """Order what is reached, leaving out repetitions and the questions' own entities."""
        away = entity != entities[question]
        question, step, entity = question[away], step[away], entity[away]
        first, width = question.min(initial=0), entity.max(initial=0) + 1
        numbers = np.sort(((question - first) * len(self.steps) + step) * width + entity)
        rest, entity = np.divmod(numbers[changes(numbers)], width)
        question, step = np.divmod(rest, len(self.steps))
        return Reached(question + first, self.roots + step, entity)


def _shared(sizes: Ints, question: Ints) -> Ints:
    """Cut what a question follows down to about ``REACH`` edges, in proportion."""
    if not len(sizes):
        return sizes
    total = np.bincount(question, weights=sizes)[question]
    return np.ceil(sizes * np.minimum(1.0, REACH / total)).astype(np.int64)


def _portions(question: Ints, sizes: Ints, most: int) -> Iterator[slice]:
    """Cut rows, in order of their questions, into portions of about ``AT_ONCE`` edges.

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
        stop = int(np.searchsorted(edges, before + AT_ONCE, side="right"))
        within = int(np.searchsorted(question[begins], question[begins[start]] + most))
        stop = max(start + 1, min(stop, within))
        yield slice(begins[start], begins[stop] if stop < len(begins) else len(question))
        start = stop
