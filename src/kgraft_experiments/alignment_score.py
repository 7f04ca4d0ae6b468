"""Evaluation of found links on links that were held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np

from kgraft.alignment.align import Alignment, align
from kgraft.alignment.candidates import rank_in_group
from kgraft.alignment.nodes import Ints
from kgraft.alignment.settings import AlignSettings
from kgraft.errors import DataError
from kgraft.graph.grouped_index import GroupedIndex
from kgraft.linking.collection import Collection
from kgraft.linking.links import Links
from kgraft.system.progress import Listener

HITS = (1, 5, 10)


@dataclass(frozen=True)
class PairScore:
    """Evaluation of the links found between two graphs.

    Args:
        left: One graph.
        right: The other.
        seeds: Given links.
        held_out: Held-out links.
        accepted: Found links, without those that follow from the given ones.
        correct: Accepted links that all given and held-out links together imply.
        judged: Accepted links with an end whose partner in the other graph is known.
        dangling: Entities without a known partner.
        dangling_unlinked: Share of them that stayed without one.
        recall: Share of held-out links that were found, or follow from the given ones.
        hits: Share of held-out ends whose true partner is among the best 1, 5, 10, over both
            directions; an accepted partner is the best.
        mrr: Mean reciprocal rank of the true partner, 0 where it is no candidate.
    """

    left: str
    right: str
    seeds: int
    held_out: int
    accepted: int
    correct: int
    judged: int
    dangling: int
    dangling_unlinked: float
    recall: float
    hits: dict[int, float]
    mrr: float

    @property
    def precision(self) -> float:
        """Share of correct links among the judged ones, 1 without any.

        Where known links are incomplete, as they mostly are, one between two entities without
        known partners cannot be judged.
        """
        return self.correct / self.judged if self.judged else 1.0

    @property
    def precision_of_all(self) -> float:
        """Share of correct links among all accepted ones, 1 without any."""
        return self.correct / self.accepted if self.accepted else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        plain = {key: value for key, value in asdict(self).items() if key != "hits"}
        hits = {f"hits@{k}": round(self.hits[k], 4) for k in HITS}
        ratios = {
            "precision": self.precision,
            "precision_of_all": self.precision_of_all,
            "recall": self.recall,
            "f1": self.f1,
            "mrr": self.mrr,
            "dangling_unlinked": self.dangling_unlinked,
        }
        return {**plain, **{key: round(value, 4) for key, value in ratios.items()}, **hits}


@dataclass(frozen=True)
class AlignmentScore:
    """Evaluation of the links found in a collection.

    Args:
        pairs: For each two graphs with held-out links.
    """

    pairs: tuple[PairScore, ...]

    def mean(self) -> dict[str, float]:
        """Return the means over pairs of graphs of every share, as fractions."""
        rows = [pair.as_dict() for pair in self.pairs]
        named = [key for key, value in rows[0].items() if isinstance(value, float)]
        return {key: round(fmean(row[key] for row in rows), 4) for key in named}

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each two graphs, and the mean, for tables and JSON."""
        mean = {"left": "mean", "right": "", **self.mean()}
        return [*(pair.as_dict() for pair in self.pairs), mean]


def evaluate_alignment(
    collection: Collection,
    settings: AlignSettings | None = None,
    *,
    share: float = 0.3,
    seed: int = 0,
    listener: Listener | None = None,
) -> AlignmentScore:
    """Hold out links of a collection, and evaluate how ``align`` finds them.

    Links that follow from given ones through other graphs count as found, since graphs are matched
    together. To measure without names, set ``labels.use`` to false.

    Args:
        collection: Graphs and links, taken as correct.
        settings: By default ``AlignSettings()``.
        share: Share of each two graphs' links that are given; the others are held out.
        seed: Seed of the choice.
        listener: Receives the number of rounds done; by default a bar or log lines.

    Raises:
        DataError: If no link is held out.
    """
    seeds, held_out = split_links(collection.links, share, seed=seed)
    if not any(len(x) for x in held_out):
        raise DataError(
            f"no entity link of {collection.name} is held out",
            remedy="Give links to measure by, and a share of them below 1",
        )
    found = align(replace(collection, links=seeds), settings, listener=listener)
    return score(found, collection.links, seeds, held_out)


def split_links(
    links: Sequence[Links], share: float, *, seed: int
) -> tuple[tuple[Links, ...], tuple[Links, ...]]:
    """Split a share of each two graphs' entity links, and all relation links, from the rest."""
    given: list[Links] = []
    held_out: list[Links] = []
    for place, x in enumerate(links):
        if x.kind == "relation":
            given.append(x)
            continue
        order = np.random.default_rng([seed, place]).permutation(len(x))
        n_given = round(share * len(x))
        for part, rows in ((given, order[:n_given]), (held_out, order[n_given:])):
            kept = np.sort(rows)
            part.append(replace(x, pairs=x.pairs[kept], confidence=x.confidence[kept]))
    return tuple(given), tuple(held_out)


def score(
    found: Alignment, truth: Sequence[Links], seeds: Sequence[Links], held_out: Sequence[Links]
) -> AlignmentScore:
    """Evaluate an alignment from ``seeds`` by all links and by those that were held out."""
    partners = _Partners(found, truth, seeds)
    return AlignmentScore(tuple(partners.score(x, seeds) for x in held_out if len(x)))


class _Partners:
    """Each node's true, given and found partner in each graph."""

    def __init__(self, found: Alignment, truth: Sequence[Links], seeds: Sequence[Links]) -> None:
        nodes = found.nodes
        self._found = found
        self._true, self._given, self._linked = (
            nodes.members(clusters)[clusters]
            for clusters in (nodes.clusters(truth), nodes.clusters(seeds), found.clusters)
        )

    def score(self, held_out: Links, seeds: Sequence[Links]) -> PairScore:
        nodes = self._found.nodes
        left, right = nodes.graph_index(held_out.left), nodes.graph_index(held_out.right)
        ours = np.arange(nodes.first[left], nodes.first[left + 1])
        theirs = np.arange(nodes.first[right], nodes.first[right + 1])
        linked, true = self._linked[ours, right], self._true[ours, right]
        new = (linked >= 0) & (self._given[ours, right] < 0)
        known = (true >= 0) | (self._true[linked, left] >= 0)
        others = self._linked[theirs, left][self._true[theirs, left] < 0]
        dangling = np.append(linked[true < 0], others)
        (one, other), given = nodes.pairs([held_out])[0].T, nodes.pairs(seeds)[0]
        ranks = np.append(self._ranks(one, other, right), self._ranks(other, one, left))
        ends = np.sort(nodes.source_of[given], axis=1)
        return PairScore(
            held_out.left,
            held_out.right,
            int((ends == sorted((left, right))).all(axis=1).sum()),
            len(held_out),
            int(new.sum()),
            int((new & (linked == true)).sum()),
            int((new & known).sum()),
            len(dangling),
            float((dangling < 0).mean()) if len(dangling) else 1.0,
            float((self._linked[one, right] == other).mean()),
            {k: float((ranks <= k).mean()) for k in HITS},
            float((1 / ranks).mean()),
        )

    def _ranks(self, asked: Ints, answers: Ints, place: int) -> np.ndarray:
        """Return the rank of each answer among candidates in one graph, inf if it is none."""
        clusters, open_pairs = self._found.clusters, self._found.unmatched
        members = self._found.nodes.members(clusters)
        usable = members[open_pairs.right, place] >= 0
        left, right = open_pairs.left[usable], members[open_pairs.right[usable], place]
        rank = rank_in_group(left) + 1
        found = np.full(len(asked), np.inf)
        position, row = GroupedIndex.of(left, right).rows(clusters[asked], answers)
        found[position] = rank[row]
        linked = self._linked[asked, place]
        return np.where(linked == answers, 1.0, np.where(linked >= 0, found + 1, found))
