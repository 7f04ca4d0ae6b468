"""Which of the links that are given are doubtful, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from kgraft.alignment.labels import names_of
from kgraft.alignment.link_features import LinkFeatures, Witnesses
from kgraft.alignment.nodes import Floats, Ints, Nodes
from kgraft.alignment.settings import AlignSettings
from kgraft.errors import DataError
from kgraft.linking.collection import Collection
from kgraft.linking.links import Links
from kgraft.linking.logistic_regression import regression
from kgraft.linking.merge import merge
from kgraft.system.progress import Listener, default_listener

ROUNDS = 3
"""Times that links are judged by what the links that are trusted then say."""

MADE = 2
"""Wrong pairs that are made of each link, to learn what wrong links look like. To put any entity of
the graph in the place of an end for half of them found fewer wrong links, of that kind too."""

LEAST = 1e-4
"""No confidence is below it."""


@dataclass(frozen=True, eq=False)
class AuditedLinks:
    """Links between two graphs and how doubtful each is.

    Args:
        links: The links.
        doubt: The chance that each is wrong, float64 ``(n,)``.
        why: What speaks against each, in words, ``(n,)``.
    """

    links: Links
    doubt: Floats
    why: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Audit:
    """What ``audit`` has found.

    Args:
        audited: The entity links between each two graphs.
        threshold: The least doubt of what is left out of the cleaned links.
    """

    audited: tuple[AuditedLinks, ...]
    threshold: float

    def __repr__(self) -> str:
        links = sum(len(x.links) for x in self.audited)
        return f"<Audit of {links:,} links: {len(self.doubtful()):,} doubtful>"

    def doubtful(self) -> list[tuple[float, Links, int, str]]:
        """Return doubt, links, row and reason of links at the threshold or above, worst first."""
        found = [
            (float(x.doubt[row]), x.links, int(row), x.why[row])
            for x in self.audited
            for row in np.flatnonzero(x.doubt >= self.threshold)
        ]
        return sorted(found, key=lambda one: -one[0])

    def cleaned(self) -> tuple[Links, ...]:
        """Return the links that are left, each trusted less the more doubtful it is."""
        left = []
        for x in self.audited:
            kept = x.doubt < self.threshold
            trust = np.maximum(x.links.confidence[kept] * (1 - x.doubt[kept]), LEAST)
            left.append(
                replace(x.links, pairs=x.links.pairs[kept], confidence=trust.astype(np.float32))
            )
        return tuple(left)


def audit(
    collection: Collection,
    settings: AlignSettings | None = None,
    *,
    threshold: float = 0.5,
    seed: int = 0,
    listener: Listener | None = None,
) -> Audit:
    """Judge the entity links of a collection.

    What a wrong link looks like is learned from wrong ones that are made: the right end of each
    link is exchanged for that of another. Links that look like these are doubtful. What is looked
    at: whether other graphs lead from one end to the other, or to different entities; further links
    of either end; how many facts both share and could share; whether another entity shares more;
    whether relations of one go together with those of the other; and names.

    Args:
        collection: Graphs and links.
        settings: What evidence counts; by default ``AlignSettings()``.
        threshold: The least doubt of what is left out of the cleaned links.
        seed: Makes the wrong links.
        listener: Receives the number of rounds done; by default a bar or log lines.

    Raises:
        DataError: If there are no links to judge, or only one graph.
        KgraftError: If names are to be compared and the libraries for that are not installed.
    """
    settings, listener = settings or AlignSettings(), listener or default_listener()
    own = [x for x in collection.links if x.kind == "entity"]
    nodes = Nodes.of(collection, collection.links)
    pairs, confidence = nodes.pairs(own)
    if not len(pairs):
        raise DataError(
            f"{collection.name} has no entity links to audit",
            remedy="Add [[links]], or find some with kgraft align",
        )
    names = names_of(nodes, settings.labels)
    draw = np.random.default_rng(seed)
    made = np.concatenate([_exchanged(nodes, pairs, draw) for _ in range(MADE)])
    doubt = np.zeros(len(pairs))
    listener.begin("audit", ROUNDS)
    for _ in range(ROUNDS):
        trusted = np.flatnonzero(doubt < threshold)
        trust = confidence[trusted] * (1 - doubt[trusted])
        clusters = merge(len(nodes), nodes.source_of, pairs[trusted], trust).clusters
        witnesses = Witnesses(nodes, pairs, trusted, clusters, names, settings)
        signs = witnesses.signs(pairs, real=True)
        doubt = _doubt(signs, witnesses.signs(made, real=False))
        listener.advance(1)
    listener.end()
    why = list(_in_words(nodes, pairs, signs))
    ends = np.cumsum([0, *(len(x) for x in own)])
    return Audit(
        tuple(
            AuditedLinks(x, doubt[first:last], tuple(why[first:last]))
            for x, first, last in zip(own, ends[:-1], ends[1:], strict=True)
        ),
        threshold,
    )


def _exchanged(nodes: Nodes, pairs: Ints, draw: np.random.Generator) -> Ints:
    """Return pairs of wrong ends: each link's left end with the right end of another link."""
    kind = nodes.source_of[pairs[:, 0]] * len(nodes.graphs) + nodes.source_of[pairs[:, 1]]
    swapped = pairs.copy()
    for one in np.unique(kind):
        rows = draw.permutation(np.flatnonzero(kind == one))
        swapped[rows, 1] = np.roll(pairs[rows, 1], 1)
    return swapped


def _doubt(real: LinkFeatures, wrong: LinkFeatures) -> Floats:
    """Return the chance of each real link to be wrong.

    A regression tells real links from wrong ones that were made, as odds ``q``. If a share ``w`` of
    the real ones is wrong and looks as the made ones do, what looks so has the odds ``w``, and a
    link is wrong with the chance ``w / q`` (Elkan and Noto, KDD 2008, on learning from positive and
    unlabeled examples, with the roles exchanged).
    """
    features, made = real.features(), wrong.features()
    weight = len(made) / len(features)
    fitted = regression(
        np.concatenate([features, made]),
        np.concatenate([np.ones(len(features)), np.zeros(len(made))]),
    )
    odds, made_odds = (
        weight * chance / np.maximum(1 - chance, 1e-12)
        for chance in (fitted.chances(features), fitted.chances(made))
    )
    share = np.clip(np.median(made_odds), 1e-3, 0.5)
    return np.minimum(share / np.maximum(odds, 1e-12), 1.0)


def _in_words(nodes: Nodes, pairs: Ints, signs: LinkFeatures) -> Iterator[str]:
    """Say of each link what speaks against it."""
    for row, (left, right) in enumerate(pairs.tolist()):
        one, other = nodes.label(left), nodes.label(right)
        found = []
        if signs.rival_links[row]:
            found.append("one of its ends has another link to the same graph")
        if signs.contradicting[row]:
            graphs = "another graph" if signs.contradicting[row] == 1 else "other graphs"
            found.append(f"{graphs} would have two entities made one by it")
        if signs.rival_support[row] > signs.support[row]:
            rival = int(signs.rival[row])
            end = other if nodes.source_of[rival] == nodes.source_of[left] else one
            found.append(f"{end} has more in common with {nodes.label(rival)}")
        if signs.checkable[row] and not signs.shared[row]:
            facts = int(signs.checkable[row])
            found.append(f"they share no fact, and could share {facts}")
        if signs.kind[row] < 0:
            found.append(
                "what is said of one is seldom said of what is linked to such as the other"
            )
        if not found:
            found.append("nothing in particular")
        yield " ".join(f"{one} and {other}: {'; '.join(found)}".split())
