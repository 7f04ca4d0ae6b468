"""Relations that correspond, made one: equal ones share a row, facts along others are restated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.graph.vocabulary import Rows, Vocabulary
from kgraft.linking.join import join, join_relations
from kgraft.linking.joint_graph import JointGraph, positions_of
from kgraft.linking.links import Links
from kgraft.linking.relation_matching import (
    Correspondence,
    correspondences,
    named,
    same_relation_links,
)
from kgraft.settings import MatchingSettings

PROVENANCE = "relations that correspond by what both sources state"


@dataclass(frozen=True, eq=False)
class MatchedRelations:
    """Graphs and links by which corresponding relations become one when they are joined.

    Args:
        graphs: The graphs, the target first. Those of other sources may have further relations
            behind their own, along which they restate facts as the target would state them.
        links: The given links, and those of relations.
        found: The correspondences that are used, the target at the left.
        origins: For each source with further relations, the row of the relation that each restates,
            and for an inverse the number of own relations more, int64 ``(k,)``. Of several
            relations it is the first.
        joined: The graphs joined by the given links, where that is prepared.
    """

    graphs: tuple[KnowledgeGraph, ...]
    links: tuple[Links, ...]
    found: tuple[Correspondence, ...] = ()
    origins: Mapping[str, Rows] = field(default_factory=dict)
    joined: JointGraph | None = None

    def join(self, *, certain: Sequence[Links] = ()) -> JointGraph:
        """Join the graphs by the links; ``certain`` are links of an earlier join."""
        if self.joined is None:
            graph = join(self.graphs, self.links, certain=certain)
        elif self.found:
            graph = join_relations(self.joined, self.graphs, self.links)
        else:
            graph = self.joined
        if not self.found:
            return graph
        target = graph.part(self.graphs[0].name)
        by_source: dict[str, list[str]] = {}
        for x in self.found:
            if x.left == self.graphs[0].name:
                by_source.setdefault(x.right, []).append(x.relation)
        rows = {
            source: target.relation_rows_of(pl.Series(names)) for source, names in by_source.items()
        }
        return replace(graph, found_relations=rows)


def match_relations(
    graphs: Sequence[KnowledgeGraph],
    links: Sequence[Links],
    settings: MatchingSettings,
    *,
    restate: bool = True,
    certain: Sequence[Links] = (),
    joined: JointGraph | None = None,
) -> MatchedRelations:
    """Find relations that correspond by training facts between linked entities.

    Relations that are the same under different names get a link. Where a relation that the target
    lacks is the inverse of one of the target's, or narrower than one, its facts are restated along
    that. Relations of one name, and linked ones, are one already and are left as they are.

    Args:
        graphs: The graphs, the target first.
        links: Links between them.
        settings: Thresholds, and whether to match relations at all.
        restate: Whether to restate facts, which takes a target.
        certain: Links of an earlier join.
        joined: The graphs joined by the links, where that is prepared.
    """
    given = MatchedRelations(tuple(graphs), tuple(links), joined=joined)
    if not settings.use or len(graphs) < 2:
        return given
    joint = given.join(certain=certain)
    compared = correspondences(joint, np.arange(joint.n_entities), settings)
    by_name = {graph.name: graph for graph in graphs}
    found = [_Match.of(x, by_name, joint) for x in named(joint, compared, settings)]
    same = [x for x in found if x.is_link]
    matched = replace(
        given,
        links=(*links, *same_relation_links([x.correspondence for x in same], by_name, PROVENANCE)),
        found=tuple(x.correspondence for x in same),
    )
    others = [x for x in found if x.is_restated and x.left is graphs[0]]
    if not (restate and others):
        return matched
    shared = matched.join(certain=certain)
    for place, graph in enumerate(graphs[1:], start=1):
        own = [x for x in others if x.right.name == graph.name]
        if own:
            matched = _with_restated(matched, place, own, shared)
    return matched


@dataclass(frozen=True, eq=False)
class _Match:
    """A correspondence with its graphs, and rows of relations in them and in the joint graph."""

    correspondence: Correspondence
    left: KnowledgeGraph
    right: KnowledgeGraph
    rows: tuple[int, int]
    is_one: bool
    right_is_shared: bool

    @classmethod
    def of(
        cls, found: Correspondence, graphs: Mapping[str, KnowledgeGraph], joint: JointGraph
    ) -> _Match:
        left, right = graphs[found.left], graphs[found.right]
        rows = left.relations.row(found.relation), right.relations.row(found.other)
        joint_rows = joint.part(left.name).relation_rows
        other = joint.part(right.name).relation_rows[rows[1]]
        is_one = bool(joint_rows[rows[0]] == other)
        return cls(found, left, right, rows, is_one, bool(np.isin(other, joint_rows)))

    @property
    def is_link(self) -> bool:
        """Whether it makes two relations one that are not."""
        return self.correspondence.kind == "same" and not (
            self.correspondence.inverse or self.is_one
        )

    @property
    def is_restated(self) -> bool:
        """Whether facts of the right one, which the left graph lacks, are facts of the left one."""
        kind, inverse = self.correspondence.kind, self.correspondence.inverse
        return not self.right_is_shared and (kind == "broader" or (kind == "same" and inverse))


def _with_restated(
    matched: MatchedRelations, place: int, found: Sequence[_Match], joint: JointGraph
) -> MatchedRelations:
    """Let one of the graphs restate facts along the target's relations.

    Args:
        matched: The graphs and links so far.
        place: The graph's place among them.
        found: Relations of the target, and those of the graph that correspond to them.
        joint: The graphs joined by these links.
    """
    target, graph = matched.graphs[0], matched.graphs[place]
    shared = joint.part(target.name).relation_rows
    own_rows = positions_of(joint.part(graph.name).relation_rows, joint.n_relations)[shared]
    by_relation: dict[int, list[_Match]] = {}
    for x in found:
        by_relation.setdefault(x.rows[0], []).append(x)
    new = [relation for relation in by_relation if own_rows[relation] < 0]
    own_rows[new] = len(graph.relations) + np.arange(len(new))
    names = [_name(by_relation[relation], graph) for relation in new]
    pairs = np.stack([new, own_rows[new]], axis=1).astype(np.int64).reshape(-1, 2)
    sure = np.ones(len(new), dtype=np.float32)
    links = Links(target.name, graph.name, pairs, sure, "relation", PROVENANCE)
    graphs = list(matched.graphs)
    graphs[place] = _restated(graph, names, found, own_rows)
    first = [by_relation[relation][0] for relation in new]
    origins = [x.rows[1] + len(graph.relations) * x.correspondence.inverse for x in first]
    return MatchedRelations(
        tuple(graphs),
        (*matched.links, links),
        (*matched.found, *(x.correspondence for x in found)),
        {**matched.origins, graph.name: np.array(origins, dtype=np.int64)},
    )


def _name(found: Sequence[_Match], graph: KnowledgeGraph) -> str:
    """Return the name of a further relation, which tells what it restates."""
    name = " or ".join(
        f"inverse of {x.other}" if x.inverse else x.other for x in (y.correspondence for y in found)
    )
    while name in graph.relations:
        name = f"{name} (restated)"
    return name


def _restated(
    graph: KnowledgeGraph, names: Sequence[str], found: Sequence[_Match], own_rows: Rows
) -> KnowledgeGraph:
    """Return a graph with further relations, and its facts along them.

    Args:
        graph: The graph.
        names: Names of its further relations.
        found: Its relations that are restated.
        own_rows: For each relation of the target the graph's row of it.
    """
    facts, false = [graph.train], [graph.known_false]
    origin = [np.arange(len(graph.train))]
    for x in found:
        row, inverse = own_rows[x.rows[0]], x.correspondence.inverse
        stated = np.flatnonzero(graph.train[:, 1] == x.rows[1])
        origin.append(stated)
        facts.append(_along(row, graph.train[stated], inverse=inverse))
        if x.correspondence.kind == "same":
            denied = graph.known_false[graph.known_false[:, 1] == x.rows[1]]
            false.append(_along(row, denied, inverse=inverse))
    train, positions = np.unique(np.concatenate(facts), axis=0, return_index=True)
    in_order = np.argsort(positions)
    kept = np.concatenate(origin)[positions[in_order]]
    confidence = {**graph.confidence, "train": graph.confidence_of("train")[kept]}
    further = pl.Series(graph.relations.names.name, names, dtype=pl.String)
    return replace(
        graph,
        relations=Vocabulary(pl.concat([graph.relations.names, further])),
        train=train[in_order],
        known_false=np.unique(np.concatenate(false), axis=0),
        confidence=confidence,
    )


def _along(relation: int, facts: Triples, *, inverse: bool) -> Triples:
    """Return facts along another relation, with their ends exchanged for an inverse."""
    heads, _, tails = facts.T
    ends = (tails, heads) if inverse else (heads, tails)
    return np.stack([ends[0], np.full(len(facts), relation), ends[1]], axis=1)
