"""Nearest vectors of another set, and pairs that are nearest to each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kgraft.alignment.candidates import rank_in_group
from kgraft.alignment.nodes import Floats, Ints

Vectors = NDArray[np.float32]

NEAREST = 10
"""Neighbours of a vector that are found; their mean similarity is that of its surroundings."""

ROWS = 1024
"""Vectors that are compared at once."""

EXACT = 20_000
"""Sets of more vectors are searched by lists: around so many centres, in the nearest lists."""

CENTRES = 512
PROBES = 16


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
    """Say of each row whether its value is the first largest of its group."""
    order = np.lexsort((-values, groups))
    best = np.zeros(len(groups), dtype=np.bool_)
    best[order] = rank_in_group(groups[order]) == 0
    return best


def nearest(asked: Vectors, among: Vectors) -> tuple[Ints, Floats]:
    """Return the ``NEAREST`` nearest of each vector, and their cosines.

    Exactly so among at most ``EXACT``; else approximately: vectors are listed under the nearest of
    some centres, and looked for in the lists of the centres nearest to what is asked.

    Returns:
        Pairs of rows ``(p, 2)``, in the order of the first, and cosines ``(p,)``.
    """
    if len(among) <= EXACT:
        parts = [
            _top(
                np.arange(start, min(start + ROWS, len(asked))), asked, np.arange(len(among)), among
            )
            for start in range(0, len(asked), ROWS)
        ]
    else:
        parts = _by_lists(asked, among)
    pairs = np.concatenate([pairs for pairs, _ in parts])
    cosine = np.concatenate([cosine for _, cosine in parts])
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
    listed = np.concatenate(
        [
            (among[start : start + ROWS] @ centres.T).argmax(axis=1)
            for start in range(0, len(among), ROWS)
        ]
    )
    probes = np.concatenate(
        [
            np.argpartition(-(asked[start : start + ROWS] @ centres.T), PROBES, axis=1)[:, :PROBES]
            for start in range(0, len(asked), ROWS)
        ]
    )
    parts = []
    for centre in range(CENTRES):
        columns = np.flatnonzero(listed == centre)
        rows = np.flatnonzero((probes == centre).any(axis=1))
        if len(columns):
            starts = range(0, len(rows), ROWS)
            parts += [_top(rows[start : start + ROWS], asked, columns, among) for start in starts]
    return parts
