"""Similar entities and similar facts, by the cosine of vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from kgraft.graph.vocabulary import Rows
from kgraft.inference.names import ModelNames
from kgraft.inference.results import Results
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.system.forks import require_threads


@dataclass(frozen=True)
class Neighbour:
    """An entity with a similar vector.

    Args:
        name: Its name in the requested source.
        label: A readable label.
        similarity: The cosine of the two vectors, from -1 to 1.
        sources: The sources that have it, the requested one included.
    """

    name: str
    label: str
    similarity: float
    sources: tuple[str, ...]

    COLUMNS: ClassVar = {
        "name": pl.String,
        "label": pl.String,
        "similarity": pl.Float64,
        "sources": pl.List(pl.String),
    }

    def __str__(self) -> str:
        return f"{self.label}: similarity {self.similarity:.3f}, in {', '.join(self.sources)}"


def similar(
    model: TrainedModel, entity: str, *, source: str | None = None, k: int = 10
) -> Results[Neighbour]:
    """Return the most similar entities, as ``TrainedModel.similar`` says."""
    require_threads()
    return neighbours(ModelNames(model, source), entity, k)


def neighbours(names: ModelNames, entity: str, k: int) -> Results[Neighbour]:
    """Return the most similar entities of the source of ``names``, as ``similar`` does."""
    if k < 1:
        raise ValueError(f"k is at least 1, not {k}")
    model, part = names.model, names.part
    place = names.entity(entity)
    own = names.vector(place)
    places = np.flatnonzero(model.kge.has_vector(part.entity_rows))
    places = places[places != place]
    rows = part.entity_rows[places]
    cosines = _cosines(model.kge, rows, own)
    best = cosines.topk(min(k, len(rows)))
    chosen = best.indices.numpy()
    found = (
        Neighbour(part.entities.name(at), names.entity_label(row), similarity, names.sources(row))
        for at, row, similarity in zip(
            places[chosen].tolist(), rows[chosen].tolist(), best.values.tolist(), strict=True
        )
    )
    return Results(Neighbour, found)


def similar_facts(
    model: TrainedModel, fact: tuple[int, int, int], k: int
) -> list[tuple[float, tuple[int, int, int]]]:
    """Return the known facts of the same relation between the most similar entities.

    Args:
        model: A trained model.
        fact: Head, relation and tail in the model's rows; both entities have a vector.
        k: The maximum number of facts.

    Returns:
        Mean cosine of heads and of tails, and the fact; the most similar first.
    """
    head, relation, tail = fact
    graph, kge = model.graph, model.kge
    heads, relations, tails = graph.triples.T
    there = (relations == relation) & kge.has_vector(heads) & kge.has_vector(tails)
    facts = np.unique(graph.triples[there & ((heads != head) | (tails != tail))], axis=0)
    cosines = torch.stack(
        [_cosines(kge, facts[:, at], row) for at, row in ((0, head), (2, tail))]
    ).mean(0)
    best = cosines.topk(min(k, len(facts)))
    return [
        (similarity, (int(a), int(b), int(c)))
        for similarity, (a, b, c) in zip(
            best.values.tolist(), facts[best.indices.numpy()], strict=True
        )
    ]


def _cosines(kge: KgeModel, rows: Rows, row: int) -> Tensor:
    """Return the cosine of each of some entities' vectors with one entity's, ``(n,)``."""
    others, own = (kge.vectors(torch.from_numpy(x)) for x in (rows, np.array([row])))
    return cosine_similarity(others, own, dim=1)
