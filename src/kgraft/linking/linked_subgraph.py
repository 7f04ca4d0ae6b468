"""Linked subgraph: a target's facts and the background facts near its links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples, no_triples
from kgraft.graph.vocabulary import Rows, Vocabulary
from kgraft.linking.joint_graph import JointGraph, positions_of
from kgraft.linking.links import LinkKind, Links
from kgraft.linking.matched_relations import MatchedRelations, match_relations
from kgraft.settings import MatchingSettings
from kgraft.system.arrays import pieces_of, take_rows

KINDS: tuple[LinkKind, ...] = ("entity", "relation")

SubgraphMode = Literal["induced", "incident", "k_hop"]
"""``induced``: background facts with both ends linked; ``incident``: with at least one;
``k_hop``: with an end at most ``hops - 1`` facts away from a linked entity."""


@dataclass(frozen=True, eq=False)
class LinkedSubgraph:
    """Facts that a student learns from.

    Args:
        graph: The target and the chosen background facts in one id space; the target's entities
            keep their rows, so target entity ``i`` is row ``i``.
        target: The target's name.
        teacher_entities: For each entity row its row in the teacher, or -1, int64 ``(n,)``.
        teacher_relations: For each relation row its row in the teacher, or -1, int64 ``(m,)``; the
            number of the teacher's relations more where it is the inverse of that.
    """

    graph: JointGraph
    target: str
    teacher_entities: Rows
    teacher_relations: Rows

    @property
    def n_target_entities(self) -> int:
        """Number of the target's entities, which are the first rows."""
        return len(self.graph.parts[self.target].entities)

    def limit_teacher(self, n_entities: int) -> LinkedSubgraph:
        """Return the subgraph for a teacher with vectors of its first ``n_entities`` rows only."""
        rows = self.teacher_entities
        return replace(self, teacher_entities=np.where(rows < n_entities, rows, -1))

    @property
    def linked(self) -> NDArray[np.bool_]:
        """Mask of the target's entities that the teacher knows, bool ``(n_target_entities,)``."""
        known: NDArray[np.bool_] = self.teacher_entities[: self.n_target_entities] >= 0
        return known

    def with_graph(self, graph: JointGraph) -> LinkedSubgraph:
        """Return the subgraph with more rows behind its own, which the teacher does not know."""
        sizes = graph.n_entities, graph.n_relations
        rows = [self.teacher_entities, self.teacher_relations]
        longer = [
            np.append(x, np.full(size - len(x), -1)) for x, size in zip(rows, sizes, strict=True)
        ]
        return LinkedSubgraph(graph, self.target, *longer)

    def linked_share(self, facts: Triples) -> float:
        """Return the share of the ends of the target's facts that are linked; 1 without facts."""
        return float(self.linked[facts[:, [0, 2]]].mean()) if len(facts) else 1.0


def connect(
    target: KnowledgeGraph,
    links: Sequence[Links],
    background: JointGraph,
    *,
    mode: SubgraphMode = "induced",
    hops: int = 2,
    budget: int | None = None,
    seed: int = 0,
    relations: MatchingSettings | None = None,
) -> LinkedSubgraph:
    """Cut the subgraph that links join to the target out of a teacher's joint graph.

    Its size depends on the target, its links and, but for ``induced``, the facts about linked
    entities, not on the rest of the background. Conflicts among the target's links are resolved as
    in ``join``. Where links make two rows of the teacher one entity, the row with the highest sum
    of confidences teaches.

    Args:
        target: The graph that the student is for.
        links: Links between the target and sources of the background, in the rows of the
            background's parts; other links are ignored.
        background: The teacher's joint graph.
        mode: Choice of background facts.
        hops: Distance for ``k_hop``; 1 is the same as ``incident``.
        budget: Most background facts, the nearest first, the last hop sampled; all by default.
        seed: Seed of the sample.
        relations: How to find relations of the target that correspond to those of the background,
            by ``match_relations``; by default only those of one name, and linked ones, do.

    Raises:
        ValueError: If ``hops`` is below 1, ``budget`` below 0, or the target is itself a source of
            the background.
    """
    if hops < 1 or (budget is not None and budget < 0):
        raise ValueError(f"hops starts at 1 and budget at 0, not {hops} and {budget}")
    if target.name in background.parts:
        raise ValueError(f"the background already holds the target {target.name!r}")
    target_links = [
        x if x.left == target.name else x.reversed() for x in links if x.joins(target.name)
    ]
    target_links = [x for x in target_links if x.right in background.parts]
    linked = _linked_rows(target_links, background)
    distance = _distance(background, linked, {"induced": 0, "incident": 1, "k_hop": hops}[mode])
    facts = _nearest(distance, budget, seed)
    matching = relations or MatchingSettings(use=False)
    return _assemble(target, target_links, background, linked, facts, matching)


def _linked_rows(target_links: Sequence[Links], background: JointGraph) -> NDArray[np.bool_]:
    """Mask the entity rows of the background that the target is linked to."""
    linked = np.zeros(background.n_entities, dtype=np.bool_)
    for x in target_links:
        if x.kind == "entity":
            linked[background.parts[x.right].entity_rows[x.pairs[:, 1]]] = True
    return linked


def _distance(background: JointGraph, linked: NDArray[np.bool_], limit: int) -> NDArray[np.int16]:
    """Return the background facts' distances in hops, -1 beyond the limit.

    0: both ends are linked; 1: one is; ``n``: an end is an end of a fact at distance ``n - 1``.
    """
    distance = np.full(len(background.triples), -1, dtype=np.int16)
    reached = linked.copy()
    for hop in range(limit + 1):
        within, begin = reached.copy(), 0
        for piece in pieces_of(background.triples):
            ends = piece[:, [0, 2]]
            own = distance[begin : begin + len(piece)]
            begin += len(piece)
            is_near = within[ends].any(axis=1) if hop else within[ends].all(axis=1)
            new = is_near & (own < 0)
            own[new] = hop
            reached[ends[new]] = True
    return distance


def _nearest(distance: NDArray[np.int16], budget: int | None, seed: int) -> NDArray[np.int64]:
    """Return the positions, in order, of at most ``budget`` facts, the nearest first."""
    facts = np.flatnonzero(distance >= 0)
    if budget is None or len(facts) <= budget:
        return facts
    shuffled = np.random.default_rng(seed).permutation(facts)
    nearest_first = shuffled[np.argsort(distance[shuffled], kind="stable")]
    return np.sort(nearest_first[:budget])


@dataclass(frozen=True, eq=False)
class _Cut:
    """The chosen part of one source as a graph, and its entities' and relations' rows there."""

    graph: KnowledgeGraph
    entities: Rows
    relations: Rows


def _cut(
    background: JointGraph,
    source: str,
    entities: NDArray[np.bool_],
    relations: NDArray[np.bool_],
    positions: NDArray[np.int64],
    facts: Triples,
) -> _Cut:
    """Cut one source down to the chosen joint rows and the chosen facts that it states.

    Args:
        background: All sources.
        source: The one.
        entities: Mask of the chosen entities.
        relations: Mask of the chosen relations.
        positions: Positions of the facts in the background.
        facts: The facts, in joint rows.
    """
    part = background.parts[source]
    own_entities = np.flatnonzero(entities[part.entity_rows])
    own_relations = np.flatnonzero(relations[part.relation_rows])
    entity_of = positions_of(part.entity_rows[own_entities], background.n_entities)
    relation_of = positions_of(part.relation_rows[own_relations], background.n_relations)
    # A source of a target's values does not have the target's entities.
    is_own = (entity_of[facts[:, [0, 2]]] >= 0).all(axis=1)
    chosen, false = (
        np.stack([entity_of[x[:, 0]], relation_of[x[:, 1]], entity_of[x[:, 2]]], axis=1)
        for x in (facts[is_own], background.known_false.get(source, no_triples()))
    )
    given = background.confidence
    graph = KnowledgeGraph(
        source,
        Vocabulary(part.entities.gather(own_entities)),
        Vocabulary(part.relations.gather(own_relations)),
        chosen,
        labels=None if part.labels is None else part.labels.gather(own_entities),
        known_false=false[(false >= 0).all(axis=1)],
        confidence={} if given is None else {"train": given[positions[is_own]]},
        license=part.license,
    )
    return _Cut(graph, own_entities, own_relations)


def _assemble(
    target: KnowledgeGraph,
    target_links: Sequence[Links],
    background: JointGraph,
    linked: NDArray[np.bool_],
    facts: NDArray[np.int64],
    matching: MatchingSettings,
) -> LinkedSubgraph:
    """Join the target with the chosen parts of the sources."""
    entities, chosen = linked.copy(), take_rows(background.triples, facts)
    entities[chosen[:, [0, 2]]] = True
    relations = _shared_relations(target, target_links, background)
    relations[chosen[:, 1]] = True
    stated_by = background.triple_sources[facts]
    cuts = {}
    for place, source in enumerate(background.sources):
        stated = stated_by == place
        cuts[source] = _cut(background, source, entities, relations, facts[stated], chosen[stated])
    certain = [x for kind in KINDS for x in _already_one(background, cuts, kind)]
    matched = match_relations(
        [target, *(cut.graph for cut in cuts.values())],
        [_moved(x, cuts[x.right]) for x in target_links],
        matching,
        certain=certain,
    )
    graph = matched.join(certain=certain)
    return LinkedSubgraph(
        graph,
        target.name,
        _teacher_rows(graph, background, cuts, matched, "entity"),
        _teacher_rows(graph, background, cuts, matched, "relation"),
    )


def _shared_relations(
    target: KnowledgeGraph, target_links: Sequence[Links], background: JointGraph
) -> NDArray[np.bool_]:
    """Mask the relation rows of the background that the target has by name or by a link."""
    shared = np.zeros(background.n_relations, dtype=np.bool_)
    for part in background.parts.values():
        known = part.relations.rows(target.relations.names)
        shared[part.relation_rows[known[known >= 0]]] = True
    for x in target_links:
        if x.kind == "relation":
            shared[background.parts[x.right].relation_rows[x.pairs[:, 1]]] = True
    return shared


def _moved(links: Links, cut: _Cut) -> Links:
    """Return links with their right ends in the cut's rows."""
    kept = cut.entities if links.kind == "entity" else cut.relations
    pairs = np.stack([links.pairs[:, 0], np.searchsorted(kept, links.pairs[:, 1])], axis=1)
    return replace(links, pairs=pairs)


def _already_one(background: JointGraph, cuts: Mapping[str, _Cut], kind: LinkKind) -> list[Links]:
    """Link each cut's rows to the first one that shares their joint row."""
    n_rows = background.n_entities if kind == "entity" else background.n_relations
    owner = np.full(n_rows, -1, dtype=np.int64)
    place = np.zeros(n_rows, dtype=np.int64)
    links = []
    sources = list(cuts)
    for position, source in enumerate(sources):
        rows = _joint_rows(background, source, cuts[source], kind)
        for first in np.unique(owner[rows][owner[rows] >= 0]):
            here = np.flatnonzero(owner[rows] == first)
            pairs = np.stack([place[rows[here]], here], axis=1)
            sure = np.ones(len(pairs), dtype=np.float32)
            links.append(Links(sources[first], source, pairs, sure, kind))
        new = np.flatnonzero(owner[rows] < 0)
        owner[rows[new]] = position
        place[rows[new]] = new
    return links


def _joint_rows(background: JointGraph, source: str, cut: _Cut, kind: LinkKind) -> Rows:
    part = background.parts[source]
    if kind == "entity":
        return part.entity_rows[cut.entities]
    return part.relation_rows[cut.relations]


def _teacher_rows(
    graph: JointGraph,
    background: JointGraph,
    cuts: Mapping[str, _Cut],
    matched: MatchedRelations,
    kind: LinkKind,
) -> Rows:
    """Return for each row the teacher's row with the highest sum of link confidences, or -1."""
    n_rows = graph.n_entities if kind == "entity" else graph.n_relations
    candidates = []
    for source, cut in cuts.items():
        part = graph.parts[source]
        rows = part.entity_rows if kind == "entity" else part.relation_rows
        teacher = _joint_rows(background, source, cut, kind)
        if kind == "relation" and source in matched.origins:
            turned, origin = np.divmod(matched.origins[source], len(cut.relations))
            restated = teacher[origin] + turned * background.n_relations
            teacher = np.concatenate([teacher, restated])
        confidence = np.zeros(len(rows))
        for x in matched.links:
            if x.right == source and x.left == graph.sources[0] and x.kind == kind:
                np.add.at(confidence, x.pairs[:, 1], x.confidence)
        candidates.append(pl.DataFrame({"row": rows, "teacher": teacher, "confidence": confidence}))
    supported = pl.concat(candidates).group_by("row", "teacher").agg(pl.col("confidence").sum())
    best = supported.sort("confidence", "teacher", descending=[True, False]).unique(
        "row", keep="first", maintain_order=True
    )
    found = np.full(n_rows, -1, dtype=np.int64)
    found[best["row"].to_numpy()] = best["teacher"].to_numpy()
    return found
