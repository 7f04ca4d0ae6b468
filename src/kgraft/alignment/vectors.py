"""Evidence by vectors: entities of two graphs that are each other's nearest neighbours."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgraft.alignment.candidates import rank_in_group
from kgraft.alignment.labels import Names
from kgraft.alignment.nodes import Floats, Ints, Nodes
from kgraft.alignment.settings import VectorSettings
from kgraft.linking.collection import Collection
from kgraft.pipeline.pretrain import pretrain
from kgraft.pipeline.run import RunOptions
from kgraft.settings import ModelSettings, TrainingSettings, TrainSettings
from kgraft.system.progress import Listener

Vectors = NDArray[np.float32]

NEAREST = 10
"""Nearest vectors found of each, whose mean similarity CSLS subtracts."""

ROWS = 1024
"""Vectors that are compared at once."""

EXACT = 20_000
"""Largest set of vectors that is searched exactly."""

CENTRES = 512
"""Inverted lists of a larger set."""

PROBES = 16
"""Lists that are searched for each vector."""


def add_vector_neighbours(
    collection: Collection,
    nodes: Nodes,
    clusters: Ints,
    names: Names,
    settings: VectorSettings,
    listener: Listener,
) -> Names:
    """Train vectors of all graphs together, and add pairs of near vectors to the names.

    Linked entities share a vector, so entities with similar relations to linked ones come near each
    other. Only pairs without a partner in each other's graph are added.

    Args:
        collection: The graphs, with the links to train by.
        nodes: All entities.
        clusters: The clusters that these links make.
        names: The evidence so far.
        settings: Training, and probabilities of near vectors.
        listener: Receives the number of epochs done; by default a bar or log lines.
    """
    learned = {
        name: graph.select(valid=slice(0), test=slice(0))
        for name, graph in collection.graphs.items()
    }
    teacher = pretrain(
        replace(collection, graphs=learned),
        TrainSettings(
            model=ModelSettings(width=settings.width),
            training=TrainingSettings(epochs=settings.epochs, seed=settings.seed),
        ),
        sources=list(learned),
        options=RunOptions(listener),
    )
    rows = np.concatenate([teacher.graph.part(name).entity_rows for name in learned])
    vectors = teacher.kge.vectors().numpy()
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    partners = nodes.members(clusters)[clusters]
    mentioned = np.isin(np.arange(len(nodes)), nodes.joint.triples[:, [0, 2]])
    pairs, probabilities = [names.alike], [names.probability]
    for one, other in combinations(range(len(nodes.graphs)), 2):
        ends = []
        for own, far in ((one, other), (other, one)):
            of_graph = np.arange(nodes.first[own], nodes.first[own + 1])
            ends.append(of_graph[mentioned[of_graph] & (partners[of_graph, far] < 0)])
        near, mutual = mutual_neighbours(*(vectors[rows[nodes_of]] for nodes_of in ends))
        pairs.append(np.stack([ends[0][near[:, 0]], ends[1][near[:, 1]]], axis=1))
        probabilities.append(np.where(mutual, settings.mutual, settings.near))
    alike, probability = np.concatenate(pairs), np.concatenate(probabilities)
    similarity = np.append(names.similarity, np.full(len(alike) - len(names.alike), np.nan))
    return replace(names, alike=alike, probability=probability, similarity=similarity)


def mutual_neighbours(left: Vectors, right: Vectors) -> tuple[Ints, NDArray[np.bool_]]:
    """Pair vectors with their nearest ones, hubs pushed back.

    Similarity is CSLS (Conneau et al., ICLR 2018): twice the cosine, less the mean cosine of either
    vector with its nearest ones on the other side.

    Args:
        left: Vectors of length 1, ``(n, d)``.
        right: Others, ``(m, d)``.

    Returns:
        The nearest one of each vector on either side, as pairs of rows ``(p, 2)``, each pair once;
        and which of the pairs are nearest in both directions, ``(p,)``.
    """
    if not len(left) or not len(right):
        return np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=np.bool_)
    forward, backward = nearest(left, right), nearest(right, left)
    means = [
        np.bincount(pairs[:, 0], weights=cosine) / np.maximum(np.bincount(pairs[:, 0]), 1)
        for pairs, cosine in (forward, backward)
    ]
    pairs = np.concatenate([forward[0], backward[0][:, ::-1]])
    cosine = np.concatenate([forward[1], backward[1]])
    keys, first = np.unique(pairs[:, 0] * len(right) + pairs[:, 1], return_index=True)
    rows, columns = np.divmod(keys, len(right))
    scaled = 2 * cosine[first] - means[0][rows] - means[1][columns]
    best_of_left = _best(rows, scaled)
    best_of_right = _best(columns, scaled)
    either = best_of_left | best_of_right
    return np.stack([rows, columns], axis=1)[either], (best_of_left & best_of_right)[either]


def _best(groups: Ints, values: Floats) -> NDArray[np.bool_]:
    """Mark the first row with its group's largest value."""
    order = np.lexsort((-values, groups))
    best = np.zeros(len(groups), dtype=np.bool_)
    best[order] = rank_in_group(groups[order]) == 0
    return best


def nearest(asked: Vectors, among: Vectors) -> tuple[Ints, Floats]:
    """Return the ``NEAREST`` nearest of each vector, and their cosines.

    Among more than ``EXACT`` vectors the search is approximate, by inverted lists.

    Returns:
        Pairs of rows ``(p, 2)``, in the order of the first, and cosines ``(p,)``.
    """
    if len(among) <= EXACT:
        columns = np.arange(len(among))
        parts = [_top(rows, asked, columns, among) for rows in _blocks(np.arange(len(asked)))]
    else:
        parts = _by_lists(asked, among)
    pairs, cosine = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((pairs[:, 1], -cosine, pairs[:, 0]))
    pairs, cosine = pairs[order], cosine[order]
    kept = rank_in_group(pairs[:, 0]) < NEAREST
    return pairs[kept], cosine[kept]


def _top(rows: Ints, asked: Vectors, columns: Ints, among: Vectors) -> tuple[Ints, Floats]:
    """Return the nearest of some vectors among some others."""
    cosine = asked[rows] @ among[columns].T
    k = min(NEAREST, len(columns))
    best = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
    pairs = np.stack([np.repeat(rows, k), columns[best].ravel()], axis=1)
    return pairs, np.take_along_axis(cosine, best, axis=1).ravel().astype(np.float64)


def _by_lists(asked: Vectors, among: Vectors) -> list[tuple[Ints, Floats]]:
    centres = among[np.random.default_rng(0).choice(len(among), CENTRES, replace=False)]
    listed = np.concatenate([(x @ centres.T).argmax(axis=1) for x in _blocks(among)])
    probes = np.concatenate(
        [np.argpartition(-(x @ centres.T), PROBES, axis=1)[:, :PROBES] for x in _blocks(asked)]
    )
    parts = []
    for centre in range(CENTRES):
        columns = np.flatnonzero(listed == centre)
        rows = np.flatnonzero((probes == centre).any(axis=1))
        if len(columns):
            parts += [_top(block, asked, columns, among) for block in _blocks(rows)]
    return parts


def _blocks(rows: NDArray[Any]) -> list[NDArray[Any]]:
    return [rows[start : start + ROWS] for start in range(0, len(rows), ROWS)]
