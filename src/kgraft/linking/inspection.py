"""Inspection of a collection: sizes, links, conflicts and overlap."""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass
from itertools import combinations
from typing import Any, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.errors import counted
from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.graph.vocabulary import Rows, Vocabulary, equal_names
from kgraft.linking.collection import Collection
from kgraft.linking.coverage import covered
from kgraft.linking.identity_links import IdentityLinks, identity_links
from kgraft.linking.join import join
from kgraft.linking.joint_graph import JointGraph, LinkConflict
from kgraft.linking.links import LinkKind, Links
from kgraft.linking.matched_relations import MatchedRelations, match_relations
from kgraft.linking.relation_matching import Correspondence
from kgraft.settings import MatchingSettings
from kgraft.system.forks import require_threads
from kgraft.system.tables import html_table
from kgraft.system.terminal import visible


@dataclass(frozen=True)
class SourceReport:
    """One source in numbers.

    Args:
        name: The source.
        entities: Entities in its vocabulary.
        unused_entities: Those that no fact of any split mentions.
        relations: Relations in use.
        train: Training facts.
        valid: Validation facts.
        test: Test facts.
        attributes: Literals.
        duplicates: Repeated facts that were dropped on reading.
        similar_names: Entities and relations that differ from an earlier one in spelling only.
        linked_share: Share of its entities that are linked to another source.
        covered_share: Share of its test facts that another source states; ``None`` without any.
        identities: Statements of sameness that were taken out of its facts.
        linking_identities: Pairs of names of these statements that link it with another source.
        open_identities: Other statements, with a name that no fact of the source has.
        similar_identities: Those of them that would link, but for the spelling of a name.
        merged_entities: Entities of its facts that have become one with another of it.
        further_names: Names, such as redirects, that mean an entity of another name.
        unseen_valid: Validation facts with an entity or a relation that has no training fact, nor
            is linked to one with some.
        unseen_test: Test facts, likewise.
        known_false: Facts known to be false.
        uncertain: Facts with a confidence below 1.
    """

    name: str
    entities: int
    unused_entities: int
    relations: int
    train: int
    valid: int
    test: int
    attributes: int
    duplicates: int
    similar_names: int
    linked_share: float
    covered_share: float | None
    identities: int = 0
    linking_identities: int = 0
    open_identities: int = 0
    similar_identities: int = 0
    merged_entities: int = 0
    further_names: int = 0
    unseen_valid: int = 0
    unseen_test: int = 0
    known_false: int = 0
    uncertain: int = 0

    def oddities(self) -> list[str]:
        """Return unexpected contents in words."""
        counts = {
            "entities that no fact mentions": self.unused_entities,
            "repeated facts dropped": self.duplicates,
            "literals kept as attributes": self.attributes,
            'names that differ from another in spelling only (spelling = "normal" of the '
            "[[source]] makes them one)": self.similar_names,
            "entities merged with another one that is the same": self.merged_entities,
            "further names of its entities": self.further_names,
            "facts known to be false": self.known_false,
            "facts with a confidence below 1": self.uncertain,
        }
        found = [f"{name}: {count:,}" for name, count in counts.items() if count]
        if self.unseen_valid or self.unseen_test:
            found.append(
                "held-out facts with an entity or a relation that no training fact has: "
                f"{self.unseen_valid:,} of valid, {self.unseen_test:,} of test"
            )
        if self.identities:
            found.append(
                f"statements of sameness taken out of its facts: {self.identities:,} (linking two "
                f"sources: {self.linking_identities:,}; else with a name that no fact of it has: "
                f"{self.open_identities:,})"
            )
        if self.similar_identities:
            found.append(
                'further ones that link with spelling = "normal" of the [[source]]: '
                f"{self.similar_identities:,}"
            )
        return found


@dataclass(frozen=True)
class LinkReport:
    """The links between one pair of sources.

    Args:
        left: One source.
        right: The other.
        entities: Entity links, each counted once.
        relations: Relation links, likewise.
        shared_names: Entities of one name in both that no link joins.
        similar_names: Further ones whose names differ in spelling only.
        similar_relations: Relations whose names differ in spelling only, and that no link joins.
        without_facts: Entity links with an end that no fact mentions.
        example: Source and name of such an end.
    """

    left: str
    right: str
    entities: int
    relations: int
    shared_names: int
    similar_names: int = 0
    similar_relations: int = 0
    without_facts: int = 0
    example: tuple[str, str] | None = None


@dataclass(frozen=True)
class Inspection:
    """Contents of a collection in numbers.

    Args:
        name: The collection.
        target: Its target.
        joint_entities: Entities after linked ones have become one.
        joint_relations: Relations after those of one name, and linked ones, have become one.
        sources: Each source.
        links: Each pair of sources that has links, or names in common.
        conflicts: Links left out because they would join two entities of one source.
        correspondences: Relations of the target that are matched with those of other sources.
    """

    name: str
    target: str | None
    joint_entities: int
    joint_relations: int
    sources: tuple[SourceReport, ...]
    links: tuple[LinkReport, ...]
    conflicts: tuple[LinkConflict, ...]
    correspondences: tuple[Correspondence, ...] = ()

    def __repr__(self) -> str:
        return visible(
            f"<Inspection of {self.name}: {counted(len(self.sources), 'source')}, "
            f"{counted(self.joint_entities, 'joint entity')}, "
            f"{counted(self.joint_relations, 'joint relation')}, "
            f"{counted(len(self.conflicts), 'conflict')}>"
        )

    def _repr_html_(self) -> str:
        links = pl.DataFrame([asdict(x) for x in self.links])
        return html_table(self.to_frame(), repr(self)) + html_table(links)

    def to_frame(self) -> pl.DataFrame:
        """Return a row for each source, with the columns of ``SourceReport``."""
        return pl.DataFrame([asdict(x) for x in self.sources])

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        return asdict(self)


def inspect(collection: Collection) -> Inspection:
    """Count the contents of a collection."""
    require_threads()
    graphs = list(collection.graphs.values())
    joint = join(graphs, collection.links)
    matched = {
        graph.name: match_relations(
            [graph, *(x for x in graphs if x is not graph)], collection.links, MatchingSettings()
        )
        for graph in graphs
        if len(graph.test) or graph.name == collection.target
    }
    stated = identity_links(graphs)
    similar = identity_links(graphs, "normal").n_linking if any(stated.n_open.values()) else {}
    reports = (
        _link_report(left, right, collection.links, joint)
        for left, right in combinations(graphs, 2)
    )
    return Inspection(
        name=collection.name,
        target=collection.target,
        joint_entities=joint.n_entities,
        joint_relations=joint.n_relations,
        sources=tuple(
            _source_report(
                graph, joint, stated, similar.get(graph.name, 0), matched.get(graph.name)
            )
            for graph in graphs
        ),
        links=tuple(x for x in reports if any(astuple(x)[2:])),
        conflicts=joint.conflicts,
        correspondences=matched[collection.target].found if collection.target else (),
    )


def _source_report(
    graph: KnowledgeGraph,
    joint: JointGraph,
    found: IdentityLinks,
    n_similar: int,
    matched: MatchedRelations | None,
) -> SourceReport:
    facts, stated = graph.triples, graph.identities
    used = np.unique(facts[:, [0, 2]])
    rows = joint.part(graph.name).entity_rows
    others = [part.entity_rows for name, part in joint.parts.items() if name != graph.name]
    linked = np.isin(rows, np.concatenate(others)) if others else np.zeros(len(rows), dtype=bool)
    return SourceReport(
        name=graph.name,
        entities=len(graph.entities),
        unused_entities=len(graph.entities) - len(used),
        relations=len(np.unique(facts[:, 1])),
        train=len(graph.train),
        valid=len(graph.valid),
        test=len(graph.test),
        attributes=0 if graph.attributes is None else len(graph.attributes),
        duplicates=graph.duplicates,
        similar_names=sum(_n_similar(x) for x in (graph.entities, graph.relations)),
        known_false=len(graph.known_false),
        uncertain=sum(int((x < 1).sum()) for x in graph.confidence.values()),
        linked_share=float(linked.mean()) if len(linked) else 0.0,
        covered_share=float(covered(matched.join(), graph.name, graph.test).mean())
        if matched is not None and len(graph.test)
        else None,
        unseen_valid=_n_unseen(graph, graph.valid, joint),
        unseen_test=_n_unseen(graph, graph.test, joint),
        identities=stated.stated if stated is not None else 0,
        linking_identities=found.n_linking[graph.name],
        open_identities=found.n_open[graph.name],
        similar_identities=max(n_similar - found.n_linking[graph.name], 0),
        merged_entities=stated.merged if stated is not None else 0,
        further_names=len(stated.entities) if stated is not None else 0,
    )


def _n_unseen(graph: KnowledgeGraph, facts: Triples, joint: JointGraph) -> int:
    """Count facts with an entity or a relation that no training fact of the joint graph has."""
    if not len(facts):
        return 0
    seen = np.isin(joint.part(graph.name).joint(facts)[:, [0, 2]], joint.triples[:, [0, 2]])
    relations = joint.part(graph.name).joint(facts)[:, 1]
    return int((~(seen.all(axis=1) & np.isin(relations, joint.triples[:, 1]))).sum())


def _n_similar(names: Vocabulary) -> int:
    return int((names.first_of_form() != np.arange(len(names))).sum())


def _link_report(
    left: KnowledgeGraph, right: KnowledgeGraph, links: tuple[Links, ...], joint: JointGraph
) -> LinkReport:
    pairs = {
        kind: _pairs(
            left.name, [x for x in links if x.kind == kind and x.between(left.name, right.name)]
        )
        for kind in get_args(LinkKind)
    }
    without_facts, example = _without_facts(left, right, pairs["entity"])
    ends = joint.part(left.name), joint.part(right.name)
    rows = [(part.entity_rows, part.relation_rows) for part in ends]
    entities, relations = zip(*rows, strict=True)

    def apart(pairs: Rows, rows: tuple[Rows, Rows]) -> int:
        return int((rows[0][pairs[:, 0]] != rows[1][pairs[:, 1]]).sum())

    similar = apart(equal_names(left.entities, right.entities, "normal"), entities)
    shared = apart(equal_names(left.entities, right.entities), entities) if similar else 0
    return LinkReport(
        left=left.name,
        right=right.name,
        entities=len(pairs["entity"]),
        relations=len(pairs["relation"]),
        shared_names=shared,
        similar_names=similar - shared,
        similar_relations=apart(equal_names(left.relations, right.relations, "normal"), relations),
        without_facts=without_facts,
        example=example,
    )


def _pairs(left: str, links: list[Links]) -> NDArray[np.int64]:
    """Return the distinct pairs of links, those of the left graph first."""
    turned = [x.pairs if x.left == left else x.pairs[:, ::-1] for x in links]
    return np.unique(np.concatenate([np.empty((0, 2), dtype=np.int64), *turned]), axis=0)


def _without_facts(
    left: KnowledgeGraph, right: KnowledgeGraph, pairs: NDArray[np.int64]
) -> tuple[int, tuple[str, str] | None]:
    """Count links to entities that no fact mentions, and name the first."""
    idle = [~np.isin(x, g.triples[:, [0, 2]]) for g, x in zip((left, right), pairs.T, strict=True)]
    for graph, mask, rows in zip((left, right), idle, pairs.T, strict=True):
        if mask.any():
            name = graph.entities.name(rows[mask][0])
            return int((idle[0] | idle[1]).sum()), (graph.name, name)
    return 0, None
