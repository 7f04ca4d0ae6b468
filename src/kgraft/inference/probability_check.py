"""Whether held-out facts bear out the probabilities of a model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgraft.errors import DataError
from kgraft.evaluation.evaluate import Split
from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.graph.known_facts import KnownFacts, Side, distinct_queries
from kgraft.inference.predict import Predictor

_SIDES: tuple[Side, ...] = ("tail", "head")


@dataclass(frozen=True, eq=False)
class Judged:
    """The best candidates of queries, ``n`` in all.

    Args:
        probability: Their probabilities, ``(n,)``.
        truth: Whether a held-out fact says so, bool ``(n,)``.
        covered: Whether another source states it, ``(n,)``.
    """

    probability: NDArray[np.float64]
    truth: NDArray[np.bool_]
    covered: NDArray[np.bool_]


def judge(
    predictor: Predictor,
    graph: KnowledgeGraph,
    *,
    split: Split = "test",
    best: int = 10,
    facts: Triples | None = None,
) -> Judged:
    """Ask for the held-out facts of a predictor's source, and judge its best answers by them.

    Each query is asked once, however many facts answer it. The wrong answers are those that the
    model ranks highest; what the graph states in its other splits is left out.

    Args:
        predictor: The model, made ready to answer, which has probabilities.
        graph: The source, with the facts that were held out.
        split: Which of them.
        best: How many answers to each query are judged.
        facts: Those of the held-out facts that are asked for; by default all.

    Raises:
        DataError: If there are no such facts, or the model has no probabilities.
    """
    if not len(getattr(graph, split)) or not predictor.candidates.calibrated:
        raise DataError(
            f"{graph.name!r} has no facts in {split!r}, or the model no probabilities for them",
            remedy="Hold facts out for valid and test, and train for this graph",
        )
    part, named = predictor.named.part, predictor.named
    entities = part.entities.rows(graph.entities.names)
    verbs = part.relations.rows(graph.relations.names)

    def rows(triples: Triples) -> Triples:
        """Return facts in the model's rows, those that it has a name for."""
        heads, relations, tails = triples.T
        own = np.stack([entities[heads], verbs[relations], entities[tails]], axis=1)
        return part.joint(own[(own >= 0).all(axis=1)])

    held = getattr(graph, split)
    right = KnownFacts(rows(held))
    asked_for = rows(held if facts is None else facts)
    known = KnownFacts(*(rows(x) for x in (graph.train, graph.valid, graph.test)))
    others = KnownFacts(
        named.model.graph.facts_of([x for x in named.model.graph.sources if x != named.source])
    )
    parts = [Judged(np.empty(0), np.empty(0, dtype=np.bool_), np.empty(0, dtype=np.bool_))]
    for side in _SIDES:
        asked = distinct_queries(asked_for, side)
        anchors, relations = asked.T.copy()
        for block, found in predictor.candidates.best(anchors, relations, side, best, new=True):
            query, place = np.nonzero(np.isfinite(found.scores))
            given, along = asked[block][query].T
            answers = part.entity_rows[found.places[query, place]]
            ends = (given, answers) if side == "tail" else (answers, given)
            said = np.stack([ends[0], along, ends[1]], axis=1)
            truth = right.contains(said)
            kept = truth | ~known.contains(said)
            stated = others.contains(said)
            parts.append(Judged(found.probability[query, place][kept], truth[kept], stated[kept]))
    columns = zip(*((x.probability, x.truth, x.covered) for x in parts), strict=True)
    return Judged(*(np.concatenate(column) for column in columns))
