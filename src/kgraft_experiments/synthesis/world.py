"""The hidden world: entities in clusters, facts between clusters, and facts derived by rules.

An entity belongs to a type, to a cluster of the type, and has a place in the cluster. A drawn
relation leads from each cluster of its domain to a few clusters of its range, mostly to one of
them; there to the head's own place plus the relation's shift, or else to an entity drawn by
popularity (a power law), and with small probability to a hub of the whole type. So embeddings can
learn most facts, and not all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kgraft.errors import SettingsError
from kgraft.graph.knowledge_graph import Triples
from kgraft_experiments.synthesis.rules import Pairs, Rule
from kgraft_experiments.synthesis.schema import Rows, Schema

GOAL_SHARES = (0.8, 0.15, 0.05)
"""Probabilities of the first, second and third of a cluster's goals."""

BY_PLACE = 0.7
"""Share of drawn facts whose tail follows from the head's place."""

BY_HUB = 0.1
"""Share with a tail drawn by popularity in the whole type; the rest draw it in the cluster."""

NEIGHBOURS = 3
"""Places that a head may lead to along a relation that is not functional."""

FULL = 0.15
"""Share of draws with a new fact below which a relation counts as full."""


@dataclass(frozen=True, eq=False)
class World:
    """Clusters of entities, and goals of relations.

    Cluster ``c`` belongs to type ``c % types``. In a type and in a cluster, an entity of a lower
    row is more popular.

    Args:
        schema: The relations.
        cluster: Cluster of each entity, int64 ``(n,)``; none is empty.
        goals: Clusters that each drawn relation leads to from the ``j``-th cluster of its domain,
            int64 ``(drawn, clusters / types, 3)``.
        exponent: Exponent of the power law of degrees.
        first: First row whose entities facts are drawn for; earlier ones only occur as tails.
    """

    schema: Schema
    cluster: Rows
    goals: NDArray[np.int64]
    exponent: float
    first: int = 0

    @classmethod
    def of(
        cls, schema: Schema, n: int, cluster_size: int, exponent: float, draw: np.random.Generator
    ) -> Self:
        """Draw clusters of ``n`` entities, and goals, popular clusters more often."""
        per_type = clusters_for(n, schema.types, cluster_size)
        cluster = draw.permutation(n) % (per_type * schema.types)
        shape = (len(schema.weight), per_type, len(GOAL_SHARES))
        goals = by_popularity(np.full(np.prod(shape), per_type), exponent, draw).reshape(shape)
        goals[schema.categorical] = goals[schema.categorical, :1, :1]
        return cls(schema, cluster, _clusters(schema, goals), exponent)

    def extended(self, n: int, cluster_size: int, draw: np.random.Generator) -> Self:
        """Return a larger world with ``n`` more entities in new clusters.

        New clusters lead anywhere, old ones to new ones; facts are drawn for new entities.
        """
        schema = self.schema
        old, new = self.goals.shape[1], clusters_for(n, schema.types, cluster_size)
        joining = draw.permutation(n) % (new * schema.types) + old * schema.types
        size = (len(schema.weight), old, len(GOAL_SHARES))
        from_old = draw.integers(old, old + new, size=size)
        from_new = draw.integers(old + new, size=(size[0], new, size[2]))
        return replace(
            self,
            cluster=np.concatenate([self.cluster, joining]),
            goals=_clusters(schema, np.concatenate([from_old, from_new], axis=1)),
            first=len(self.cluster),
        )

    def with_schema(self, schema: Schema) -> Self:
        """Return the world with another schema."""
        return replace(self, schema=schema)

    @cached_property
    def _members(self) -> tuple[Rows, Rows, Rows]:
        """Entities by cluster, where each cluster starts among them, and each entity's place."""
        return _grouped(self.cluster, self.goals.shape[1] * self.schema.types)

    @cached_property
    def _by_type(self) -> tuple[Rows, Rows]:
        """Entities from ``first`` on by type, and where each type starts among them."""
        types = self.cluster[self.first :] % self.schema.types
        members, start, _ = _grouped(types, self.schema.types)
        return members + self.first, start

    def tails(self, relation: int, heads: Rows, draw: np.random.Generator) -> Rows:
        """Draw a tail for each head of one drawn relation, int64 ``(n,)``, never the head."""
        members, start, place = self._members
        slot = np.searchsorted(np.cumsum(GOAL_SHARES)[:-1], draw.random(len(heads)), side="right")
        goal = self.goals[relation, self.cluster[heads] // self.schema.types, slot]
        size = start[goal + 1] - start[goal]
        n_places = 1 if self.schema.functional[relation] else NEIGHBOURS
        moved = self.schema.shift[relation] + draw.integers(n_places, size=len(heads))
        uniform = draw.random(len(heads))
        by_place = 0.0 if self.schema.categorical[relation] else BY_PLACE
        rank = np.where(
            uniform < by_place,
            (place[heads] + moved) % size,
            by_popularity(size, self.exponent, draw),
        )
        to_hub = uniform > 1 - BY_HUB
        tails: Rows = members[start[goal] + rank]
        tails[to_hub] = self._hubs(self.schema.range[relation], int(to_hub.sum()), draw)
        # In place of the head itself, the next entity of the goal's cluster.
        return np.where(tails == heads, members[start[goal] + (place[heads] + 1) % size], tails)

    def _hubs(self, type_: int, n: int, draw: np.random.Generator) -> Rows:
        """Draw ``n`` entities of a type from row ``first`` on, by popularity in the type."""
        members, start = self._by_type
        low, high = start[type_], start[type_ + 1]
        ranks = by_popularity(np.full(n, high - low), self.exponent, draw)
        drawn: Rows = members[low + ranks]
        return drawn

    def draw_facts(self, n: int, draw: np.random.Generator) -> list[Pairs]:
        """Draw ``n`` facts or a few more, at least one for each entity.

        Returns:
            Pairs without repeats for each relation; none for derived relations.

        Raises:
            SettingsError: If the world has no room for so many.
        """
        schema = self.schema
        facts = [np.empty((0, 2), dtype=np.int64)] * len(schema)
        entities = np.arange(self.first, len(self.cluster))
        # Functional or many-to-many relations, where no other fact can replace a head's.
        relation = self.cluster[entities] % schema.types
        relation += schema.types * draw.integers(2, size=len(entities))
        for drawn in range(2 * schema.types):
            facts[drawn] = self._with(facts[drawn], drawn, entities[relation == drawn], draw)
        weight, gain = schema.weight.copy(), 1.0
        while (missing := n - sum(map(len, facts))) > 0:
            if not weight.any():
                raise SettingsError(
                    f"{len(entities):,} entities with {len(schema)} relations have no room for "
                    f"{n:,} facts besides derived ones; ask for fewer facts, a larger "
                    "target.sees, more entities, or more relations"
                )
            counts = draw.multinomial(round(missing / gain), weight / weight.sum())
            before = np.array([len(pairs) for pairs in facts[: len(counts)]])
            for drawn, count in enumerate(counts.tolist()):
                heads = self._hubs(schema.domain[drawn], count, draw)
                facts[drawn] = self._with(facts[drawn], drawn, heads, draw)
            gained = np.array([len(pairs) for pairs in facts[: len(counts)]]) - before
            weight[gained < FULL * counts] = 0
            gain = max(FULL, gained.sum() / counts.sum())
        return facts

    def _with(self, known: Pairs, relation: int, heads: Rows, draw: np.random.Generator) -> Pairs:
        """Return known facts of a relation and one more for each head where it allows one."""
        new = np.stack([heads, self.tails(relation, heads, draw)], axis=1)
        pairs = distinct(np.concatenate([known, new]), len(self.cluster))
        if self.schema.functional[relation]:
            pairs = pairs[_first_of_each(pairs[:, 0])]
        if self.schema.inverse_functional[relation]:
            pairs = pairs[_first_of_each(pairs[:, 1])]
        return pairs


def clusters_for(n: int, types: int, cluster_size: int) -> int:
    """Return the number of clusters of each type among ``n`` entities, at least one."""
    return max(1, n // (cluster_size * types))


def by_popularity(size: Rows, exponent: float, draw: np.random.Generator) -> Rows:
    """Draw a rank below each size such that degrees follow a power law, int64 ``(n,)``.

    Weights ``rank ** -a`` with ``a = 1 / (g - 1)`` give degrees of exponent ``g``; a rank is drawn
    by the inverse of their integral.
    """
    a = 1 / (exponent - 1)
    uniform, top = draw.random(len(size)), size + 1.0
    if abs(a - 1) < 1e-6:
        ranks = top**uniform
    else:
        ranks = (1 + uniform * (top ** (1 - a) - 1)) ** (1 / (1 - a))
    below: Rows = np.minimum(ranks.astype(np.int64), size) - 1
    return below


def distinct(pairs: Pairs, n: int) -> Pairs:
    """Return pairs without repeats, the first of each, in their order."""
    return pairs[_first_of_each(pairs[:, 0] * n + pairs[:, 1])]


def close(
    facts: Sequence[Pairs], rules: Sequence[Rule], n: int, draw: np.random.Generator
) -> Triples:
    """Return facts and the conclusions of rules from them, ``(m, 3)``, without repeats.

    Rules apply in turn, each also to the conclusions of those before it. A conclusion may join an
    entity with itself, which drawn facts never do.
    """
    closed = list(facts)
    for rule in rules:
        concluded = rule.conclude(closed, draw)
        closed[rule.head] = distinct(np.concatenate([closed[rule.head], concluded]), n)
    relation = np.repeat(np.arange(len(closed)), [len(pairs) for pairs in closed])
    heads, tails = np.concatenate(closed).T
    return np.stack([heads, relation, tails], axis=1)


def by_relation(triples: Triples, relations: int) -> list[Pairs]:
    """Return the pairs of each relation."""
    ordered, start, _ = _grouped(triples[:, 1], relations)
    pairs = triples[ordered][:, [0, 2]]
    return np.split(pairs, start[1:-1])


def with_constants(
    schema: Schema, facts: Sequence[Pairs], world: World, draw: np.random.Generator
) -> Schema:
    """Return the schema with constants in its constant rules.

    The body's constant is its relation's most frequent tail, so that there are groundings; the
    head's is a random entity of its range.
    """
    rules = []
    types = world.cluster % schema.types
    for rule in schema.rules:
        if rule.kind == "constant":
            given = int(np.bincount(facts[rule.body[0]][:, 1]).argmax())
            concluded = int(draw.choice(np.flatnonzero(types == schema.range[rule.head])))
            rules.append(replace(rule, constants=(given, concluded)))
        else:
            rules.append(rule)
    return replace(schema, rules=tuple(rules))


def _clusters(schema: Schema, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the clusters of each drawn relation's range by their numbers in that type."""
    drawn = len(schema.weight)
    return numbers * schema.types + schema.range[:drawn, None, None]


def _grouped(group: Rows, groups: int) -> tuple[Rows, Rows, Rows]:
    """Return rows by group, where each group starts, ``(groups + 1,)``, and each row's place."""
    ordered = np.argsort(group, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=groups))])
    place = np.empty_like(ordered)
    place[ordered] = np.arange(len(group)) - start[group[ordered]]
    return ordered, start, place


def _first_of_each(values: Rows) -> Rows:
    """Return the first place of each different value, in ascending order."""
    _, first = np.unique(values, return_index=True)
    return np.sort(first)
