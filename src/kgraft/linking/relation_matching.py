"""Correspondences of relations, by the linked pairs that both join."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from kgraft.graph.grouped_index import first_of_each, smallest_ints
from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.links import Links
from kgraft.settings import RelationSettings
from kgraft.system.arrays import pieces_of, positions_where, take_rows

Ints = NDArray[np.int64]

Kind = Literal["same", "narrower", "broader"]


@dataclass(frozen=True)
class Correspondence:
    """Correspondence of a relation of one graph with one of another.

    Args:
        left: One graph.
        relation: Its relation.
        right: The other graph.
        other: Its relation.
        kind: ``same``; ``narrower``: the facts of the left one are part of the right one's;
            ``broader``: the other way round.
        inverse: The right one has heads and tails exchanged.
        confidence: Share of the facts which the other graph could state that it states, lowered by
            ``RelationSettings.caution``; for ``same`` the lower of both directions.
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
        """The evidence in words."""
        how = ", the other way round" if self.inverse else ""
        whose = {"same": "either's", "narrower": "the left one's", "broader": "the right one's"}
        return (
            f"both join {self.support} pairs of linked entities{how}: {self.confidence:.0%} of "
            f"{whose[self.kind]} facts that the other graph could state"
        )

    def in_words(self) -> str:
        """Return the correspondence as a short line, with its confidence and support."""
        sign = {"same": "=", "narrower": "is part of", "broader": "includes"}[self.kind]
        other = f"the inverse of {self.other}" if self.inverse else self.other
        return (
            f"{self.relation} {sign} {other} of {self.right} ({self.confidence:.0%}, "
            f"{self.support:,} shared)"
        )


def correspondences(joint: JointGraph, clusters: Ints, settings: RelationSettings) -> pl.DataFrame:
    """Compare relations of any two graphs by the facts between linked entities.

    The other graph could state a fact if it has both entities and any fact of the other relation
    about one of them (partial completeness, Galarraga et al., WWW 2013). Shares are of one fact
    more than there are, so that few facts make no certain correspondence.

    Returns:
        ``source``, ``relation``, ``other_source``, ``other``, ``inverse``, ``support``,
        ``forward`` and ``backward``: indices of graphs, rows of relations, and the share of the
        facts of ``relation`` that ``other`` states too, and the reverse.
    """
    is_member = _members(joint, clusters)
    is_shared = is_member.sum(axis=1) > 1
    facts = _facts(joint, clusters, is_shared)
    head, tail = pl.col("head").cast(pl.Int64), pl.col("tail").cast(pl.Int64)
    pairs = {False: head * len(is_shared) + tail, True: tail * len(is_shared) + head}
    others = facts.select(other="relation", other_source="source", pair=pairs[False])
    shared = pl.concat(
        facts.select("relation", "source", pair=pairs[inverse])
        .join(others, on="pair")
        .filter(pl.col("source") != pl.col("other_source"))
        .group_by("source", "relation", "other_source", "other")
        .agg(support=pl.len())
        .cast(dict.fromkeys(("source", "relation", "other_source", "other"), pl.Int64))
        .with_columns(inverse=pl.lit(inverse))
        for inverse in (False, True)
    ).filter(pl.col("support") >= settings.support)
    asked = np.zeros(joint.n_relations, dtype=np.bool_)
    asked[shared["other"].to_numpy()] = True
    stating = _stating(joint, clusters, is_shared, asked)
    return _with_shares(shared, joint, is_member, facts, stating)


def _facts(joint: JointGraph, clusters: Ints, is_shared: NDArray[np.bool_]) -> pl.DataFrame:
    """Return the facts between entities of several graphs: another one may state them too."""

    def between_shared(piece: Triples) -> NDArray[np.bool_]:
        heads, _, tails = piece.T
        found: NDArray[np.bool_] = is_shared[clusters[heads]] & is_shared[clusters[tails]]
        return found

    places = positions_where(between_shared, joint.triples)
    heads, relations, tails = take_rows(joint.triples, places).T
    kind = smallest_ints(max(len(is_shared), joint.n_relations))
    columns = {"head": clusters[heads], "relation": relations, "tail": clusters[tails]}
    narrow = {name: x.astype(kind) for name, x in columns.items()}
    narrow["source"] = take_rows(joint.triple_sources, places)
    first = np.sort(first_of_each(np.stack([*narrow.values()], axis=1)))
    return pl.DataFrame({name: x[first] for name, x in narrow.items()})


def _stating(
    joint: JointGraph,
    clusters: Ints,
    is_shared: NDArray[np.bool_],
    asked: NDArray[np.bool_],
) -> list[sp.csr_array]:
    """Return for each graph which entities it states a fact about, by relation and direction.

    Args:
        joint: The graphs.
        clusters: The cluster of each entity.
        is_shared: Masks the clusters with entities of several graphs; others are left out.
        asked: Masks the relations that count.

    Returns:
        Ones, ``(clusters, 2 m)``.
    """
    size = len(is_shared), 2 * joint.n_relations
    found: list[list[Ints]] = [[np.empty(0, dtype=np.int64)] for _ in joint.parts]
    pieces = pieces_of(joint.triples) if asked.any() else ()
    for facts, sources in zip(pieces, pieces_of(joint.triple_sources), strict=False):
        for end, shift in ((0, 0), (2, joint.n_relations)):
            ends, relations = clusters[facts[:, end]], facts[:, 1]
            chosen = np.flatnonzero(asked[relations] & is_shared[ends])
            pairs = ends[chosen] * size[1] + relations[chosen] + shift
            for place, own in enumerate(found):
                own.append(np.unique(pairs[sources[chosen] == place]))
    return [incidence(*np.divmod(np.unique(np.concatenate(x)), size[1]), size) for x in found]


def _members(joint: JointGraph, clusters: Ints) -> NDArray[np.bool_]:
    """Return which graphs each cluster has an entity of, ``(clusters, graphs)``."""
    found = np.zeros((int(clusters.max(initial=-1)) + 1, len(joint.parts)), dtype=np.bool_)
    for place, part in enumerate(joint.parts.values()):
        found[clusters[part.entity_rows], place] = True
    return found


def _with_shares(
    shared: pl.DataFrame,
    joint: JointGraph,
    is_member: NDArray[np.bool_],
    facts: pl.DataFrame,
    stating: Sequence[sp.csr_array],
) -> pl.DataFrame:
    size = len(is_member), 2 * joint.n_relations
    own = [
        facts.filter(pl.col("source") == place).select("head", "relation", "tail").to_numpy()
        for place in range(len(joint.parts))
    ]
    possible = np.zeros(len(shared))
    keys = shared.select(
        "source", "relation", "other_source", "other", pl.col("inverse").cast(pl.Int64)
    ).to_numpy()
    for source, other in sorted({(int(x), int(y)) for x, y in keys[:, [0, 2]]}):
        heads, relations, tails = own[source].T
        linked = is_member[heads, other] & is_member[tails, other]
        at = (keys[:, 0] == source) & (keys[:, 2] == other)
        for ends, shift in ((heads, 0), (tails, 1)):
            stated = sp.csr_array(
                (np.ones(linked.sum()), (relations[linked], ends[linked])), shape=size[::-1]
            )
            counts = (stated @ stating[other]).tocsr()
            # Its heads are the other's heads, unless one is the inverse of the other.
            columns = keys[at, 3] + joint.n_relations * (keys[at, 4] ^ shift)
            found = np.asarray(counts[keys[at, 1], columns]).ravel()
            possible[at] = np.maximum(possible[at], found)
    shares = shared.with_columns(forward=pl.Series(shared["support"].to_numpy() / (possible + 1)))
    back = shares.drop("support").rename({"forward": "backward"})
    on = ["source", "relation", "other_source", "other", "inverse"]
    turned = ["other_source", "other", "source", "relation", "inverse"]
    return shares.join(back, left_on=on, right_on=turned).sort(on)


def same_relations(
    joint: JointGraph, found: pl.DataFrame, settings: RelationSettings
) -> pl.DataFrame:
    """Return correspondences that hold both ways and have no rival as good on either side.

    A rival is a relation that corresponds to no other one better. Relations of one name in two
    graphs are the same, whatever their facts. ``both`` is the lower of the shares in both
    directions.
    """
    one_name = (pl.col("relation") == pl.col("other")) & ~pl.col("inverse")
    shared = pl.DataFrame(
        [
            (place, row, other_place)
            for place, part in enumerate(joint.parts.values())
            for other_place, other in enumerate(joint.parts.values())
            if place != other_place
            for row in np.intersect1d(part.relation_rows, other.relation_rows).tolist()
        ],
        schema={"source": pl.Int64, "relation": pl.Int64, "other_source": pl.Int64},
        orient="row",
    )
    rivals = found.join(shared, on=["source", "relation", "other_source"], how="anti").join(
        shared.rename({"source": "other_source", "relation": "other", "other_source": "source"}),
        on=["source", "other", "other_source"],
        how="anti",
    )
    rivals = rivals.with_columns(both=pl.min_horizontal("forward", "backward"))
    # Of a part and its whole, one states nearly all of the other, which states little of it.
    share = pl.max_horizontal("forward", "backward")
    is_part = (share >= settings.part_threshold) & (pl.col("both") < share / 2)
    rivals = rivals.filter(~is_part)
    # The same pair the other way round is no rival, only the better way counts.
    pair = ["source", "relation", "other_source", "other"]
    rivals = rivals.filter(pl.col("both") == pl.col("both").max().over(pair))
    sides = ["source", "relation", "other_source"], ["other_source", "other", "source"]
    rivals = rivals.with_columns(
        (pl.col("both") == pl.col("both").max().over(side)).alias(f"best_{place}")
        for place, side in enumerate(sides)
    )
    # A rival that corresponds better to another relation is no rival.
    best = pl.col("best_0") & pl.col("best_1")
    for side, own, of_rival in zip(sides, ("best_0", "best_1"), ("best_1", "best_0"), strict=True):
        share = pl.col("both").filter(pl.col(of_rival) & ~pl.col(own)).max().over(side)
        best &= pl.col("both") >= settings.margin * share.fill_null(0.0)
    return pl.concat(
        [
            found.filter(one_name).with_columns(both=pl.max_horizontal("forward", "backward")),
            rivals.filter((pl.col("both") >= settings.threshold) & best).drop("best_0", "best_1"),
        ]
    )


def lowered(found: pl.DataFrame, caution: float) -> pl.DataFrame:
    """Return correspondences with shares lowered by ``caution`` standard errors.

    That is the lower end of Wilson's interval (1927); 0 leaves shares as they are.
    """
    columns = {}
    for name in ("forward", "backward"):
        share, z2 = pl.col(name).clip(0.0, 1.0), caution**2
        n = (pl.col("support") / pl.col(name)).clip(lower_bound=1.0)
        std = (share * (1 - share) / n + z2 / (4 * n**2)).sqrt()
        columns[name] = (share + z2 / (2 * n) - caution * std) / (1 + z2 / n)
    return found.with_columns(**columns) if caution else found


def unified(found: pl.DataFrame, n_relations: int) -> Ints:
    """Return the class of each relation, and behind them of each inverse, ``(2 n_relations,)``.

    A class has the number of its first relation.

    Args:
        found: Correspondences of equal relations.
        n_relations: Number of relations.
    """
    relation, other = (found[name].to_numpy().astype(np.int64) for name in ("relation", "other"))
    turn = found["inverse"].to_numpy().astype(np.int64) * n_relations
    one = np.concatenate([relation, relation + n_relations])
    two = np.concatenate([other + turn, other + n_relations - turn])
    size = 2 * n_relations
    graph = sp.coo_array((np.ones(len(one)), (one, two)), shape=(size, size))
    component = connected_components(graph, directed=False)[1]
    first = np.unique(component, return_index=True)[1]
    return np.asarray(first[component], dtype=np.int64)


def named(
    joint: JointGraph, found: pl.DataFrame, settings: RelationSettings
) -> tuple[Correspondence, ...]:
    """Return equal relations and those that are part of another, for people to read.

    Each pair occurs once, the earlier graph at the left, the most certain first.
    """
    keys = ["source", "relation", "other_source", "other", "inverse"]
    found = lowered(found, settings.caution)
    same = same_relations(joint, found, settings).select(*keys, "both")
    marked = found.filter(pl.col("source") < pl.col("other_source"))
    marked = marked.join(same, on=keys, how="left").with_columns(
        part=pl.max_horizontal("forward", "backward")
    )
    marked = marked.filter(
        pl.col("both").is_not_null() | (pl.col("part") >= settings.part_threshold)
    )
    marked = marked.sort(pl.col("both").is_null(), -pl.col("part"), *keys)
    marked = marked.unique(keys[:-1], keep="first", maintain_order=True)
    shown = []
    for row in marked.iter_rows(named=True):
        one, two = joint.sources[row["source"]], joint.sources[row["other_source"]]
        part: Kind = "narrower" if row["forward"] >= row["backward"] else "broader"
        shown.append(
            Correspondence(
                one,
                joint.parts[one].relation_name(row["relation"]),
                two,
                joint.parts[two].relation_name(row["other"]),
                part if row["both"] is None else "same",
                row["inverse"],
                round(row["part"] if row["both"] is None else row["both"], 4),
                row["support"],
            )
        )
    return tuple(shown)


def same_relation_links(
    found: Sequence[Correspondence], graphs: Mapping[str, KnowledgeGraph], provenance: str
) -> list[Links]:
    """Return links of relations that are the same under different names and no inverses.

    Args:
        found: Correspondences; others than these are passed over.
        graphs: The graphs by name.
        provenance: Where the links come from, for people to read.
    """
    pairs: dict[tuple[str, str], list[tuple[int, int, float]]] = {}
    for x in found:
        if x.kind == "same" and not x.inverse and x.relation != x.other:
            rows = graphs[x.left].relations.row(x.relation), graphs[x.right].relations.row(x.other)
            pairs.setdefault((x.left, x.right), []).append((*rows, x.confidence))
    return [
        Links(
            left,
            right,
            np.array([row[:2] for row in rows], dtype=np.int64),
            np.array([row[2] for row in rows], dtype=np.float32),
            "relation",
            provenance,
        )
        for (left, right), rows in pairs.items()
    ]


def incidence(rows: Ints, columns: Ints, shape: tuple[int, int]) -> sp.csr_array:
    """Return a sparse matrix with ones at the given positions, which may be repeated."""
    found = sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    found.sum_duplicates()
    found.data[:] = 1
    return found
