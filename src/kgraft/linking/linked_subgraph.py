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
from kgraft.system.arrays import over_pieces, positions_where, take_rows, whole_positions

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
    near = _near_facts(background, linked, {"induced": 0, "incident": 1, "k_hop": hops}[mode])
    facts = _nearest(near, budget, seed)
    matching = relations or MatchingSettings(use=False)
    return _assemble(target, target_links, background, linked, facts, matching)


def _linked_rows(target_links: Sequence[Links], background: JointGraph) -> NDArray[np.bool_]:
    """Mask the entity rows of the background that the target is linked to."""
    linked = np.zeros(background.n_entities, dtype=np.bool_)
    for x in target_links:
        if x.kind == "entity":
            ends = np.unique(x.pairs[:, 1])
            linked[take_rows(background.parts[x.right].entity_rows, ends)] = True
    return linked


def _near_facts(
    background: JointGraph, linked: NDArray[np.bool_], limit: int
) -> list[NDArray[np.int64]]:
    """Return the positions, in order, of the background facts at each distance up to the limit.

    0: both ends are linked; 1: one is; ``n``: an end is an end of a fact at distance ``n - 1``.
    """
    both, one = _by_linked_ends(background.triples, linked)
    found = [both, one][: limit + 1]
    before, within = linked, linked
    for _ in range(1, limit):
        before, within = within, within.copy()
        within[take_rows(background.triples, found[-1])[:, [0, 2]]] = True
        found.append(_newly_reached(background.triples, before, within))
    return found


def _by_linked_ends(
    facts: Triples, linked: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the positions of facts with two linked ends, and of those with one."""

    def linked_ends(piece: Triples) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        head, tail = linked[piece[:, 0]], linked[piece[:, 2]]
        return np.flatnonzero(head & tail), np.flatnonzero(head ^ tail)

    both, one = zip(*over_pieces(linked_ends, facts), strict=True) if len(facts) else ((), ())
    return whole_positions(both), whole_positions(one)


def _newly_reached(
    facts: Triples, before: NDArray[np.bool_], within: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return the positions of facts with an end in ``within``, and none in ``before``."""

    def is_new(piece: Triples) -> NDArray[np.bool_]:
        heads, _, tails = piece.T
        found: NDArray[np.bool_] = within[heads] | within[tails]
        found &= ~(before[heads] | before[tails])
        return found

    return positions_where(is_new, facts)


def _nearest(near: Sequence[NDArray[np.int64]], budget: int | None, seed: int) -> NDArray[np.int64]:
    """Return the positions, in order, of at most ``budget`` facts, the nearest first."""
    distance = np.repeat(np.arange(len(near)), [len(x) for x in near])
    facts = np.concatenate(near)
    order = np.argsort(facts)
    if budget is None or len(facts) <= budget:
        return facts[order]
    shuffled = np.random.default_rng(seed).permutation(order)
    nearest_first = shuffled[np.argsort(distance[shuffled], kind="stable")]
    return np.sort(facts[nearest_first[:budget]])


@dataclass(frozen=True, eq=False)
class _Cut:
    """The chosen part of one source as a graph.

    Args:
        graph: The part.
        entities: The row in the source of each of its entities, in order, ``(n,)``.
        relations: The row of each of its relations, ``(m,)``.
        joint_entities: Their rows in the background, ``(n,)``.
        joint_relations: Likewise of the relations, ``(m,)``.
    """

    graph: KnowledgeGraph
    entities: Rows
    relations: Rows
    joint_entities: Rows
    joint_relations: Rows

    def rows(self, kind: LinkKind) -> tuple[Rows, Rows]:
        """Return the rows in the source and in the background of one kind."""
        if kind == "entity":
            return self.entities, self.joint_entities
        return self.relations, self.joint_relations


@dataclass(frozen=True, eq=False)
class _Kept:
    """The chosen rows of the background: masks, and the rows in order."""

    entities: NDArray[np.bool_]
    relations: NDArray[np.bool_]
    entity_rows: Rows
    relation_rows: Rows

    def renumbered(self, facts: Triples) -> Triples:
        """Return facts of chosen rows in positions among these."""
        heads, relations, tails = facts.T
        columns = (
            np.searchsorted(self.entity_rows, heads),
            np.searchsorted(self.relation_rows, relations),
            np.searchsorted(self.entity_rows, tails),
        )
        return np.stack(columns, axis=1)

    def among(self, facts: Triples) -> Triples:
        """Return the facts that have chosen rows alone."""
        is_kept = self.entities[facts[:, [0, 2]]].all(axis=1) & self.relations[facts[:, 1]]
        return facts[is_kept]


def _cut(
    background: JointGraph,
    source: str,
    kept: _Kept,
    positions: NDArray[np.int64],
    facts: Triples,
) -> _Cut:
    """Cut one source down to the chosen rows and the chosen facts that it states.

    Args:
        background: All sources.
        source: The one.
        kept: The chosen rows.
        positions: Positions of the facts in the background.
        facts: The facts, in joint rows.
    """
    part = background.parts[source]
    entities = positions_where(lambda rows: kept.entities[rows], part.entity_rows)
    relations = np.flatnonzero(kept.relations[part.relation_rows])
    joint_entities = take_rows(part.entity_rows, entities)
    joint_relations = part.relation_rows[relations]
    entity_of = positions_of(
        np.searchsorted(kept.entity_rows, joint_entities), len(kept.entity_rows)
    )
    relation_of = positions_of(
        np.searchsorted(kept.relation_rows, joint_relations), len(kept.relation_rows)
    )

    def own(facts: Triples) -> Triples:
        heads, relations, tails = kept.renumbered(facts).T
        return np.stack([entity_of[heads], relation_of[relations], entity_of[tails]], axis=1)

    chosen = own(facts)
    # A source of a target's values does not have the target's entities.
    is_own = (chosen[:, [0, 2]] >= 0).all(axis=1)
    false = own(kept.among(background.known_false.get(source, no_triples())))
    given = background.confidence
    graph = KnowledgeGraph(
        source,
        Vocabulary(part.entities.gather(entities)),
        Vocabulary(part.relations.gather(relations)),
        chosen[is_own],
        labels=None if part.labels is None else part.labels.gather(entities),
        known_false=false[(false >= 0).all(axis=1)],
        confidence={} if given is None else {"train": given[positions[is_own]]},
        license=part.license,
    )
    return _Cut(graph, entities, relations, joint_entities, joint_relations)


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
    kept = _Kept(entities, relations, np.flatnonzero(entities), np.flatnonzero(relations))
    stated_by = take_rows(background.triple_sources, facts)
    cuts = {}
    for place, source in enumerate(background.sources):
        stated = stated_by == place
        cuts[source] = _cut(background, source, kept, facts[stated], chosen[stated])
    certain = [x for kind in KINDS for x in _already_one(cuts, kind)]
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
    kept, _ = cut.rows(links.kind)
    pairs = np.stack([links.pairs[:, 0], np.searchsorted(kept, links.pairs[:, 1])], axis=1)
    return replace(links, pairs=pairs)


def _already_one(cuts: Mapping[str, _Cut], kind: LinkKind) -> list[Links]:
    """Link each cut's rows to the first one that shares their joint row."""
    sources, joint = list(cuts), [cut.rows(kind)[1] for cut in cuts.values()]
    distinct, number = np.unique(np.concatenate(joint), return_inverse=True)
    owner = np.full(len(distinct), -1, dtype=np.int64)
    place = np.zeros(len(distinct), dtype=np.int64)
    links = []
    ends = np.cumsum([len(x) for x in joint])[:-1]
    for position, rows in enumerate(np.split(number, ends)):
        for first in np.unique(owner[rows][owner[rows] >= 0]):
            here = np.flatnonzero(owner[rows] == first)
            pairs = np.stack([place[rows[here]], here], axis=1)
            sure = np.ones(len(pairs), dtype=np.float32)
            links.append(Links(sources[first], sources[position], pairs, sure, kind))
        new = np.flatnonzero(owner[rows] < 0)
        owner[rows[new]] = position
        place[rows[new]] = new
    return links


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
        _, teacher = cut.rows(kind)
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
