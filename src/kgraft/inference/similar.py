"""Which entities have vectors that point the same way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from kgraft.graph.vocabulary import Rows
from kgraft.inference.names import Named
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel


@dataclass(frozen=True)
class Neighbour:
    """An entity with a vector like another's.

    Args:
        name: Its name in the source that was asked.
        label: What a person calls it.
        similarity: The cosine of the two vectors, from -1 to 1.
        sources: The sources that have it too, that one included.
    """

    name: str
    label: str
    similarity: float
    sources: tuple[str, ...]


def similar(
    model: TrainedModel, entity: str, *, source: str | None = None, k: int = 10
) -> list[Neighbour]:
    """Return the entities whose vectors are the most like an entity's, by cosine.

    Args:
        model: A trained model.
        entity: Name or label of the entity.
        source: The graph whose names are used and whose entities are compared; by default the
            model's target, or a teacher's first source.
        k: The most entities.

    Raises:
        UnknownNameError: If the name is unknown, a label means several entities, or the entity has
            no vector.
        ValueError: If ``k`` is below 1.
    """
    return neighbours(Named(model, source), entity, k)


def neighbours(named: Named, entity: str, k: int) -> list[Neighbour]:
    """Do what ``similar`` does, with a model in the names of a source."""
    if k < 1:
        raise ValueError(f"k is at least 1, not {k}")
    model, part = named.model, named.part
    place = named.entity(entity)
    own = named.vector(place)
    places = np.flatnonzero(part.entity_rows < model.kge.n_entities)
    places = places[places != place]
    rows = part.entity_rows[places]
    cosines = _cosines(model.kge, rows, own)
    best = cosines.topk(min(k, len(rows)))
    chosen = best.indices.numpy()
    return [
        Neighbour(part.entities.name(at), named.entity_label(row), similarity, named.sources(row))
        for at, row, similarity in zip(
            places[chosen].tolist(), rows[chosen].tolist(), best.values.tolist(), strict=True
        )
    ]


def similar_facts(
    model: TrainedModel, fact: tuple[int, int, int], k: int
) -> list[tuple[float, tuple[int, int, int]]]:
    """Return the known facts of the same relation between entities the most like a fact's two.

    Args:
        model: A trained model.
        fact: Head, relation and tail in the model's rows, the two with a vector.
        k: The most facts.

    Returns:
        The mean cosine of the heads and of the tails, and the fact, the most similar first.
    """
    head, relation, tail = fact
    graph, kge = model.graph, model.kge
    heads, relations, tails = graph.triples.T
    there = (relations == relation) & graph.among_first(kge.n_entities)
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
