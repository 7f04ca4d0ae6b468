"""Each source's part of the hidden world: facts of the target and of each background."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kgraft.errors import SettingsError
from kgraft.graph.knowledge_graph import Triples, no_triples
from kgraft.io.source import Split
from kgraft_experiments.synthesis.schema import Rows, Schema, make_schema
from kgraft_experiments.synthesis.settings import SynthSettings, TargetSettings
from kgraft_experiments.synthesis.splits import split_triples
from kgraft_experiments.synthesis.world import World, by_relation, close, with_constants

DRAWN = 0.7
"""Approximate share of all facts that are drawn, not derived by rules."""

GROWTH = 1.4
"""Factor by which more facts are drawn where too few of them can be stated."""


class Stream(IntEnum):
    """Purposes of random numbers; each has its own stream, so that none disturbs another."""

    WORLD = 0
    TARGET = 1
    SHARED = 2
    MEMBERS = 3
    STATED = 4
    OWN = 5
    LINKED = 6
    LINKS = 7

    def draw(self, seed: int, *which: int) -> np.random.Generator:
        """Return the generator of this purpose, for one source or pair of sources."""
        return np.random.default_rng([seed, self.value, *which])


@dataclass(frozen=True, eq=False)
class HiddenWorld:
    """The target's entities, and all true facts among them.

    Args:
        world: Clusters and goals; row ``i`` is entity ``i`` of the target.
        facts: Every true fact, ``(n, 3)``.
    """

    world: World
    facts: Triples

    @classmethod
    def of(cls, settings: SynthSettings) -> Self:
        """Draw the world of these settings.

        Raises:
            SettingsError: If its entities have no room for so many facts.
        """
        target, own = settings.target, settings.world
        draw = Stream.WORLD.draw(own.seed)
        schema = make_schema(own, draw)
        size, exponent = own.cluster_size, own.degree_exponent
        world = World.of(schema, target.entities, size, exponent, draw)
        wanted = max(target.facts, round(target.facts / target.sees * DRAWN))
        drawn = world.draw_facts(wanted, draw)
        world = world.with_schema(with_constants(schema, drawn, world, draw))
        return cls(world, close(drawn, world.schema.rules, target.entities, draw))

    @property
    def schema(self) -> Schema:
        """The relations."""
        return self.world.schema


@dataclass(frozen=True, eq=False)
class TargetView:
    """The target's facts, and their rows among the world's facts.

    Args:
        train: Training facts, ``(n, 3)``.
        valid: Validation facts.
        test: Test facts.
        stated: Rows of all of them among the world's facts, in random order.
    """

    train: Triples
    valid: Triples
    test: Triples
    stated: Rows


def view_of_target(hidden: HiddenWorld, settings: TargetSettings, seed: int) -> TargetView:
    """Draw the target's facts, at least one for each entity."""
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
    """One background's facts in its own rows, the target's entities first in the target's order.

    Args:
        train: Training facts, ``(n, 3)``.
        valid: Validation facts, none of them about two of the target's entities.
        common: The target's row of each entity that both have, int64.
        own: Numbers of its other entities, from 0, int64.
        types: Type of each entity, int64.
        shared: Number of the target's facts that it states.
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
    """Draw each background's facts: a part of the world, and facts about its own entities.

    Raises:
        SettingsError: If a background is to have fewer facts than it states about the target's
            entities, or more than its own entities have room for.
    """
    background, seed = settings.background, settings.world.seed
    draw = Stream.SHARED.draw(seed)
    n = settings.target.entities
    shared = target.stated[draw.permutation(len(target.stated))]
    shared = shared[: round(background.shared * len(shared))]
    shared_by = draw.integers(background.sources, size=len(shared))
    home = draw.integers(background.sources, size=n)
    unstated = np.ones(len(hidden.facts), dtype=bool)
    unstated[target.stated] = False
    views = []
    for source in range(background.sources):
        copied = hidden.facts[shared[shared_by == source]]
        member = (Stream.MEMBERS.draw(seed, source).random(n) < background.overlap) | (
            home == source
        )
        member[copied[:, [0, 2]]] = True
        stated = unstated & member[hidden.facts[:, 0]] & member[hidden.facts[:, 2]]
        stated &= Stream.STATED.draw(seed, source).random(len(stated)) < background.sees
        own = _OwnFacts(hidden, settings, member, Stream.OWN.draw(seed, source))
        missing = background.facts - len(copied) - int(stated.sum())
        train, valid = own.sample(missing, source)
        known = np.concatenate([copied, hidden.facts[stated]])
        views.append(_in_own_rows(known, train, valid, member, own, len(copied)))
    return views


class _OwnFacts:
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

    def sample(self, n: int, source: int) -> tuple[Triples, Triples]:
        """Return ``n`` facts with an own entity each: training and validation facts."""
        settings = self._settings
        common, types = np.flatnonzero(self._member), settings.world.types
        least = len(common) + 4 * types
        if n < least:
            raise SettingsError(
                f"background.facts: source {source + 1} needs at least "
                f"{settings.background.facts - n + least:,} facts to say what it knows of the "
                f"target's entities, not {settings.background.facts:,}"
            )
        n_own = max(4 * types, round(n * settings.target.entities / settings.target.facts))
        self.world = self.hidden.world.extended(n_own, settings.world.cluster_size, self._draw)
        bridges = self._bridges(common)
        drawn = self._draw_facts(n - len(bridges))
        shares = Split(valid=settings.background.valid, test=0)
        train, valid, _ = split_triples(drawn, shares) if shares.valid else (drawn, *_NONE)
        return np.concatenate([bridges, train]), valid

    def _bridges(self, common: Rows) -> Triples:
        """Return a fact between each of the target's entities and an own one."""
        # A many-to-many relation, since the functional ones may have a tail already.
        relation = self.hidden.schema.types + self.world.cluster[common] % self.hidden.schema.types
        facts = np.stack([common, relation, common], axis=1)
        for each in np.unique(relation).tolist():
            chosen = relation == each
            facts[chosen, 2] = self.world.tails(each, common[chosen], self._draw)
        return facts

    def _draw_facts(self, n: int) -> Triples:
        """Return ``n`` random facts that begin or end at an own entity."""
        world, schema, total = self.world, self.hidden.schema, len(self.world.cluster)
        known = by_relation(self.hidden.facts, len(schema))
        visible = np.concatenate([self._member, np.ones(total - len(self._member), dtype=bool)])
        wanted = max(DRAWN * n, total - world.first)
        while True:
            drawn = world.draw_facts(round(wanted), self._draw)
            both = [np.concatenate(x) for x in zip(known, drawn, strict=True)]
            facts = close(both, schema.rules, total, self._draw)
            heads, _, tails = facts.T
            allowed = np.maximum(heads, tails) >= world.first
            allowed &= visible[heads] & visible[tails]
            places = np.flatnonzero(allowed)
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
    own: _OwnFacts,
    shared: int,
) -> BackgroundView:
    """Return a background's view, its entities numbered without those in no fact."""
    cluster = own.world.cluster
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
        cluster[entities] % own.hidden.schema.types,
        shared,
    )
