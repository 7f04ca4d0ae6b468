"""The protocol of scorers, and scorers by the rows of other graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.known_facts import KnownFacts, Side
from kgraft.graph.vocabulary import Rows
from kgraft.linking.collection import Collection
from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.linked_subgraph import connect
from kgraft.settings import MatchingSettings


def directed(relations: Tensor, side: Side, n_relations: int) -> Tensor:
    """Return the rows of relations ``(b,)``, for queries for heads those of their inverses.

    The inverse of a row of an inverse, which is ``n_relations`` or more, is the relation.
    """
    if side == "tail":
        return relations
    return torch.where(relations < n_relations, relations + n_relations, relations - n_relations)


def without_known(
    scores: Tensor, column: Rows, known: KnownFacts, anchors: Rows, relations: Rows, side: Side
) -> Tensor:
    """Return the scores of candidates for each query, ``(b, c)``, with -inf for known facts.

    Args:
        scores: The scores.
        column: Column of each entity, -1 for those that are no candidates.
        known: The facts.
        anchors: Given entity of each query, int64 ``(b,)``.
        relations: Relation of each query, ``(b,)``.
        side: The side that is asked for.
    """
    query, entity = known.answers(anchors, relations, side)
    place = column[entity]
    there = place >= 0
    left = scores.clone()
    left[torch.from_numpy(query[there]), torch.from_numpy(place[there])] = -torch.inf
    return left


class Scorer(Protocol):
    """Anything that scores candidates for queries."""

    def score(
        self,
        anchors: Tensor,
        relations: Tensor,
        *,
        side: Side,
        candidates: Tensor | None = None,
        out: Tensor | None = None,
    ) -> Tensor:
        """Return the scores of candidates for each query, float ``(b, c)``; higher is better.

        Args:
            anchors: Given entity of each query, int64 ``(b,)``.
            relations: Relation of each query, int64 ``(b,)``.
            side: The missing end.
            candidates: Entity rows to score, int64 ``(c,)``; by default all, in order.
            out: Memory that a scorer may use for the scores, float32 ``(b, c)``, since allocation
                takes a large part of the time of a product.
        """
        ...


class MappedScorer:
    """A scorer by the rows of a graph, some of which the model may lack.

    Args:
        scorer: A scorer in the model's rows.
        entities: Row in the model of each entity of the graph, or -1, int64 ``(n,)``.
        relations: Row in the model of each relation of the graph, or -1, int64 ``(m,)``.
    """

    def __init__(self, scorer: Scorer, entities: Rows, relations: Rows) -> None:
        self._scorer = scorer
        self.entity_rows, self.relation_rows = entities, relations
        self._entities = torch.from_numpy(entities)
        self._relations = torch.from_numpy(relations)

    @property
    def known(self) -> NDArray[np.bool_]:
        """True for entities of the graph that the model has, bool ``(n,)``."""
        return (self._entities >= 0).numpy()

    def score(
        self,
        anchors: Tensor,
        relations: Tensor,
        *,
        side: Side,
        candidates: Tensor | None = None,
        out: Tensor | None = None,
    ) -> Tensor:
        """Score candidates as ``KgeModel.score`` does, by rows of the graph.

        Candidates that the model lacks score -inf. If it lacks the entity or relation of a query,
        all other candidates score 0.
        """
        rows = self._entities if candidates is None else self._entities[candidates]
        own_anchors, own_relations = self._entities[anchors], self._relations[relations]
        known = rows >= 0
        scores = self._scorer.score(
            own_anchors.clamp(min=0),
            own_relations.clamp(min=0),
            side=side,
            candidates=rows[known],
            out=out if known.all() else None,
        )
        if not known.all():
            of_known = scores
            scores = of_known.new_full((len(anchors), len(rows)), float("-inf"))
            scores[:, known.to(scores.device)] = of_known
        unanswerable = ((own_anchors < 0) | (own_relations < 0)).to(scores.device)
        scores[unanswerable] = torch.where(known, 0.0, float("-inf")).to(scores)
        return scores


def no_fit(
    graph: KnowledgeGraph, known: JointGraph, kind: Literal["entities", "relations"]
) -> DataError:
    """Return the error that a model, which knows the names of ``known``, knows none of a graph."""
    names = getattr(graph, kind)
    found = f"the model knows none of the {len(names):,} {kind} of {graph.name!r}"
    if len(names):
        found += f", such as {names.name(0)!r}"
    if (part := known.parts.get(graph.name)) is not None:
        found += f"; of its own {graph.name!r} it knows names such as "
        found += repr(getattr(part, kind).name(0))
    sources = ", ".join(known.sources)
    return DataError(
        found,
        remedy=f"Give a collection whose names are those of its sources ({sources}), or that "
        f"links {graph.name!r} to one of them",
    )


def rows_of(
    collection: Collection,
    name: str,
    known: JointGraph,
    has_vector: Callable[[Rows], NDArray[np.bool_]],
    matching: MatchingSettings,
    *,
    require_fit: bool,
) -> tuple[Rows, Rows]:
    """Return a model's rows of the entities and relations of a collection's graph, -1 without one.

    Args:
        collection: Holds the graph.
        name: The graph's name.
        known: The model's graph.
        has_vector: Masks the entity rows that have a vector; others get -1.
        matching: How relations of graphs that the model was not trained on are matched.
        require_fit: Whether to refuse a graph of which the model knows nothing.

    Raises:
        DataError: As ``TrainedModel.scorer_for``.
    """
    graph, part = collection.graphs[name], known.parts.get(name)
    if part is None:
        links = known.translate_links(collection.links, collection.graphs)
        subgraph = connect(graph, links, known, relations=matching)
        own = subgraph.graph.parts[name]
        entities = subgraph.teacher_entities[own.entity_rows]
        relations = subgraph.teacher_relations[own.relation_rows]
    else:
        entities = part.entity_rows_of(graph.entities.names)
        relations = part.relation_rows_of(graph.relations.names)
    entities = np.where(has_vector(entities), entities, -1)
    if require_fit and not (entities >= 0).any():
        raise no_fit(graph, known, "entities")
    # Links to a graph that was not trained on may join entities alone.
    if require_fit and part is not None and not (relations >= 0).any():
        raise no_fit(graph, known, "relations")
    return entities, relations
