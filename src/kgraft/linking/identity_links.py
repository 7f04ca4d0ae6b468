"""Links from the statements of sameness that graphs make themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.spelling import Spelling
from kgraft.graph.vocabulary import Rows
from kgraft.linking.links import LinkKind, Links

PROVENANCE: Final = "statements of sameness"

_ENDS: Final = {"statement": pl.Int64, "source": pl.Int64, "row": pl.Int64}


@dataclass(frozen=True, eq=False)
class IdentityLinks:
    """Links that graphs state, and the statements that give some.

    Args:
        links: Links of certain confidence, one ``Links`` for two graphs and a kind.
        n_linking: Number of each graph's pairs of names that link two graphs.
        n_open: Number of its other statements with a name that none of its facts has.
    """

    links: tuple[Links, ...]
    n_linking: Mapping[str, int]
    n_open: Mapping[str, int]


def identity_links(
    graphs: Sequence[KnowledgeGraph], spelling: Spelling | None = None
) -> IdentityLinks:
    """Find the links that graphs state by statements of sameness.

    A name in a statement means the entity of its own graph that has facts; else those of other
    graphs, by name or by a further name that they state, rather ones with facts; else one of its
    own graph again. A name that no graph has means nothing.

    Args:
        graphs: Graphs with distinct names.
        spelling: Comparison of names with those of other graphs; None: the stating graph's own.
    """
    found: list[Links] = []
    linking: dict[str, set[int]] = {graph.name: set() for graph in graphs}
    if all(graph.identities is None for graph in graphs):
        return IdentityLinks((), *2 * (dict.fromkeys(linking, 0),))
    for kind in get_args(LinkKind):
        used = [_used(graph, kind) for graph in graphs]
        pairs = [pl.DataFrame(schema={**_ENDS, "source_right": pl.Int64, "row_right": pl.Int64})]
        for place, graph in enumerate(graphs):
            if graph.identities is None:
                continue
            stated = graph.identities.pairs
            left, right = (
                _ends(
                    stated[side], place, graphs, used, kind, spelling or graph.identities.spelling
                )
                for side in ("left", "right")
            )
            joined = left.join(right, on="statement").filter(
                pl.col("source") != pl.col("source_right")
            )
            linking[graph.name] |= set(joined["statement"].to_list())
            pairs.append(joined)
        found += _links(pl.concat(pairs), graphs, kind)
    n_open = {graph.name: _n_open(graph, linking[graph.name]) for graph in graphs}
    return IdentityLinks(tuple(found), {name: len(x) for name, x in linking.items()}, n_open)


def _n_open(graph: KnowledgeGraph, linking: set[int]) -> int:
    if graph.identities is None:
        return 0
    rest = graph.identities.pairs.with_row_index().filter(~pl.col("index").is_in(list(linking)))
    return len(rest) - int(rest["inside"].sum())


def without_known(found: Sequence[Links], known: Sequence[Links]) -> list[Links]:
    """Return links without the pairs that others have already, whatever their confidence."""
    rest = []
    for links in found:
        own = pl.DataFrame(links.pairs, schema=["left", "right"], orient="row")
        for x in known:
            if x.kind == links.kind and x.between(links.left, links.right):
                pairs = x.pairs if x.left == links.left else x.pairs[:, ::-1]
                other = pl.DataFrame(
                    np.ascontiguousarray(pairs), schema=["left", "right"], orient="row"
                )
                own = own.join(other, on=["left", "right"], how="anti", maintain_order="left")
        if len(own):
            rest.append(_certain(links.left, links.right, own, links.kind))
    return rest


def _used(graph: KnowledgeGraph, kind: LinkKind) -> NDArray[np.bool_]:
    """Mask the entities, or relations, that a fact has."""
    size = len(graph.entities if kind == "entity" else graph.relations)
    mask = np.zeros(size + 1, dtype=np.bool_)
    mask[graph.triples[:, [0, 2] if kind == "entity" else [1]]] = True
    return mask


def _ends(
    names: pl.Series,
    place: int,
    graphs: Sequence[KnowledgeGraph],
    used: Sequence[NDArray[np.bool_]],
    kind: LinkKind,
    spelling: Spelling,
) -> pl.DataFrame:
    """Return the rows that names of one graph's statements mean, columns ``_ENDS``."""
    others = [other for other in range(len(graphs)) if other != place]
    left = np.arange(len(names))
    is_blank = names.str.starts_with("_:").to_numpy()
    frames = [pl.DataFrame(schema=_ENDS)]
    levels = (([place], True), (others, True), (others, False), ([place], False))
    for level, (places, with_facts) in enumerate(levels):
        found = np.zeros(len(left), dtype=np.bool_)
        asked = names.gather(left)
        for source in places:
            rows = _rows(graphs[source], asked, kind, spelling, further=level > 0)
            is_meant = (rows >= 0) & (used[source][rows] | (not with_facts))
            is_meant &= ~is_blank[left] | (source == place)
            frames.append(
                pl.DataFrame(
                    {
                        "statement": left[is_meant],
                        "source": np.full(int(is_meant.sum()), source),
                        "row": rows[is_meant],
                    },
                    schema=_ENDS,
                )
            )
            found |= is_meant
        left = left[~found]
    return pl.concat(frames)


def _rows(
    graph: KnowledgeGraph, names: pl.Series, kind: LinkKind, spelling: Spelling, *, further: bool
) -> Rows:
    if not further:
        return (graph.entities if kind == "entity" else graph.relations).rows(names)
    return graph.rows(names, kind, spelling)


def _links(pairs: pl.DataFrame, graphs: Sequence[KnowledgeGraph], kind: LinkKind) -> list[Links]:
    turned = pairs.select(
        source="source_right", row="row_right", source_right="source", row_right="row"
    )
    both = pl.concat([pairs.select(turned.columns), turned])
    found = []
    for left, right in combinations(range(len(graphs)), 2):
        own = both.filter((pl.col("source") == left) & (pl.col("source_right") == right))
        rows = own.select(left="row", right="row_right").unique().sort("left", "right")
        if len(rows):
            found.append(_certain(graphs[left].name, graphs[right].name, rows, kind))
    return found


def _certain(left: str, right: str, rows: pl.DataFrame, kind: LinkKind) -> Links:
    pairs = rows.to_numpy().astype(np.int64).reshape(-1, 2)
    return Links(left, right, pairs, np.ones(len(pairs), dtype=np.float32), kind, PROVENANCE)
