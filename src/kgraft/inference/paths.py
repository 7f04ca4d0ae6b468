"""Paths between two entities, ranked by a model's vectors.

Shapes: P paths, L relations along a path, D the width.
"""

from __future__ import annotations

import polars as pl
import torch
from torch.nn.functional import cosine_similarity

from kgraft.model.kge import KgeModel
from kgraft.rules.edges import Edges

MAX_PATHS = 10_000
"""Paths of each length that are compared; between hubs there are more."""

Edge = tuple[int, int, int]
"""Start, relation (inverses counted) and end of an edge along a path."""


def weighted_paths(
    kge: KgeModel, edges: Edges, fact: tuple[int, int, int], k: int
) -> list[tuple[float, list[Edge]]]:
    """Return the paths from a fact's head to its tail with the largest weights.

    A path's weight is the cosine of two query vectors: that of its relations and that of the fact's
    relation. Paths have up to three edges, visit no entity twice, leave out the fact itself, and
    visit only entities with a vector. Of paths along the same relations the best one is returned.

    Args:
        kge: The vectors.
        edges: The graph.
        fact: Head, relation and tail; both entities have a vector.
        k: The maximum number of paths.
    """
    head, relation, _ = fact
    own = kge.queries(torch.tensor([head]), torch.tensor([relation]))
    found: list[tuple[float, list[Edge]]] = []
    for paths in _paths(edges.frame.filter(kge.has_vector(edges.frame["y"].to_numpy())), fact):
        rows = torch.from_numpy(paths.to_numpy().astype("int64"))
        queries = kge.path_queries(rows[:, 0:-1:2], rows[:, 1::2])[:, -1]
        weights = cosine_similarity(queries, own, dim=1)
        found += [
            (weight, [(at[i], at[i + 1], at[i + 2]) for i in range(0, len(at) - 2, 2)])
            for weight, at in zip(weights.tolist(), rows.tolist(), strict=True)
        ]
    by_relations: dict[tuple[int, ...], tuple[float, list[Edge]]] = {}
    # The sort is stable: of equal weights the shorter path comes first.
    for weight, path in sorted(found, key=lambda path: -path[0]):
        by_relations.setdefault(tuple(edge[1] for edge in path), (weight, path))
    return list(by_relations.values())[:k]


def _paths(edges: pl.DataFrame, fact: tuple[int, int, int]) -> list[pl.DataFrame]:
    """Return the paths of length 1, 2 and 3: entities and relations in turn, in columns."""
    head, relation, tail = fact
    leaving = edges.filter(pl.col("x") == head).select(e0="x", r1="relation", e1="y")
    arriving = edges.filter(pl.col("y") == tail).select(e0="x", r1="relation", e1="y")
    one = leaving.filter(pl.col("e1") == tail, pl.col("r1") != relation)
    leaving = leaving.filter(~pl.col("e1").is_in([head, tail]))
    arriving = arriving.filter(~pl.col("e0").is_in([head, tail]))
    two = leaving.join(arriving.select(e1="e0", r2="r1", e2="e1"), on="e1")
    middle = (
        edges.filter(pl.col("x") != pl.col("y"))
        .join(leaving.select(x="e1").unique(), on="x", how="semi")
        .join(arriving.select(y="e0").unique(), on="y", how="semi")
        .select(e1="x", r2="relation", e2="y")
    )
    three = leaving.join(middle, on="e1").head(MAX_PATHS)
    three = three.join(arriving.select(e2="e0", r3="r1", e3="e1"), on="e2")
    columns = ["e0", "r1", "e1", "r2", "e2", "r3", "e3"]
    return [
        paths.select(columns[: 2 * length + 1]).sort(pl.all()).head(MAX_PATHS)
        for length, paths in enumerate((one, two, three), start=1)
        if len(paths)
    ]
