"""Reasons for matches, in words."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from kgraft.alignment.labels import Names
from kgraft.alignment.nodes import Ints, Nodes, first_members
from kgraft.alignment.structure import Neighbours
from kgraft.io.iris import labels_of_iris

SHOWN = 3
"""Pieces of evidence that are named; the others are counted."""


def reasons(
    nodes: Nodes, clusters: Ints, left: Ints, right: Ints, around: Neighbours, names: Names
) -> list[str]:
    """Return a sentence on the evidence that each pair of clusters shares, the strongest first.

    Args:
        nodes: All entities.
        clusters: The cluster of each node.
        left: One cluster of each pair, ``(p,)``.
        right: The other, ``(p,)``.
        around: Evidence by neighbours.
        names: Evidence by names.
    """
    found: dict[int, list[tuple[float, str]]] = defaultdict(list)
    relations, example = _relation_names(nodes), first_members(clusters)

    def statement(column: int) -> str:
        other = nodes.label(int(example[around.other[column]]))
        return f"{relations[around.relation[column]]} {other}"

    for evidence, text in (
        (around.of_clusters(clusters), statement),
        (names.of_clusters(clusters)[0], lambda column: f'name "{names.keys[column]}"'),
    ):
        shared = (evidence[left] * evidence[right]).tocoo()
        columns = (shared.row.tolist(), shared.col.tolist(), shared.data.tolist())
        for pair, column, weight in zip(*columns, strict=True):
            found[pair].append((weight, text(column)))
    for pair, texts in _spelt_alike(nodes, clusters, left, right, names).items():
        found[pair].extend(texts)
    return [_sentence(found[pair]) for pair in range(len(left))]


def _spelt_alike(
    nodes: Nodes, clusters: Ints, left: Ints, right: Ints, names: Names
) -> dict[int, list[tuple[float, str]]]:
    found: dict[int, list[tuple[float, str]]] = defaultdict(list)
    pair_of = np.full(int(clusters.max(initial=-1)) + 1, -1, dtype=np.int64)
    pair_of[left] = pair_of[right] = np.arange(len(left))
    pairs = pair_of[clusters[names.alike]]
    ours = (pairs[:, 0] >= 0) & (pairs[:, 0] == pairs[:, 1])
    for place in np.flatnonzero(ours).tolist():
        one, other = (nodes.label(int(node)) for node in names.alike[place])
        likeness = names.similarity[place]
        text = (
            "neighbouring vectors"
            if np.isnan(likeness)
            else f'labels "{one}" and "{other}" ({likeness:.2f} alike)'
        )
        found[int(pairs[place, 0])].append((float(-np.log1p(-names.probability[place])), text))
    return found


def _relation_names(nodes: Nodes) -> list[str]:
    """Return the readable name of each relation, and behind them of each inverse."""
    read = [""] * (2 * nodes.joint.n_relations)
    for part in nodes.joint.parts.values():
        names = part.relations.names
        readable = labels_of_iris(names).fill_null(names)
        for row, name in zip(part.relation_rows.tolist(), readable.to_list(), strict=True):
            read[row] = read[row] or name
            read[row + nodes.joint.n_relations] = f"{read[row]} of"
    return read


def _sentence(pieces: list[tuple[float, str]]) -> str:
    """Join the strongest pieces into one sentence, without tabs or line breaks."""
    best = [text for _, text in sorted(pieces, key=lambda piece: (-piece[0], piece[1]))]
    more = f" and {len(best) - SHOWN} more" if len(best) > SHOWN else ""
    return " ".join(f"both: {', '.join(best[:SHOWN])}{more}".split())
