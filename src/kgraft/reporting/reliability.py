"""How far a model's probabilities can be trusted, measured on held-out facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kgraft.evaluation.evaluate import Evaluation
from kgraft.graph.knowledge_graph import no_triples
from kgraft.inference.predict import Predictor
from kgraft.inference.probability_check import check_probabilities
from kgraft.model.calibration import Reliability, reliability
from kgraft.model.evidence import By
from kgraft.model.trained_model import TrainedModel
from kgraft.reporting.figures import Figure, Panel, curve, dots, guide
from kgraft.reporting.markup import Markup
from kgraft.reporting.page import percent, table
from kgraft.reporting.scale import linear

SHOWN = 10
"""The best candidates of a question that are judged: those that people look at."""


def held_out_reliability(
    model: TrainedModel, evaluation: Evaluation, by: By
) -> list[Reliability] | None:
    """Compare probabilities with what held-out facts say, as ``judge`` does, in ten bins.

    Args:
        model: The model.
        evaluation: The facts that are asked for.
        by: What the model answers by.

    Returns:
        The bins that have candidates, or None where the model gives no probabilities.
    """
    graph, split = evaluation.graph, evaluation.split
    if model.target != graph.name or by not in model.calibration:
        return None
    if split == "valid":
        graph = replace(graph, test=no_triples())  # which play no part here
    predictor = Predictor(model, graph.name, by)
    found = check_probabilities(predictor, graph, split=split, k=SHOWN, facts=evaluation.facts)
    return reliability(found.probability, found.correct)


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
