"""Paths from one entity to another, and what a model's vectors make of them.

Shapes: P paths, L steps of a path, D the width.
"""

from __future__ import annotations

import polars as pl
import torch
from torch.nn.functional import cosine_similarity

from kgraft.model.kge import KgeModel
from kgraft.rules.edges import Edges

LOOKED_AT = 10_000
"""Paths of each length that are weighed; between hubs there are more."""

Step = tuple[int, int, int]
"""Where a step leaves from, the relation that it follows, inverses counted, and where it leads."""


def weighed_paths(
    kge: KgeModel, edges: Edges, fact: tuple[int, int, int], k: int
) -> list[tuple[float, list[Step]]]:
    """Return the paths from a fact's head to its tail that the vectors weigh most.

    A path's weight is the cosine between the query vectors of its relations and of the fact's: how
    far it asks for the same. Paths have up to three steps, meet no entity twice, do not go by the
    fact itself, and go by entities that have a vector. Of those along the same relations one is
    returned.

    Args:
        kge: The vectors.
        edges: The graph.
        fact: Head, relation and tail, the two with a vector.
        k: The most paths.
    """
    head, relation, _ = fact
    own = kge.queries(torch.tensor([head]), torch.tensor([relation]))
    found: list[tuple[float, list[Step]]] = []
    for paths in _paths(edges.frame.filter(pl.col("y") < kge.n_entities), fact):
        steps = torch.from_numpy(paths.to_numpy().astype("int64"))
        queries = kge.path_queries(steps[:, 0:-1:2], steps[:, 1::2])[:, -1]
        weights = cosine_similarity(queries, own, dim=1)
        found += [
            (
                weight,
                [(at[place], at[place + 1], at[place + 2]) for place in range(0, len(at) - 2, 2)],
            )
            for weight, at in zip(weights.tolist(), steps.tolist(), strict=True)
        ]
    alike: dict[tuple[int, ...], tuple[float, list[Step]]] = {}
    # The sort is stable: of equal weights the shorter path comes first.
    for weight, path in sorted(found, key=lambda path: -path[0]):
        alike.setdefault(tuple(step[1] for step in path), (weight, path))
    return list(alike.values())[:k]


def _paths(edges: pl.DataFrame, fact: tuple[int, int, int]) -> list[pl.DataFrame]:
    """Return the paths of one, two and three steps: entities and relations in turn, in columns."""
    head, relation, tail = fact
    leaving = edges.filter(pl.col("x") == head).select(e0="x", r1="relation", e1="y")
    # What leads to the tail is what leads away from it, read the other way round.
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
    three = leaving.join(middle, on="e1").head(LOOKED_AT)
    three = three.join(arriving.select(e2="e0", r3="r1", e3="e1"), on="e2")
    columns = ["e0", "r1", "e1", "r2", "e2", "r3", "e3"]
    return [
        paths.select(columns[: 2 * length + 1]).sort(pl.all()).head(LOOKED_AT)
        for length, paths in enumerate((one, two, three), start=1)
        if len(paths)
    ]
