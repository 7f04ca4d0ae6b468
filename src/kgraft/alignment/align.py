"""Match the entities of all graphs of a collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from kgraft.alignment.candidates import Candidates, Evidence, candidates, merged
from kgraft.alignment.labels import Names, names_of
from kgraft.alignment.nodes import Floats, Ints, Nodes, first_members
from kgraft.alignment.reasons import reasons
from kgraft.alignment.settings import AlignSettings
from kgraft.alignment.structure import Neighbours, neighbours
from kgraft.alignment.vectors import add_vector_neighbours
from kgraft.errors import counted
from kgraft.linking.collection import Collection
from kgraft.linking.links import Links
from kgraft.linking.relation_matching import (
    Correspondence,
    correspondences,
    named,
    same_relation_links,
    same_relations,
    unified,
)
from kgraft.system.forks import require_threads
from kgraft.system.progress import Listener, default_listener
from kgraft.system.tables import html_table
from kgraft.system.terminal import visible

GIVEN_REASON = "it follows from the links that were given"


@dataclass(frozen=True, eq=False)
class Proposed:
    """Found links between two graphs.

    Args:
        links: The links.
        evidence: The evidence for each in words, ``(n,)``.
    """

    links: Links
    evidence: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Alignment:
    """Result of ``align``.

    Args:
        nodes: The entities of all graphs.
        clusters: The cluster of each entity, int64 ``(n,)``.
        proposed: Found links that were not given, for each two graphs that have any.
        relations: Corresponding relations.
        unmatched: Pairs of clusters that were not joined, with their evidence.
    """

    nodes: Nodes
    clusters: Ints
    proposed: tuple[Proposed, ...]
    relations: tuple[Correspondence, ...]
    unmatched: Candidates

    def __repr__(self) -> str:
        return visible(
            f"<Alignment of {', '.join(graph.name for graph in self.nodes.graphs)}: "
            f"{counted(sum(len(x.links) for x in self.proposed), 'link')} of entities proposed, "
            f"{counted(len(self.relations), 'correspondence')} of relations>"
        )

    def _repr_html_(self) -> str:
        return html_table(self.to_frame(), repr(self))

    def to_frame(self) -> pl.DataFrame:
        """Return a row for each proposed link of entities, by name, the surest first.

        The columns are left, left_name, right, right_name, confidence and evidence; left and right
        are the graphs.
        """
        entities = {graph.name: graph.entities for graph in self.nodes.graphs}
        ends = dict.fromkeys(("left", "left_name", "right", "right_name"), pl.String)
        found = [pl.DataFrame(schema={**ends, "confidence": pl.Float32, "evidence": pl.String})]
        for x in self.proposed:
            left, right = x.links.pairs.T
            found.append(
                pl.DataFrame(
                    {
                        "left": [x.links.left] * len(left),
                        "left_name": entities[x.links.left].names.gather(left),
                        "right": [x.links.right] * len(right),
                        "right_name": entities[x.links.right].names.gather(right),
                        "confidence": x.links.confidence,
                        "evidence": list(x.evidence),
                    },
                    schema=found[0].schema,
                )
            )
        return pl.concat(found).sort("confidence", descending=True, maintain_order=True)

    def relation_links(self) -> tuple[Links, ...]:
        """Return links of relations that are the same under different names."""
        graphs = {graph.name: graph for graph in self.nodes.graphs}
        return tuple(same_relation_links(self.relations, graphs, "kgraft align"))

    def links(self) -> tuple[Links, ...]:
        """Return all found links, of entities and of relations."""
        return (*(x.links for x in self.proposed), *self.relation_links())


def align(
    collection: Collection,
    settings: AlignSettings | None = None,
    *,
    target: str | None = None,
    listener: Listener | None = None,
) -> Alignment:
    """Find links between the graphs of a collection.

    All graphs are matched together in rounds, by training facts, names and given links: the most
    probable matches first, which are then evidence for less probable ones. A cluster never holds
    two entities of one graph; an entity whose best match is not probable enough stays unlinked.

    Args:
        collection: Graphs and known links, of which none are needed where names suffice.
        settings: By default ``AlignSettings()``.
        target: A graph: only its entities and relations are matched with those of the others, which
            are not matched with each other.
        listener: Receives the number of rounds done; by default a bar or log lines.

    Raises:
        DataError: If there is only one graph.
        UnknownNameError: If there is no such target.
        KgraftError: If names are to be compared and the libraries for that are not installed.
    """
    require_threads()
    settings, listener = settings or AlignSettings(), listener or default_listener()
    nodes = Nodes.of(collection, collection.links)
    only = None if target is None else nodes.graph_index(target)
    names = names_of(nodes, settings.labels, only)
    found = _Matching(nodes, names, collection.links, settings, listener, only).run()
    for _ in range(settings.vectors.rounds):
        names_and_vectors = add_vector_neighbours(
            with_links(collection, found), nodes, found.clusters, names, settings.vectors, listener
        )
        found = _Matching(
            nodes, names_and_vectors, collection.links, settings, listener, only
        ).run()
    return found


@dataclass(frozen=True, eq=False)
class _Round:
    """Matches of one round.

    Args:
        clusters: The clusters before, ``(n,)``.
        confidence: The least confidence of the links and matches that made each cluster.
        match_of: The match of each cluster, or -1.
        probability: Of each match.
        reasons: Of each match, in words.
    """

    clusters: Ints
    confidence: Floats
    match_of: Ints
    probability: Floats
    reasons: Sequence[str]


class _Matching:
    """Clusters that grow round by round."""

    def __init__(
        self,
        nodes: Nodes,
        names: Names,
        links: Sequence[Links],
        settings: AlignSettings,
        listener: Listener,
        only: int | None = None,
    ) -> None:
        self._nodes = nodes
        self._only = only
        self._names = names
        self._links = links
        self._settings = settings
        self._listener = listener
        self._clusters = nodes.clusters(links)
        self._confidence = _least_confidence(nodes, links, self._clusters)
        self._history: list[_Round] = []

    def run(self) -> Alignment:
        accept, rounds = self._settings.accept, self._settings.structure.rounds
        self._listener.begin("align", rounds)
        for threshold in np.linspace(accept.first_threshold, accept.threshold, rounds):
            self._round(float(threshold))
            self._listener.advance(1)
        self._listener.end()
        found = self._correspondences()
        return Alignment(
            self._nodes,
            self._clusters,
            tuple(self._proposed()),
            named(self._nodes.joint, found, self._settings.relations),
            self._compare()[0],
        )

    def _correspondences(self) -> pl.DataFrame:
        found = correspondences(self._nodes.joint, self._clusters, self._settings.relations)
        if self._only is None:
            return found
        return found.filter(pl.any_horizontal(pl.col("source", "other_source") == self._only))

    def _compare(self) -> tuple[Candidates, Neighbours]:
        nodes, clusters, settings = self._nodes, self._clusters, self._settings
        found = self._correspondences()
        same = same_relations(nodes.joint, found, settings.relations)
        relations = unified(same, nodes.joint.n_relations)
        around = neighbours(nodes, clusters, relations, settings.structure)
        keys, pairs = self._names.of_clusters(clusters)
        evidence = Evidence(around.of_clusters(clusters), keys, pairs, self._names.unlike)
        members = nodes.members(clusters)
        odds = settings.accept.no_partner_odds
        return candidates(evidence, members, odds, self._only), around

    def _round(self, threshold: float) -> None:
        compared, around = self._compare()
        n_clusters = int(self._clusters.max(initial=-1)) + 1
        places = compared.matches(threshold, n_clusters)
        left, right = compared.left[places], compared.right[places]
        match_of = np.full(n_clusters, -1, dtype=np.int64)
        match_of[left] = match_of[right] = np.arange(len(places))
        why = reasons(self._nodes, self._clusters, left, right, around, self._names)
        # A match is no more certain than the clusters that it joins.
        probability = np.minimum(compared.probability[places], self._confidence[left])
        probability = np.minimum(probability, self._confidence[right])
        self._history.append(
            _Round(self._clusters, self._confidence.copy(), match_of, probability, why)
        )
        self._confidence[left] = self._confidence[right] = probability
        before, self._clusters = self._clusters, merged(self._clusters, left, right)
        self._confidence = self._confidence[before[first_members(self._clusters)]]
        self._listener.tell("1 match" if len(places) == 1 else f"{len(places):,} matches")

    def _proposed(self) -> list[Proposed]:
        """Return the pairs that were joined and not given, with their match's probability."""
        given, _ = self._nodes.pairs(self._links)
        size = len(self._nodes)
        known = given.min(axis=1) * size + given.max(axis=1)
        found = []
        for (left, right), pairs in self._nodes.joined_pairs(self._clusters).items():
            if self._only not in (None, left, right):
                continue
            names = self._nodes.graphs[left].name, self._nodes.graphs[right].name
            rows = np.stack([self._nodes.rows(column) for column in pairs.T], axis=1)
            new = ~np.isin(pairs[:, 0] * size + pairs[:, 1], known)
            if new.any():
                probability, why = self._probabilities_and_reasons(pairs[new])
                links = Links(*names, rows[new], probability, "entity", "kgraft align")
                found.append(Proposed(links, why))
        return found

    def _probabilities_and_reasons(self, pairs: Ints) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return each pair's probability, float32 ``(n,)``, and its reason."""
        apart = self._history[0].clusters[pairs]
        probability = self._history[0].confidence[apart[:, 0]].astype(np.float32)
        why = np.full(len(pairs), GIVEN_REASON, dtype=object)
        later = apart[:, 0] != apart[:, 1]
        for step in self._history:
            match = step.match_of[step.clusters[pairs]]
            here = later & (match[:, 0] >= 0) & (match[:, 0] == match[:, 1])
            probability[here] = step.probability[match[here, 0]]
            why[here] = [step.reasons[place] for place in match[here, 0]]
            later &= ~here
        return np.maximum(probability, 1e-4), tuple(why)


def _least_confidence(nodes: Nodes, links: Sequence[Links], clusters: Ints) -> Floats:
    """Return the least confidence of each cluster's links, 1 without any."""
    pairs, confidence = nodes.pairs(links)
    ends = clusters[pairs]
    followed = ends[:, 0] == ends[:, 1]
    least = np.ones(int(clusters.max(initial=-1)) + 1)
    np.minimum.at(least, ends[followed, 0], confidence[followed])
    return least


def with_links(collection: Collection, alignment: Alignment) -> Collection:
    """Return the collection with found links beside its own."""
    return replace(collection, links=(*collection.links, *alignment.links()))
