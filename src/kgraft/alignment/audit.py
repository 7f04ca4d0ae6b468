"""Find probably wrong links, and explain them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from kgraft.alignment.labels import names_of
from kgraft.alignment.link_features import FeatureExtractor, LinkFeatures
from kgraft.alignment.nodes import Floats, Ints, Nodes
from kgraft.alignment.settings import AlignSettings
from kgraft.errors import DataError, counted
from kgraft.linking.collection import Collection
from kgraft.linking.links import Links
from kgraft.linking.logistic_regression import fit_logistic_regression
from kgraft.linking.merge import merge
from kgraft.system.forks import require_threads
from kgraft.system.progress import Listener, default_listener

ROUNDS = 3
"""Times that links are scored; each time those that seem wrong are left out of the evidence."""

NEGATIVES = 2
"""Wrong pairs made of each link. Taking any entity of the graph for the wrong end of half of them
found fewer wrong links, even of that kind."""

MIN_CONFIDENCE = 1e-4
"""Lowest confidence of a link."""


@dataclass(frozen=True, eq=False)
class AuditedLinks:
    """Links between two graphs with their error probabilities.

    Args:
        links: The links.
        error_probability: The probability that each is wrong, float64 ``(n,)``.
        why: The evidence against each, in words, ``(n,)``.
    """

    links: Links
    error_probability: Floats
    why: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Audit:
    """Result of ``audit``.

    Args:
        audited: The entity links between each two graphs.
        threshold: Error probability from which a link is left out of the cleaned links.
    """

    audited: tuple[AuditedLinks, ...]
    threshold: float

    def __repr__(self) -> str:
        links = sum(len(x.links) for x in self.audited)
        return f"<Audit of {counted(links, 'link')}: {len(self.doubtful()):,} doubtful>"

    def doubtful(self) -> list[tuple[float, Links, int, str]]:
        """Return error probability, links, row and reason of links to leave out, worst first."""
        found = [
            (float(x.error_probability[row]), x.links, int(row), x.why[row])
            for x in self.audited
            for row in np.flatnonzero(x.error_probability >= self.threshold)
        ]
        return sorted(found, key=lambda one: -one[0])

    def cleaned(self) -> tuple[Links, ...]:
        """Return the other links, confidences multiplied by the probability to be right."""
        left = []
        for x in self.audited:
            kept = x.error_probability < self.threshold
            confidence = x.links.confidence[kept] * (1 - x.error_probability[kept])
            confidence = np.maximum(confidence, MIN_CONFIDENCE)
            left.append(
                replace(
                    x.links, pairs=x.links.pairs[kept], confidence=confidence.astype(np.float32)
                )
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
    """Estimate the error probability of each entity link of a collection.

    A classifier learns to tell the links from wrong ones, which are made by exchanging the right
    ends of two links. Its features are in ``kgraft.alignment.link_features``: agreement with other
    graphs, further links of either end, shared facts, better partners, relations and names.

    Args:
        collection: Graphs and links.
        settings: Weights of the evidence; by default ``AlignSettings()``.
        threshold: Error probability from which a link is left out of the cleaned links.
        seed: Seed of the wrong links.
        listener: Receives the number of rounds done; by default a bar or log lines.

    Raises:
        DataError: If there are no entity links, or only one graph.
        KgraftError: If names are to be compared and the libraries for that are not installed.
    """
    require_threads()
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
    made = np.concatenate([_exchanged(nodes, pairs, draw) for _ in range(NEGATIVES)])
    wrong = np.zeros(len(pairs))
    listener.begin("audit", ROUNDS)
    for _ in range(ROUNDS):
        kept = np.flatnonzero(wrong < threshold)
        sure = confidence[kept] * (1 - wrong[kept])
        clusters = merge(len(nodes), nodes.source_of, pairs[kept], sure).clusters
        extractor = FeatureExtractor(nodes, pairs, kept, clusters, names, settings)
        features = extractor.of(pairs, real=True)
        wrong = _error_probabilities(features, extractor.of(made, real=False))
        listener.advance(1)
    listener.end()
    why = list(_in_words(nodes, pairs, features))
    ends = np.cumsum([0, *(len(x) for x in own)])
    return Audit(
        tuple(
            AuditedLinks(x, wrong[first:last], tuple(why[first:last]))
            for x, first, last in zip(own, ends[:-1], ends[1:], strict=True)
        ),
        threshold,
    )


def _exchanged(nodes: Nodes, pairs: Ints, draw: np.random.Generator) -> Ints:
    """Return each link's left end with the right end of another link."""
    kind = nodes.source_of[pairs[:, 0]] * len(nodes.graphs) + nodes.source_of[pairs[:, 1]]
    swapped = pairs.copy()
    for one in np.unique(kind):
        rows = draw.permutation(np.flatnonzero(kind == one))
        swapped[rows, 1] = np.roll(pairs[rows, 1], 1)
    return swapped


def _error_probabilities(real: LinkFeatures, wrong: LinkFeatures) -> Floats:
    """Return the error probability of each real link.

    A regression tells real links from made ones, as odds ``q``. If a share ``w`` of the real ones
    is wrong and looks as the made ones do, these have the odds ``w``, and a link is wrong with the
    probability ``w / q`` (Elkan and Noto, KDD 2008, on positive and unlabeled examples, with the
    roles exchanged).
    """
    features, made = real.matrix(), wrong.matrix()
    weight = len(made) / len(features)
    fitted = fit_logistic_regression(
        np.concatenate([features, made]),
        np.concatenate([np.ones(len(features)), np.zeros(len(made))]),
    )
    odds, made_odds = (
        weight * probability / np.maximum(1 - probability, 1e-12)
        for probability in (fitted.probabilities(features), fitted.probabilities(made))
    )
    share = np.clip(np.median(made_odds), 1e-3, 0.5)
    return np.minimum(share / np.maximum(odds, 1e-12), 1.0)


def _in_words(nodes: Nodes, pairs: Ints, features: LinkFeatures) -> Iterator[str]:
    """Yield the evidence against each link."""
    for row, (left, right) in enumerate(pairs.tolist()):
        one, other = nodes.label(left), nodes.label(right)
        found = []
        if features.rival_links[row]:
            found.append("one of its ends has another link to the same graph")
        if features.contradicting[row]:
            graphs = "another graph" if features.contradicting[row] == 1 else "other graphs"
            found.append(f"{graphs} would have two entities made one by it")
        if features.rival_support[row] > features.support[row]:
            rival = int(features.rival[row])
            end = other if nodes.source_of[rival] == nodes.source_of[left] else one
            found.append(f"{end} has more in common with {nodes.label(rival)}")
        if features.checkable[row] and not features.shared[row]:
            facts = int(features.checkable[row])
            found.append(f"they share no fact, and could share {facts}")
        if features.kind[row] < 0:
            found.append(
                "the relations of one are seldom found with those of the other at linked entities"
            )
        if not found:
            found.append("nothing in particular")
        yield " ".join(f"{one} and {other}: {'; '.join(found)}".split())
