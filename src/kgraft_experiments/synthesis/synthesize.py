"""A synthetic collection: a hidden world, and sources that each state a part of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl

from kgraft.graph.knowledge_graph import KnowledgeGraph, no_triples
from kgraft.graph.vocabulary import Rows, Vocabulary
from kgraft.linking.collection import Collection, collect
from kgraft.linking.links import Links
from kgraft_experiments.synthesis.links import draw_links
from kgraft_experiments.synthesis.rules import PlantedRule
from kgraft_experiments.synthesis.schema import Schema
from kgraft_experiments.synthesis.settings import SynthSettings
from kgraft_experiments.synthesis.views import (
    BackgroundView,
    HiddenWorld,
    Stream,
    TargetView,
    view_of_target,
    views_of_backgrounds,
)

TARGET = "target"

SHARED_RELATIONS = "https://vocabulary.example/"

WORDS = ("person", "place", "work", "company", "species", "event", "award", "topic", "team", "gene")
"""Names of types; further ones get numbers."""


@dataclass(frozen=True, eq=False)
class Synthetic:
    """A synthetic collection, and the truth behind it.

    Args:
        collection: The sources ``target``, ``background1``, ``background2`` and so on, and links.
        rules: Rules of the hidden world, in the target's names.
        world: All true facts among the target's entities, as training facts in the target's
            vocabularies.
        shared: Number of the target's facts that a background states too, linked or not.
    """

    collection: Collection
    rules: tuple[PlantedRule, ...]
    world: KnowledgeGraph
    shared: int


def synthesize(settings: SynthSettings | None = None) -> Synthetic:
    """Make a collection whose sources each state a part of one hidden world.

    Each part of the settings has random numbers of its own: links change no graph, more background
    facts change neither the target nor its links, and a private vocabulary changes only names.

    Raises:
        SettingsError: If there are too many facts for the entities, or too few for a background's
            facts about the target's entities.

    Warns:
        KgraftWarning: If nothing is linked, or too few facts can be held out.
    """
    settings = settings or SynthSettings()
    hidden = HiddenWorld.of(settings)
    target = view_of_target(hidden, settings.target, settings.world.seed)
    backgrounds = views_of_backgrounds(hidden, target, settings)
    naming = _Naming(hidden.schema, settings)
    cluster = hidden.world.cluster
    labels = naming.labels(cluster % hidden.schema.types, np.arange(len(cluster)))
    own = naming.graph(TARGET, labels, target)
    others = []
    for number, view in enumerate(backgrounds):
        numbers = np.concatenate([view.common, naming.own_numbers(number, view.own)])
        labels = naming.labels(view.types, numbers)
        others.append(naming.graph(naming.background(number), labels, view))
    collection = collect(
        [own, *others],
        _links(hidden, backgrounds, settings, naming),
        target=TARGET,
        name="synthetic",
        description=f"Made by kgraft synth from seed {settings.world.seed}.",
    )
    return Synthetic(
        collection,
        tuple(rule.named(own.entities, own.relations) for rule in hidden.schema.rules),
        KnowledgeGraph("world", own.entities, own.relations, hidden.facts, labels=own.labels),
        sum(view.shared for view in backgrounds),
    )


class _Naming:
    """Names of sources, entities and relations."""

    def __init__(self, schema: Schema, settings: SynthSettings) -> None:
        self._settings = settings
        words = [
            WORDS[i % len(WORDS)] + (str(i // len(WORDS) + 1) if i >= len(WORDS) else "")
            for i in range(schema.types)
        ]
        self._words = pl.Series(words, dtype=pl.String)
        self._relations = [
            f"{words[head]}_{words[tail]}_{number}"
            for number, (head, tail) in enumerate(zip(schema.domain, schema.range, strict=True))
        ]

    def background(self, number: int) -> str:
        return f"background{number + 1}"

    def labels(self, types: Rows, numbers: Rows) -> pl.Series:
        """Return readable labels: the type's name and a number."""
        return self._words.gather(types) + " " + pl.Series(numbers).cast(pl.String)

    def own_numbers(self, source: int, own: Rows) -> Rows:
        """Return numbers of a background's own entities, unique among all sources."""
        return self._settings.target.entities + own * self._settings.background.sources + source

    def graph(
        self, source: str, labels: pl.Series, view: TargetView | BackgroundView
    ) -> KnowledgeGraph:
        """Return a source's graph, entities named by their labels."""
        private = self._settings.background.vocabulary == "private"
        base = f"https://{source}.example/relation/" if private else SHARED_RELATIONS
        names = f"https://{source}.example/entity/" + labels.str.replace(" ", "_", literal=True)
        relations = Vocabulary.of(base + name for name in self._relations)
        test = view.test if isinstance(view, TargetView) else no_triples()
        splits = view.train, view.valid, test
        return KnowledgeGraph(source, Vocabulary(names), relations, *splits, labels=labels)


def _links(
    hidden: HiddenWorld,
    backgrounds: Sequence[BackgroundView],
    settings: SynthSettings,
    naming: _Naming,
) -> list[Links]:
    """Return the links of each two sources between the entities that are linked at all."""
    seed, n = settings.world.seed, settings.target.entities
    chosen = Stream.LINKED.draw(seed).permutation(n)[: round(settings.links.linked * n)]
    linked = np.zeros(n, dtype=bool)
    linked[chosen] = True
    types = hidden.world.cluster % hidden.schema.types
    rows = [np.arange(n)]
    for view in backgrounds:
        row = np.full(n, -1)
        row[view.common] = np.arange(len(view.common))
        rows.append(row)
    names = [TARGET, *(naming.background(number) for number in range(len(backgrounds)))]
    links = []
    for left, right in combinations(range(len(rows)), 2):
        both = np.flatnonzero(linked & (rows[left] >= 0) & (rows[right] >= 0))
        pairs = np.stack([rows[left][both], rows[right][both]], axis=1)
        draw = Stream.LINKS.draw(seed, left, right)
        links.append(
            draw_links(names[left], names[right], pairs, types[both], settings.links.wrong, draw)
        )
    return [x for x in links if len(x)]
