"""A map of entities: the first two principal components of their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from markupsafe import Markup
from numpy.typing import NDArray
from torch import Tensor

from kgraft.graph.vocabulary import Rows
from kgraft.inference.names import ModelNames
from kgraft.model.encoders import principal_directions
from kgraft.model.trained_model import TrainedModel
from kgraft.reporting.figures import SHAPES, Drawing, Figure, cut, mark

MAX_POINTS = 3000
"""The maximum number of entities on a map; more make it darker and the file larger."""

MAX_NAMES, NAME_CANDIDATES = 12, 200
"""The maximum number of names on a map, and of the best connected entities tried for them."""

FEW = 500
"""The number of entities up to which they are drawn as larger dots."""

WIDTH, HEIGHT, MARGIN = 600, 440, 14
LETTER, LINE = 10.5, 20
"""The approximate size of a letter at its largest, on a phone."""

_NAME = Markup('<text class="named" x="{}" text-anchor="{}" y="{}">{}</text>')

Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""


@dataclass(frozen=True, eq=False)
class EntityMap:
    """Places of some entities in the plane.

    Args:
        rows: Their rows in the model, int64 ``(p,)``, those with the most facts first.
        places: Their coordinates, float ``(p, 2)``.
        shares: The share of the variance along each axis, ``(2,)``.
        groups: The index of each entity's group in ``names``, int64 ``(p,)``.
        names: The names of the groups.
    """

    rows: Rows
    places: NDArray[np.float64]
    shares: tuple[float, float]
    groups: Rows
    names: Sequence[str]


def map_entities(model: TrainedModel) -> EntityMap:
    """Lay out a model's entities: all of them, or the best connected and a sample of the others."""
    n = model.kge.n_entities
    ends = model.graph.triples[:, [0, 2]].ravel()
    degree = np.bincount(ends, minlength=n)[:n]
    rows = np.argsort(-degree, kind="stable")
    if n > MAX_POINTS:
        others = np.random.default_rng(0).permutation(rows[NAME_CANDIDATES:])
        rows = np.concatenate([rows[:NAME_CANDIDATES], others[: MAX_POINTS - NAME_CANDIDATES]])
    places, shares = principal_places(model.kge.vectors(torch.from_numpy(rows)))
    groups, names = _groups(model)
    return EntityMap(rows, places, shares, groups[rows], names)


def principal_places(vectors_ND: Tensor) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Return vectors' first two principal components ``(N, 2)`` and their shares of the variance.

    The sign of each axis is chosen so that the farthest vector lies on its positive side.
    """
    centred = vectors_ND.double() - vectors_ND.double().mean(dim=0)
    places = (centred @ principal_directions(centred, 2)).numpy()
    farthest = np.abs(places).argmax(axis=0)
    places = places * np.where(places[farthest, [0, 1]] < 0, -1.0, 1.0)
    whole = float(centred.square().sum())
    first, second = (places**2).sum(axis=0) / whole if whole else (0.0, 0.0)
    return places, (float(first), float(second))


def _groups(model: TrainedModel) -> tuple[Rows, Sequence[str]]:
    """Return the group of each entity row and the groups' names: by link, or by source."""
    graph, n = model.graph, model.graph.n_entities
    among = np.zeros((len(graph.parts), n), dtype=bool)
    for place, part in enumerate(graph.parts.values()):
        among[place, part.entity_rows] = True
    if model.target is None:
        names = list(graph.sources)
        kept = len(SHAPES) - 1 if len(names) > len(SHAPES) else len(names)
        shown = names[:kept] + (["other sources"] if kept < len(names) else [])
        return np.minimum(among.argmax(axis=0), len(shown) - 1), shown
    own = among[graph.sources.index(model.target)]
    linked = among.sum(axis=0) > 1
    names = [f"{model.target}, linked", f"{model.target}, not linked", "background only"]
    return np.where(own, np.where(linked, 0, 1), 2), names


def map_figure(model: TrainedModel, entities: EntityMap) -> Markup:
    """Draw a map with the names of its best connected entities."""
    placed = _on_paper(entities.places)
    marks, size = [], "cloud" if len(placed) > FEW else "cloud few"
    for group in np.unique(entities.groups)[::-1].tolist():
        points = placed[entities.groups == group].round().astype(int).tolist()
        path = "".join(f"M{x} {y}h0" for x, y in points)
        marks.append(Markup('<path class="{} s{}" d="{}"></path>').format(size, group, path))
    marks += _names(entities, placed, ModelNames(model))
    first, second = (f"{100 * share:.0f} %" for share in entities.shares)
    n, whole = len(entities.rows), model.kge.n_entities
    few = f"{n:,} of " if n < whole else ""
    caption = (
        f"{few}{whole:,} entities along the first two principal components of their vectors, "
        f"which explain {first} and {second} of the variance. Some with many facts are named."
    )
    legend = {entities.names[x]: x for x in np.unique(entities.groups).tolist()}
    drawing = Drawing("Map of the entities", caption, marks, WIDTH, HEIGHT)
    return Figure([drawing], legend, caption).html(kind="wide map")


def _on_paper(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return places in the drawing, ``(p, 2)``; both axes have one scale, to keep distances."""
    low, high = places.min(axis=0), places.max(axis=0)
    space = np.array([WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN])
    spans = high - low
    scale = min((space[spans > 0] / spans[spans > 0]).tolist(), default=1.0)
    middle = (low + high) / 2
    center, onto = np.array([WIDTH, HEIGHT]) / 2, np.array([scale, -scale])
    return np.asarray(center + (places - middle) * onto)


def _names(entities: EntityMap, placed: NDArray[np.float64], names: ModelNames) -> list[Markup]:
    """Mark and name the best connected entities, without overlapping names."""
    taken: list[Box] = []
    written: list[Markup] = []
    columns = (x[:NAME_CANDIDATES].tolist() for x in (entities.rows, entities.groups, placed))
    for row, group, (x, y) in zip(*columns, strict=True):
        text = cut(names.entity_label(row))
        length = LETTER * len(text)
        begins = x + 9 + length <= WIDTH
        left = x + 9 if begins else x - 9 - length
        box = (min(left, x - 5), y - LINE / 2, max(left + length, x + 5), y + LINE / 2)
        if box[0] < 0 or any(_overlap(box, other) for other in taken):
            continue
        taken.append(box)
        at = (round(x + 9), "start") if begins else (round(x - 9), "end")
        written.append(mark((x, y), group, size=5))
        written.append(_NAME.format(*at, round(y + 4), text))
        if len(taken) == MAX_NAMES:
            break
    return written


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
