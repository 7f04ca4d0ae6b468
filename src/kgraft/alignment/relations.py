"""Which relation of one graph corresponds to which of another, by the linked pairs they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from kgraft.alignment.nodes import Ints, Nodes
from kgraft.alignment.settings import RelationSettings

Kind = Literal["same", "narrower", "broader"]


@dataclass(frozen=True)
class Correspondence:
    """What a relation of one graph is to a relation of another.

    Args:
        left: One graph.
        relation: Its relation.
        right: The other graph.
        other: Its relation.
        kind: ``same``; ``narrower``: what the left one states, the right one does; ``broader``: the
            other way round.
        inverse: Whether the right one has heads and tails exchanged.
        confidence: Share of the facts which the other graph could state that it does state; for
            ``same`` the lower of both ways.
        support: Pairs of linked entities that both join.
    """

    left: str
    relation: str
    right: str
    other: str
    kind: Kind
    inverse: bool
    confidence: float
    support: int

    @property
    def evidence(self) -> str:
        """Why, in words."""
        how = ", the other way round" if self.inverse else ""
        whose = {"same": "either's", "narrower": "the left one's", "broader": "the right one's"}
        return (
            f"both join {self.support} pairs of linked entities{how}: {self.confidence:.0%} of "
            f"{whose[self.kind]} facts that the other graph could state"
        )


def correspondences(nodes: Nodes, clusters: Ints, settings: RelationSettings) -> pl.DataFrame:
    """Compare relations of any two graphs by the facts between linked entities.

    A fact could be stated by the other graph if that has both of its entities and says of one of
    them what the other relation says, be it of another entity: what a graph is silent about speaks
    for nothing (Galarraga et al., WWW 2013, on partial completeness). Shares are of one fact more
    than there are, so that few facts make no sure correspondence.

    Returns:
        ``source``, ``verb``, ``other_source``, ``other``, ``inverse``, ``support``, ``forward`` and
        ``backward``: places of graphs, rows of relations, and the share of the facts of ``verb``
        that ``other`` states too, and the reverse.
    """
    facts = _facts(nodes, clusters)
    turned = facts.select(
        head="tail", tail="head", other="verb", other_source="source", inverse=pl.lit(True)
    )
    straight = facts.select(
        "head", "tail", other="verb", other_source="source", inverse=pl.lit(False)
    )
    shared = pl.concat(
        [
            facts.join(ways.select(sorted(ways.columns)), on=["head", "tail"])
            .filter(pl.col("source") != pl.col("other_source"))
            .group_by("source", "verb", "other_source", "other", "inverse")
            .agg(support=pl.len())
            for ways in (straight, turned)
        ]
    ).filter(pl.col("support") >= settings.support)
    return _with_shares(shared, nodes, clusters, facts)


def _facts(nodes: Nodes, clusters: Ints) -> pl.DataFrame:
    heads, verbs, tails = nodes.joint.triples.T
    return pl.DataFrame(
        {
            "head": clusters[heads],
            "verb": verbs,
            "tail": clusters[tails],
            "source": nodes.joint.triple_sources.astype(np.int64),
        }
    ).unique(maintain_order=True)


def _with_shares(
    shared: pl.DataFrame, nodes: Nodes, clusters: Ints, facts: pl.DataFrame
) -> pl.DataFrame:
    members = nodes.members(clusters)
    size = len(members), 2 * nodes.joint.n_relations
    own = [
        facts.filter(pl.col("source") == place).select("head", "verb", "tail").to_numpy()
        for place in range(len(nodes.graphs))
    ]
    says = []
    for heads, verbs, tails in (facts_of.T for facts_of in own):
        rows = np.concatenate([heads, tails])
        columns = np.concatenate([verbs, verbs + nodes.joint.n_relations])
        says.append(sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=size).astype(bool))
    possible = np.zeros(len(shared))
    keys = shared.select(
        "source", "verb", "other_source", "other", pl.col("inverse").cast(pl.Int64)
    ).to_numpy()
    for source, other in sorted({(int(x), int(y)) for x, y in keys[:, [0, 2]]}):
        heads, verbs, tails = own[source].T
        linked = (members[heads, other] >= 0) & (members[tails, other] >= 0)
        at = (keys[:, 0] == source) & (keys[:, 2] == other)
        for ends, shift in ((heads, 0), (tails, 1)):
            stated = sp.csr_array(
                (np.ones(linked.sum()), (verbs[linked], ends[linked])), shape=size[::-1]
            )
            counts = (stated @ says[other].astype(np.float64)).tocsr()
            # Its heads are the other's heads, unless one is the inverse of the other.
            columns = keys[at, 3] + nodes.joint.n_relations * (keys[at, 4] ^ shift)
            found = np.asarray(counts[keys[at, 1], columns]).ravel()
            possible[at] = np.maximum(possible[at], found)
    shares = shared.with_columns(forward=pl.Series(shared["support"].to_numpy() / (possible + 1)))
    back = shares.select(
        source="other_source",
        verb="other",
        other_source="source",
        other="verb",
        inverse="inverse",
        backward="forward",
    )
    on = ["source", "verb", "other_source", "other", "inverse"]
    return shares.join(back, on=on).sort(on)


def same_relations(nodes: Nodes, found: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Return the correspondences that hold both ways and have no better rival on either side.

    A relation that another graph has by the same name is that graph's relation, whatever facts say.
    """
    one_name = (pl.col("verb") == pl.col("other")) & ~pl.col("inverse")
    shared = pl.DataFrame(
        [
            (place, row, other_place)
            for place, part in enumerate(nodes.joint.parts.values())
            for other_place, other in enumerate(nodes.joint.parts.values())
            if place != other_place
            for row in np.intersect1d(part.relation_rows, other.relation_rows).tolist()
        ],
        schema={"source": pl.Int64, "verb": pl.Int64, "other_source": pl.Int64},
        orient="row",
    )
    rivals = found.join(shared, on=["source", "verb", "other_source"], how="anti").join(
        shared.rename({"source": "other_source", "verb": "other", "other_source": "source"}),
        on=["source", "other", "other_source"],
        how="anti",
    )
    rivals = rivals.with_columns(both=pl.min_horizontal("forward", "backward"))
    best = (pl.col("both") == pl.col("both").max().over("source", "verb", "other_source")) & (
        pl.col("both") == pl.col("both").max().over("other_source", "other", "source")
    )
    return pl.concat(
        [
            found.filter(one_name).with_columns(both=pl.max_horizontal("forward", "backward")),
            rivals.filter((pl.col("both") >= threshold) & best),
        ]
    )


def unified(found: pl.DataFrame, n_relations: int) -> Ints:
    """Return what each relation, and behind them each inverse, counts as, ``(2 n_relations,)``.

    Args:
        found: Correspondences of relations that are the same, or each other's inverse.
        n_relations: How many there are.
    """
    verb, other = (found[name].to_numpy().astype(np.int64) for name in ("verb", "other"))
    turn = found["inverse"].to_numpy().astype(np.int64) * n_relations
    one = np.concatenate([verb, verb + n_relations])
    two = np.concatenate([other + turn, other + n_relations - turn])
    size = 2 * n_relations
    graph = sp.coo_array((np.ones(len(one)), (one, two)), shape=(size, size))
    component = connected_components(graph, directed=False)[1]
    # Each is known by its first relation, so that it can be told by a name.
    first = np.unique(component, return_index=True)[1]
    return np.asarray(first[component], dtype=np.int64)


def named(
    nodes: Nodes, found: pl.DataFrame, settings: RelationSettings
) -> tuple[Correspondence, ...]:
    """Return what a reader is told: the same relations, and those that are part of another.

    Each two relations stand once, those of the graph that comes first at the left; the surest come
    first.
    """
    keys = ["source", "verb", "other_source", "other", "inverse"]
    same = same_relations(nodes, found, settings.threshold).select(*keys, "both")
    marked = found.filter(pl.col("source") < pl.col("other_source"))
    marked = marked.join(same, on=keys, how="left").with_columns(
        part=pl.max_horizontal("forward", "backward")
    )
    marked = marked.filter(
        pl.col("both").is_not_null() | (pl.col("part") >= settings.part_threshold)
    )
    marked = marked.sort(pl.col("both").is_null(), -pl.col("part"), *keys)
    marked = marked.unique(keys[:-1], keep="first", maintain_order=True)
    told = []
    for row in marked.iter_rows(named=True):
        one, two = nodes.graphs[row["source"]], nodes.graphs[row["other_source"]]
        part: Kind = "narrower" if row["forward"] >= row["backward"] else "broader"
        told.append(
            Correspondence(
                one.name,
                _own_name(nodes, row["source"], row["verb"]),
                two.name,
                _own_name(nodes, row["other_source"], row["other"]),
                part if row["both"] is None else "same",
                row["inverse"],
                round(row["part"] if row["both"] is None else row["both"], 4),
                row["support"],
            )
        )
    return tuple(told)


def _own_name(nodes: Nodes, place: int, row: int) -> str:
    """Return what one graph calls a relation."""
    part = nodes.joint.parts[nodes.graphs[place].name]
    return part.relations.name(int(np.flatnonzero(part.relation_rows == row)[0]))
