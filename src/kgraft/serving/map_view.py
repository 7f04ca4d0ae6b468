"""The map of a served model: its entities in two dimensions, with the groups that colour them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch import Tensor

from kgraft.graph.vocabulary import Rows
from kgraft.inference.names import ModelNames
from kgraft.reporting.entity_map import principal_places

MAX_POINTS = 5_000  # entities on the map
BEST_CONNECTED = 1_000  # of them, those with the most facts; the others are a sample
MAX_GROUPS = 8  # the last one holds all others
TYPED = 0.3  # share of the entities from which on stated types are groups

TYPES = {"type", "rdftype", "instanceof", "isa", "p31", "kind", "class"}
"""Ends of names of relations that lead to a type, in lower case and without other signs."""


@dataclass(frozen=True)
class Grouping:
    """Groups of the entities on a map.

    Args:
        names: Their names.
        of: The index of each entity's group.
    """

    names: list[str]
    of: list[int]


@dataclass(frozen=True)
class Map:
    """Entities along the first two principal components of their vectors.

    Args:
        names: Their names, those with the most facts first.
        labels: Their labels.
        points: Their coordinates, from -1 to 1.
        facts: The number of training facts about each.
        entities: The number of all entities; the map may have a sample of them.
        explained_variance: The share of the variance along each axis.
        by_source: Groups by the sources that know an entity.
        by_type: Groups by type; where the graph states none, by the relations that an entity is in.
    """

    names: list[str]
    labels: list[str]
    points: list[tuple[float, float]]
    facts: list[int]
    entities: int
    explained_variance: list[float]
    by_source: Grouping
    by_type: Grouping


class Projection:
    """Entity vectors along their first two principal components.

    Args:
        vectors_ND: One or more vectors, two or more wide.

    Attributes:
        positions: Coordinates from -1 to 1, float ``(N, 2)``.
        explained_variance: Each component's share of the variance.
    """

    def __init__(self, vectors_ND: Tensor) -> None:
        positions, self.explained_variance = principal_places(vectors_ND)
        # A few entities lie far out; they move to the edge, so that the others fill the map.
        scale = max(np.quantile(np.abs(positions), 0.995, axis=0).max(), 1e-12)
        self.positions: NDArray[np.float64] = np.clip(positions / scale, -1, 1)


def map_view(names: ModelNames, rows: Rows, projection: Projection) -> Map:
    """Return the map of the entities of a source that have vectors.

    Args:
        names: A model's names, seen from the source.
        rows: Their rows in the model, ``(N,)``.
        projection: Their places, in the same order.
    """
    graph = names.model.graph
    degree = np.bincount(graph.triples[:, [0, 2]].ravel(), minlength=graph.n_entities)[rows]
    shown = sample(degree)
    chosen = rows[shown]
    return Map(
        names=[names.entity_name(row) for row in chosen.tolist()],
        labels=[names.entity_label(row) for row in chosen.tolist()],
        points=[(x, y) for x, y in projection.positions[shown].round(3).tolist()],
        facts=degree[shown].tolist(),
        entities=len(rows),
        explained_variance=[*projection.explained_variance],
        by_source=_by_source(names, chosen),
        by_type=_by_type(names, chosen),
    )


def sample(degree: Rows) -> Rows:
    """Return the places of the best connected entities, and of an even sample of the others."""
    order = np.argsort(-degree, kind="stable")
    if len(order) <= MAX_POINTS:
        return order
    first, others = order[:BEST_CONNECTED], order[BEST_CONNECTED:]
    even = np.linspace(0, len(others) - 1, MAX_POINTS - BEST_CONNECTED).astype(np.int64)
    return np.concatenate([first, others[even]])


def _by_source(names: ModelNames, rows: Rows) -> Grouping:
    parts = names.model.graph.parts
    others = [source for source in parts if source != names.source]
    knows = np.stack([np.isin(rows, parts[x].entity_rows) for x in others] or [rows < 0])
    texts = []
    for known in knows.T.tolist():
        by = [source for source, knows_it in zip(others, known, strict=False) if knows_it]
        texts.append(f"also {' and '.join(by)}" if by else f"{names.source} alone")
    return grouped(texts)


def _by_type(names: ModelNames, rows: Rows) -> Grouping:
    graph = names.model.graph
    shown = np.zeros(graph.n_entities, dtype=np.bool_)
    shown[rows] = True
    facts = graph.triples[shown[graph.triples[:, 0]] | shown[graph.triples[:, 2]]]
    along = [
        row
        for row in np.unique(facts[:, 1]).tolist()
        if re.sub(r"[\W_]", "", names.relation_label(row)).lower() in TYPES
    ]
    typed = facts[np.isin(facts[:, 1], along)]
    if np.isin(rows, typed[:, 0]).mean() >= TYPED:
        pairs = pl.DataFrame({"x": typed[:, 0], "key": typed[:, 2]})
        return _most_frequent(pairs, rows, names.entity_label)
    n = names.n_relations
    ends = np.concatenate([facts[:, [0, 1]], facts[:, [2, 1]] + [0, n]])
    pairs = pl.DataFrame({"x": ends[:, 0], "key": ends[:, 1]})

    def name_of(key: int) -> str:
        label = names.relation_label(key)
        return f"head of {label}" if key < n else f"tail of {label}"

    return _most_frequent(pairs, rows, name_of)


def _most_frequent(pairs: pl.DataFrame, rows: Rows, name_of: Callable[[int], str]) -> Grouping:
    """Group entities by the one of their keys that most entities have.

    Args:
        pairs: Columns x, an entity, and key.
        rows: The entities to group.
        name_of: Returns the name of a key.
    """
    among = pairs.unique().filter(pl.col("x").is_in(rows.tolist()))
    sized = among.with_columns(n=pl.len().over("key"))
    best = sized.sort("n", "key", descending=[True, False]).unique("x", keep="first")
    key = dict(best.select("x", "key").iter_rows())
    return grouped(
        [name_of(key[row]) if row in key else "nothing is stated" for row in rows.tolist()]
    )


def grouped(texts: Sequence[str]) -> Grouping:
    """Return the groups of entities that have the same text; small ones are one."""
    counts = Counter(texts).most_common()
    kept = [text for text, _ in (counts if len(counts) <= MAX_GROUPS else counts[: MAX_GROUPS - 1])]
    names = kept + (["others"] if len(kept) < len(counts) else [])
    places = {text: place for place, text in enumerate(kept)}
    return Grouping(names, [places.get(text, len(kept)) for text in texts])
