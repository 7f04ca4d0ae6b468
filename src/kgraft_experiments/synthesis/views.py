"""What each source sees of the hidden world: the target some facts, each background others."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kgraft.errors import SettingsError
from kgraft.graph.knowledge_graph import Triples, no_triples
from kgraft.io.source import Split
from kgraft.io.splits import split_triples
from kgraft_experiments.synthesis.schema import Rows, Schema, make_schema
from kgraft_experiments.synthesis.settings import SynthSettings, TargetSettings
from kgraft_experiments.synthesis.world import World, by_relation, close, with_constants

DRAWN = 0.7
"""About the share of all facts that are drawn, not made by rules."""

GROWTH = 1.4
"""How many more facts are drawn when too few of them can be seen."""


class Stream(IntEnum):
    """What random numbers are for; each purpose has its own, so that none disturbs another."""

    WORLD = 0
    TARGET = 1
    SHARED = 2
    MEMBERS = 3
    SEEN = 4
    OWN = 5
    LINKED = 6
    LINKS = 7

    def draw(self, seed: int, *which: int) -> np.random.Generator:
        """Return the random numbers of this purpose, for one source or pair of sources."""
        return np.random.default_rng([seed, self.value, *which])


@dataclass(frozen=True, eq=False)
class HiddenWorld:
    """The target's entities, and all that is true among them.

    Args:
        world: Clusters and goals; row ``i`` is entity ``i`` of the target.
        facts: Every true fact, ``(n, 3)``.
    """

    world: World
    facts: Triples

    @classmethod
    def of(cls, settings: SynthSettings) -> Self:
        """Make the world that settings describe.

        Raises:
            SettingsError: If its entities have no room for so many facts.
        """
        target, about = settings.target, settings.world
        draw = Stream.WORLD.draw(about.seed)
        schema = make_schema(about, draw)
        size, exponent = about.cluster_size, about.degree_exponent
        world = World.of(schema, target.entities, size, exponent, draw)
        wanted = max(target.facts, round(target.facts / target.sees * DRAWN))
        drawn = world.draw_facts(wanted, draw)
        world = world.under(with_constants(schema, drawn, world, draw))
        return cls(world, close(drawn, world.schema.rules, target.entities, draw))

    @property
    def schema(self) -> Schema:
        """The relations."""
        return self.world.schema


@dataclass(frozen=True, eq=False)
class TargetView:
    """The target's facts, and which of the world's facts those are.

    Args:
        train: Facts to learn from, ``(n, 3)``.
        valid: Facts to choose by.
        test: Facts to measure by.
        stated: Places of all of them among the world's facts, in random order.
    """

    train: Triples
    valid: Triples
    test: Triples
    stated: Rows


def view_of_target(hidden: HiddenWorld, settings: TargetSettings, seed: int) -> TargetView:
    """Let the target see as many facts as it is to have, at least one for each entity."""
    order = Stream.TARGET.draw(seed).permutation(len(hidden.facts))
    # In random order, the first fact of each entity is its own.
    _, first = np.unique(hidden.facts[order][:, [0, 2]], return_index=True)
    needed = np.zeros(len(order), dtype=bool)
    needed[first // 2] = True
    stated = np.concatenate([order[needed], order[~needed]])[: settings.facts]
    split = Split(valid=settings.valid, test=settings.test, seed=seed)
    return TargetView(*split_triples(hidden.facts[stated], split), stated)


@dataclass(frozen=True, eq=False)
class BackgroundView:
    """What one background states, in rows of its own.

    Its first entities are those that the target has too, in the target's order.

    Args:
        train: Facts to learn from, ``(n, 3)``.
        valid: Facts to choose a teacher's state by, none of them about two of the target's
            entities.
        common: The target's row of each of its first entities, int64.
        own: Numbers of its other entities, from 0, int64.
        types: Type of each entity, int64.
        shared: How many facts of the target it states.
    """

    train: Triples
    valid: Triples
    common: Rows
    own: Rows
    types: Rows
    shared: int


def views_of_backgrounds(
    hidden: HiddenWorld, target: TargetView, settings: SynthSettings
) -> list[BackgroundView]:
    """Let each background see a part of the world, and a part that only it knows of.

    Raises:
        SettingsError: If a background is to have fewer facts than it states of the target's
            entities, or more than its own entities have room for.
    """
    about, seed = settings.background, settings.world.seed
    draw = Stream.SHARED.draw(seed)
    n = settings.target.entities
    shared = target.stated[draw.permutation(len(target.stated))]
    shared = shared[: round(about.shared * len(shared))]
    teller = draw.integers(about.sources, size=len(shared))
    home = draw.integers(about.sources, size=n)
    unstated = np.ones(len(hidden.facts), dtype=bool)
    unstated[target.stated] = False
    views = []
    for source in range(about.sources):
        told = hidden.facts[shared[teller == source]]
        member = (Stream.MEMBERS.draw(seed, source).random(n) < about.overlap) | (home == source)
        member[told[:, [0, 2]]] = True
        seen = unstated & member[hidden.facts[:, 0]] & member[hidden.facts[:, 2]]
        seen &= Stream.SEEN.draw(seed, source).random(len(seen)) < about.sees
        others = _Others(hidden, settings, member, Stream.OWN.draw(seed, source))
        missing = about.facts - len(told) - int(seen.sum())
        train, valid = others.see(missing, source)
        known = np.concatenate([told, hidden.facts[seen]])
        views.append(_in_own_rows(known, train, valid, member, others, len(told)))
    return views


class _Others:
    """Entities that only one background has, and facts about them."""

    def __init__(
        self,
        hidden: HiddenWorld,
        settings: SynthSettings,
        member: NDArray[np.bool_],
        draw: np.random.Generator,
    ) -> None:
        self.hidden = hidden
        self._settings = settings
        self._member = member
        self._draw = draw
        self.world = hidden.world

    def see(self, n: int, source: int) -> tuple[Triples, Triples]:
        """Return ``n`` facts to learn from or to choose by, each with an own entity."""
        about = self._settings
        common, types = np.flatnonzero(self._member), about.world.types
        least = len(common) + 4 * types
        if n < least:
            raise SettingsError(
                f"background.facts: source {source + 1} needs at least "
                f"{about.background.facts - n + least:,} facts to say what it knows of the "
                f"target's entities, not {about.background.facts:,}"
            )
        n_own = max(4 * types, round(n * about.target.entities / about.target.facts))
        self.world = self.hidden.world.extended(n_own, about.world.cluster_size, self._draw)
        bridges = self._bridges(common)
        others = self._sample(n - len(bridges))
        shares = Split(valid=about.background.valid, test=0)
        train, valid, _ = split_triples(others, shares) if shares.valid else (others, *_NONE)
        return np.concatenate([bridges, train]), valid

    def _bridges(self, common: Rows) -> Triples:
        """Return a fact with an own entity for each of the target's entities."""
        # A many-to-many relation, since the functional ones may have a tail already.
        relation = self.hidden.schema.types + self.world.cluster[common] % self.hidden.schema.types
        facts = np.stack([common, relation, common], axis=1)
        for each in np.unique(relation).tolist():
            chosen = relation == each
            facts[chosen, 2] = self.world.tails(each, common[chosen], self._draw)
        return facts

    def _sample(self, n: int) -> Triples:
        """Return ``n`` facts that begin or end at an own entity, by chance."""
        world, schema, total = self.world, self.hidden.schema, len(self.world.cluster)
        known = by_relation(self.hidden.facts, len(schema))
        visible = np.concatenate([self._member, np.ones(total - len(self._member), dtype=bool)])
        wanted = max(DRAWN * n, total - world.first)
        while True:
            drawn = world.draw_facts(round(wanted), self._draw)
            both = [np.concatenate(x) for x in zip(known, drawn, strict=True)]
            facts = close(both, schema.rules, total, self._draw)
            heads, _, tails = facts.T
            seen = np.maximum(heads, tails) >= world.first
            seen &= visible[heads] & visible[tails]
            places = np.flatnonzero(seen)
            if len(places) >= n:
                chosen = self._draw.choice(places, size=n, replace=False, shuffle=False)
                taken: Triples = facts[np.sort(chosen)]
                return taken
            wanted *= GROWTH


_NONE = (no_triples(), no_triples())


def _in_own_rows(
    known: Triples,
    train: Triples,
    valid: Triples,
    member: NDArray[np.bool_],
    others: _Others,
    shared: int,
) -> BackgroundView:
    """Number a background's entities, leaving out those that no fact mentions."""
    cluster = others.world.cluster
    used = np.zeros(len(cluster), dtype=bool)
    for facts in (known, train, valid):
        used[facts[:, 0]] = used[facts[:, 2]] = True
    used[: len(member)] = member
    row: Rows = np.cumsum(used) - 1
    entities = np.flatnonzero(used)
    common = entities[: int(member.sum())]

    def numbered(facts: Triples) -> Triples:
        numbers: Triples = np.stack([row[facts[:, 0]], facts[:, 1], row[facts[:, 2]]], axis=1)
        return numbers

    return BackgroundView(
        numbered(np.concatenate([known, train])),
        numbered(valid),
        common,
        entities[len(common) :] - len(member),
        cluster[entities] % others.hidden.schema.types,
        shared,
    )
