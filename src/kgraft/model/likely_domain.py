"""Likely domain: the entities that may have an answer along a relation, by their other relations.

An entity that has a birthplace may have a citizenship. Domains that were only observed would leave
out most entities of a relation that gives each one answer: those without it were never seen there.

Shapes: m relations; N entities with a directed relation each.
"""

from __future__ import annotations

from copy import copy
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array

from kgraft.graph.grouped_index import GroupedIndex, changes, quotient_and_rest, spans
from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import Ids
from kgraft.graph.vocabulary import Rows
from kgraft.linking.joint_graph import JointGraph

Floats = NDArray[np.float64]

MIN_SHARE = 0.1
"""Share of the entities with one relation that have another one, from which on all may."""


class LikelyDomain:
    """Relations that occur together at the entities of a target, in any source.

    Args:
        graph: The target joined with other sources.
        target: The target's name.
    """

    def __init__(self, graph: JointGraph, target: str) -> None:
        part, m = graph.part(target), graph.n_relations
        is_own = np.zeros(graph.n_entities, dtype=np.bool_)
        is_own[part.entity_rows] = True
        heads, relations, tails = graph.triples.T
        entity = np.concatenate([heads, tails])
        along = np.concatenate([relations, relations + m])
        # One number sorts many times faster than a pair.
        pairs = np.unique((along * graph.n_entities + entity)[is_own[entity]])
        along, entity = quotient_and_rest(pairs, graph.n_entities)
        shape = (graph.n_entities, 2 * m)
        self._has = csr_array((np.ones(len(pairs), np.float32), (entity, along)), shape=shape)
        used = np.zeros(m, dtype=np.bool_)
        used[part.relation_rows] = True
        common = csr_array(self._has.T @ self._has)
        count = common.diagonal()
        together = (common - diags_array(count)) @ diags_array(1 / np.maximum(count, 1))
        mask = diags_array(np.concatenate([used, used]).astype(np.float32))
        self._together = csr_array(mask @ together)
        self._together.eliminate_zeros()
        self._together.sort_indices()
        rows = np.repeat(np.arange(2 * m), np.diff(self._together.indptr))
        self._place = GroupedIndex.of(rows, self._together.indices)

    @cached_property
    def _members(self) -> csr_array:
        return csr_array(self._has.T)

    def extended(self, facts: Triples, entities: Rows, n_entities: int) -> LikelyDomain:
        """Return the domain with the relations of more facts at some of the target's entities.

        Shares of relations that occur together stay as they are.
        """
        found = copy(self)
        found.__dict__.pop("_members", None)
        heads, relations, tails = facts.T
        m = self._has.shape[1] // 2
        entity = np.concatenate([heads, tails])
        along = np.concatenate([relations, relations + m])
        is_own = np.isin(entity, entities)
        shape = (n_entities, 2 * m)
        ones = np.ones(int(is_own.sum()), dtype=np.float32)
        known = self._has
        size = np.full(n_entities - known.shape[0], known.indptr[-1], dtype=known.indptr.dtype)
        known = csr_array(
            (known.data, known.indices, np.concatenate([known.indptr, size])), shape=shape
        )
        found._has = known + csr_array((ones, (entity[is_own], along[is_own])), shape=shape)
        return found

    def shares(self, entities: Ids, along: Ids) -> tuple[Floats, Floats]:
        """Return the largest and the mean share of having a relation, by each other relation.

        Args:
            entities: Rows of entities, ``(N,)``.
            along: Directed relations, ``(N,)``.
        """
        first, end = self._has.indptr[entities], self._has.indptr[entities + 1]
        row, relation = spans(first, end - first)
        found, place = self._place.groups(along[row], self._has.indices[relation])
        row, share = row[found], self._together.data[place]
        begins = np.flatnonzero(changes(row))
        largest, total = np.zeros(len(entities)), np.zeros(len(entities))
        largest[row[begins]] = np.maximum.reduceat(share, begins)
        total[row[begins]] = np.add.reduceat(share, begins)
        return largest, total / np.maximum(end - first, 1)

    def queries(self, along: int) -> Rows:
        """Return the entities of a directed relation's observed and likely domain, ascending."""
        row = self._together[[along]]
        others = row.indices[row.data >= MIN_SHARE]
        columns = self._members
        members = [
            columns.indices[columns.indptr[x] : columns.indptr[x + 1]]
            for x in (along, *others.tolist())
        ]
        entities: Rows = np.unique(np.concatenate(members)).astype(np.int64)
        return entities
