"""The linked subgraph: a target's facts and the background facts that its links make relevant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Rows, Vocabulary
from kgraft.linking.joint_graph import JointGraph, join, places_of
from kgraft.linking.links import LinkKind, Links

SubgraphMode = Literal["induced", "incident", "k_hop"]
"""``induced``: background facts with both ends linked; ``incident``: with at least one;
``k_hop``: with an end at most ``hops - 1`` facts away from a linked entity."""


@dataclass(frozen=True, eq=False)
class LinkedSubgraph:
    """What a student learns from.

    Args:
        graph: The target and the chosen background facts in one id space; the target's entities
            keep their rows, so target entity ``i`` is row ``i``.
        target: The target's name.
        teacher_entities: For each entity row its row in the teacher, or -1, int64 ``(n,)``.
        teacher_relations: For each relation row its row in the teacher, or -1, int64 ``(m,)``.
    """

    graph: JointGraph
    target: str
    teacher_entities: Rows
    teacher_relations: Rows

    @property
    def n_target_entities(self) -> int:
        """How many entities the target has; they are the first rows."""
        return len(self.graph.parts[self.target].entities)

    def taught_by(self, n_entities: int) -> LinkedSubgraph:
        """Return the same with a teacher that has vectors of its first so many entities only."""
        rows = self.teacher_entities
        return replace(self, teacher_entities=np.where(rows < n_entities, rows, -1))

    @property
    def linked(self) -> NDArray[np.bool_]:
        """Which of the target's entities the teacher knows, bool ``(n_target_entities,)``."""
        known: NDArray[np.bool_] = self.teacher_entities[: self.n_target_entities] >= 0
        return known


def connect(
    target: KnowledgeGraph,
    links: Sequence[Links],
    background: JointGraph,
    *,
    mode: SubgraphMode = "induced",
    hops: int = 2,
    budget: int | None = None,
    seed: int = 0,
) -> LinkedSubgraph:
    """Cut the subgraph that links join to the target out of a teacher's joint graph.

    Its size depends on the target and its links and, but for ``induced``, on what is said about the
    linked entities; on nothing else of the background. It is a join of its own, so conflicts among
    the target's links come out as in ``join``. Where links of the target show two rows of the
    teacher to be one entity, the subgraph holds them as one, and the row with the most trusted
    links teaches.

    Args:
        target: The graph that the student is for.
        links: Links between the target and sources of the background, in the rows of the
            background's parts; other links are ignored.
        background: The teacher's joint graph.
        mode: Which background facts are taken.
        hops: For ``k_hop``, how far to walk; 1 is the same as ``incident``.
        budget: The most background facts to take; the nearest are taken first, and the last hop is
            sampled. ``None`` takes all.
        seed: Seeds that sample.

    Raises:
        ValueError: If ``hops`` is below 1, ``budget`` below 0, or the target is itself a source of
            the background.
    """
    if hops < 1 or (budget is not None and budget < 0):
        raise ValueError(f"hops starts at 1 and budget at 0, not {hops} and {budget}")
    if target.name in background.parts:
        raise ValueError(f"the background already holds the target {target.name!r}")
    facing = [x if x.left == target.name else x.reversed() for x in links if x.joins(target.name)]
    facing = [x for x in facing if x.right in background.parts]
    linked = _linked_rows(facing, background)
    distance = _distance(background, linked, {"induced": 0, "incident": 1, "k_hop": hops}[mode])
    facts = _nearest(distance, budget, seed)
    return _assemble(target, facing, background, linked, facts)


def _linked_rows(facing: Sequence[Links], background: JointGraph) -> NDArray[np.bool_]:
    """Say which entity rows of the background the target has a link to."""
    linked = np.zeros(background.n_entities, dtype=np.bool_)
    for x in facing:
        if x.kind == "entity":
            linked[background.parts[x.right].entity_rows[x.pairs[:, 1]]] = True
    return linked


def _distance(background: JointGraph, linked: NDArray[np.bool_], limit: int) -> NDArray[np.int16]:
    """Number the background's facts by how many hops they are away; -1 is beyond the limit.

    0: both ends are linked; 1: one is; ``n``: an end is an end of a fact at distance ``n - 1``.
    """
    heads, tails = background.triples[:, 0], background.triples[:, 2]
    distance = np.full(len(background.triples), -1, dtype=np.int16)
    distance[linked[heads] & linked[tails]] = 0
    reached = linked.copy()
    for hop in range(1, limit + 1):
        new = (distance < 0) & (reached[heads] | reached[tails])
        distance[new] = hop
        reached[heads[new]] = True
        reached[tails[new]] = True
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
class _Remnant:
    """What is left of one source: a graph of its own, and where its rows were before."""

    graph: KnowledgeGraph
    entities: Rows  # its entities' rows in the source
    relations: Rows


def _remnant(
    background: JointGraph,
    source: str,
    entities: NDArray[np.bool_],
    relations: NDArray[np.bool_],
    facts: NDArray[np.int64],
) -> _Remnant:
    """Cut one source down to the chosen joint rows and the chosen facts that it states."""
    part = background.parts[source]
    own_entities = np.flatnonzero(entities[part.entity_rows])
    own_relations = np.flatnonzero(relations[part.relation_rows])
    entity_of = places_of(part.entity_rows[own_entities], background.n_entities)
    relation_of = places_of(part.relation_rows[own_relations], background.n_relations)
    stated = facts[background.triple_sources[facts] == background.sources.index(source)]
    heads, rels, tails = background.triples[stated].T
    graph = KnowledgeGraph(
        source,
        Vocabulary(part.entities.names.gather(own_entities)),
        Vocabulary(part.relations.names.gather(own_relations)),
        np.stack([entity_of[heads], relation_of[rels], entity_of[tails]], axis=1),
        labels=None if part.labels is None else part.labels.gather(own_entities),
    )
    return _Remnant(graph, own_entities, own_relations)


def _assemble(
    target: KnowledgeGraph,
    facing: Sequence[Links],
    background: JointGraph,
    linked: NDArray[np.bool_],
    facts: NDArray[np.int64],
) -> LinkedSubgraph:
    """Join the target with the remnants of the sources."""
    entities = linked.copy()
    entities[background.triples[facts][:, [0, 2]]] = True
    relations = _shared_relations(target, facing, background)
    relations[background.triples[facts][:, 1]] = True
    remnants = {
        source: _remnant(background, source, entities, relations, facts)
        for source in background.sources
    }
    graph = join(
        [target, *(remnant.graph for remnant in remnants.values())],
        [_moved(x, remnants[x.right]) for x in facing],
        certain=_already_one(background, remnants, "entity")
        + _already_one(background, remnants, "relation"),
    )
    return LinkedSubgraph(
        graph,
        target.name,
        _teacher_rows(graph, background, remnants, facing, "entity"),
        _teacher_rows(graph, background, remnants, facing, "relation"),
    )


def _shared_relations(
    target: KnowledgeGraph, facing: Sequence[Links], background: JointGraph
) -> NDArray[np.bool_]:
    """Say which relation rows of the background the target has by name or by a link."""
    shared = np.zeros(background.n_relations, dtype=np.bool_)
    for part in background.parts.values():
        known = part.relations.rows(target.relations.names)
        shared[part.relation_rows[known[known >= 0]]] = True
    for x in facing:
        if x.kind == "relation":
            shared[background.parts[x.right].relation_rows[x.pairs[:, 1]]] = True
    return shared


def _moved(links: Links, remnant: _Remnant) -> Links:
    """Return the links with their right ends in the remnant's rows."""
    kept = remnant.entities if links.kind == "entity" else remnant.relations
    pairs = np.stack([links.pairs[:, 0], np.searchsorted(kept, links.pairs[:, 1])], axis=1)
    return replace(links, pairs=pairs)


def _already_one(
    background: JointGraph, remnants: Mapping[str, _Remnant], kind: LinkKind
) -> list[Links]:
    """Link each remnant's rows to the first remnant that shares their joint row."""
    n_rows = background.n_entities if kind == "entity" else background.n_relations
    owner = np.full(n_rows, -1, dtype=np.int64)
    place = np.zeros(n_rows, dtype=np.int64)
    links = []
    sources = list(remnants)
    for position, source in enumerate(sources):
        rows = _joint_rows(background, source, remnants[source], kind)
        for first in np.unique(owner[rows][owner[rows] >= 0]):
            here = np.flatnonzero(owner[rows] == first)
            pairs = np.stack([place[rows[here]], here], axis=1)
            sure = np.ones(len(pairs), dtype=np.float32)
            links.append(Links(sources[first], source, pairs, sure, kind))
        new = np.flatnonzero(owner[rows] < 0)
        owner[rows[new]] = position
        place[rows[new]] = new
    return links


def _joint_rows(background: JointGraph, source: str, remnant: _Remnant, kind: LinkKind) -> Rows:
    part = background.parts[source]
    if kind == "entity":
        return part.entity_rows[remnant.entities]
    return part.relation_rows[remnant.relations]


def _teacher_rows(
    graph: JointGraph,
    background: JointGraph,
    remnants: Mapping[str, _Remnant],
    facing: Sequence[Links],
    kind: LinkKind,
) -> Rows:
    """For each row of the subgraph, the background's row that the most trusted links support."""
    n_rows = graph.n_entities if kind == "entity" else graph.n_relations
    candidates = []
    for source, remnant in remnants.items():
        part = graph.parts[source]
        rows = part.entity_rows if kind == "entity" else part.relation_rows
        teacher = _joint_rows(background, source, remnant, kind)
        trust = np.zeros(len(rows))
        for x in facing:
            if x.right == source and x.kind == kind:
                np.add.at(trust, _moved(x, remnant).pairs[:, 1], x.confidence)
        candidates.append(pl.DataFrame({"row": rows, "teacher": teacher, "trust": trust}))
    supported = pl.concat(candidates).group_by("row", "teacher").agg(pl.col("trust").sum())
    best = supported.sort("trust", "teacher", descending=[True, False]).unique(
        "row", keep="first", maintain_order=True
    )
    found = np.full(n_rows, -1, dtype=np.int64)
    found[best["row"].to_numpy()] = best["teacher"].to_numpy()
    return found
