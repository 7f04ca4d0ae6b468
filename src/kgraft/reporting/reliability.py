"""How far a model's probabilities can be trusted, measured on held-out facts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kgraft.benchmark.tables import percent
from kgraft.evaluation.evaluate import Evaluation
from kgraft.graph.knowledge_graph import Triples, no_triples
from kgraft.graph.known_facts import KnownFacts, Side, queries
from kgraft.inference.predict import Predictor
from kgraft.model.calibration import Reliability, reliability
from kgraft.model.evidence import By
from kgraft.model.trained import TrainedModel
from kgraft.reporting.figures import Figure, Panel, curve, dots, guide
from kgraft.reporting.markup import Markup
from kgraft.reporting.page import table
from kgraft.reporting.scale import linear

SHOWN = 10
"""The best candidates of a question that are judged: those that people look at."""


def held_out_reliability(
    model: TrainedModel, evaluation: Evaluation, by: By
) -> list[Reliability] | None:
    """Compare probabilities with what the held-out facts say, in ten bins.

    Asked are the questions that the evaluation's facts answer. Judged are the ``SHOWN`` best
    candidates of each that the graph does not state. One is true if the split states it; one that
    only validation facts state is left out where test facts are asked for.

    Args:
        model: The model.
        evaluation: Facts of a graph.
        by: What the model answers by.

    Returns:
        The bins that have candidates, or None where the model gives no probabilities.
    """
    graph = evaluation.graph
    if model.target != graph.name or by not in model.calibration:
        return None
    predictor = Predictor(model, graph.name, by)
    part = predictor.named.part
    entities, relations = (
        theirs.rows(own.names)
        for theirs, own in ((part.entities, graph.entities), (part.relations, graph.relations))
    )

    def known_to_model(facts: Triples) -> Triples:
        heads, along, tails = facts.T
        rows = np.stack([entities[heads], relations[along], entities[tails]], axis=1)
        return rows[(rows >= 0).all(axis=1)]

    right = KnownFacts(known_to_model(getattr(graph, evaluation.split)))
    doubtful = KnownFacts(
        known_to_model(graph.valid if evaluation.split == "test" else no_triples())
    )
    chances, truths = [np.empty(0)], [np.empty(0, dtype=np.bool_)]
    sides: tuple[Side, ...] = ("tail", "head")
    for side in sides:
        asked = np.stack(queries(known_to_model(evaluation.facts), side)[:2], axis=1)
        anchors, along = np.unique(asked, axis=0).T.copy()
        for block, best in predictor.best(anchors, along, side, SHOWN, new=True):
            query, rank = np.nonzero(np.isfinite(best.scores))
            ends = (anchors[block][query], best.places[query, rank])
            head, tail = ends if side == "tail" else ends[::-1]
            facts = np.stack([head, along[block][query], tail], axis=1)
            judged = ~doubtful.contains(facts) | right.contains(facts)
            chances.append(best.probability[query, rank][judged])
            truths.append(right.contains(facts)[judged])
    return reliability(np.concatenate(chances), np.concatenate(truths))


def reliability_figure(bins: Sequence[Reliability]) -> Figure:
    """Draw the share that is true over the probability given, and the diagonal they should meet."""
    whole = linear([0.0, 100.0])
    panel = Panel("True, percent", whole, whole, "probability given, percent")
    points = [(100 * x.probability, 100 * x.truth) for x in bins]
    marks = [guide(panel, (0, 0), (100, 100)), curve(panel, points, 0), dots(panel, points, 0)]
    said = "; ".join(f"given {x:.0f} %, true {y:.0f} %" for x, y in points)
    return Figure(
        [panel.draw(marks, said)],
        caption="On the dashed line a probability of 70 percent comes true 70 times in a hundred.",
    )


def reliability_table(bins: Sequence[Reliability]) -> Markup:
    """Return the same as a table."""
    rows = [
        [
            f"{100 * x.low:.0f} to {100 * x.high:.0f}",
            f"{x.count:,}",
            percent(x.probability),
            percent(x.truth),
        ]
        for x in bins
    ]
    return table(["probability, percent", "candidates", "mean", "true"], rows)
