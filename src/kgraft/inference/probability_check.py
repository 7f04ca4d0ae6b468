"""A model's probabilities compared with held-out facts."""

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
class CheckedAnswers:
    """The best answers to queries, each compared with held-out facts; ``n`` in all.

    Args:
        probability: Their probabilities, ``(n,)``.
        correct: Whether a held-out fact confirms each, bool ``(n,)``.
        covered: Whether another source states each, bool ``(n,)``.
    """

    probability: NDArray[np.float64]
    correct: NDArray[np.bool_]
    covered: NDArray[np.bool_]


def check_probabilities(
    predictor: Predictor,
    graph: KnowledgeGraph,
    *,
    split: Split = "test",
    k: int = 10,
    facts: Triples | None = None,
) -> CheckedAnswers:
    """Ask for the held-out facts of a predictor's source, and check the best answers.

    Each query is asked once, however many facts answer it. An answer is wrong if the graph does not
    state it in any split; answers that it states in other splits are left out.

    Args:
        predictor: A prepared model that gives probabilities.
        graph: The source, with its held-out facts.
        split: The split that is asked for.
        k: The number of answers to each query that are checked.
        facts: Those of the split's facts that are asked for, int64 ``(n, 3)``; by default all.

    Raises:
        DataError: If there are no such facts, or the model has no probabilities.
    """
    held_out = getattr(graph, split)
    if not len(held_out) or not predictor.candidates.calibrated:
        raise DataError(
            f"{graph.name!r} has no facts in {split!r}, or the model no probabilities for them",
            remedy="Hold facts out for valid and test, and train for this graph",
        )
    part, model = predictor.names.part, predictor.model
    entity_rows = part.entities.rows(graph.entities.names)
    relation_rows = part.relations.rows(graph.relations.names)

    def rows(triples: Triples) -> Triples:
        """Return facts in the model's rows, without those that it has no names for."""
        heads, relations, tails = triples.T
        own = np.stack([entity_rows[heads], relation_rows[relations], entity_rows[tails]], axis=1)
        return part.joint(own[(own >= 0).all(axis=1)])

    right = KnownFacts(rows(held_out))
    asked_for = rows(held_out if facts is None else facts)
    known = KnownFacts(*(rows(x) for x in (graph.train, graph.valid, graph.test)))
    sources = [x for x in model.graph.sources if x != predictor.names.source]
    trained = predictor.names.trained[predictor.names.source]
    others = KnownFacts(model.graph.facts_of(sources))
    parts = [CheckedAnswers(np.empty(0), np.empty(0, dtype=bool), np.empty(0, dtype=bool))]
    for side in _SIDES:
        anchors, relations = distinct_queries(asked_for, side).T.copy()
        found = predictor.candidates.top(anchors, relations, side, k, without=trained)
        for block, best in found:
            query, place = np.nonzero(np.isfinite(best.scores))
            given, answers = anchors[block][query], part.entity_rows[best.places[query, place]]
            ends = (given, answers) if side == "tail" else (answers, given)
            answered = np.stack([ends[0], relations[block][query], ends[1]], axis=1)
            correct, covered = right.contains(answered), others.contains(answered)
            kept = correct | ~known.contains(answered)
            probability = best.probability[query, place]
            parts.append(CheckedAnswers(probability[kept], correct[kept], covered[kept]))
    columns = zip(*((x.probability, x.correct, x.covered) for x in parts), strict=True)
    return CheckedAnswers(*(np.concatenate(column) for column in columns))
