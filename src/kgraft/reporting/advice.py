"""Advice on what to do next with a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kgraft.evaluation.evaluate import Split
from kgraft.inference.names import ModelNames
from kgraft.model.gain import gains_of
from kgraft.model.trained_model import TrainedModel
from kgraft.reporting.page import percent

FEW_LINKED = 0.5
"""Share of linked entities below which more links are worth a search."""


@dataclass(frozen=True)
class Advice:
    """Something to do next.

    Args:
        reason: Why.
        command: How, as a command line or a setting.
    """

    reason: str
    command: str


def advice(model: TrainedModel, split: Split | None) -> list[Advice]:
    """Return what to do next, the most useful first.

    Args:
        model: A model.
        split: The held-out facts that it was measured on; None if it was not.
    """
    found = [*_on_training(model), *_on_links(model), *_on_facts(model)]
    if split is None:
        found.append(Advice("Measure it on held-out facts.", "kgraft report MODEL COLLECTION"))
    elif split == "valid":
        reason = "When all is chosen, measure it once on test facts, which no choice depends on."
        found.append(Advice(reason, "kgraft report MODEL COLLECTION --split test"))
    return found


def _on_training(model: TrainedModel) -> Iterator[Advice]:
    if model.metrics.get("validation_mrr") is None:
        yield Advice(
            "It was trained without validation facts, so nothing chose its best epoch, and its "
            "answers have no probabilities. Hold facts out, and train again.",
            "split = { valid = 0.1, test = 0.1 }   # of the target, in collection.toml",
        )
    elif model.metrics.get("best_epoch") == len(model.log) > 1:
        yield Advice(
            "The last epoch was the best, so more epochs may be better.",
            f"--set training.epochs={2 * len(model.log)}",
        )


def _on_links(model: TrainedModel) -> Iterator[Advice]:
    if model.kind != "student":
        return
    gain = gains_of(model.metrics).get("all")
    if gain is None:
        yield Advice(
            "What the links are worth was not measured.",
            "kgraft retrain COLLECTION --teacher TEACHER --compare-alone -o STUDENT",
        )
    elif gain.low is not None and gain.low <= 0:
        yield Advice(
            "It is not certain that the links help: look for wrong ones.",
            "kgraft audit COLLECTION -o audited",
        )
    linked = _linked(model)
    if linked is not None and linked < FEW_LINKED:
        yield Advice(
            f"Only {percent(linked)} % of the entities are linked: find more links.",
            "kgraft align COLLECTION -o aligned",
        )


def _on_facts(model: TrainedModel) -> Iterator[Advice]:
    if model.fact_probability is not None:
        yield Advice(
            f"About {_missing(model):,.0f} true facts are missing, as estimated below. Accept or "
            "refuse the most probable ones, and train on them.",
            "kgraft complete MODEL -o review.csv",
        )
        yield Advice(
            "Or do so on a page, beside the reasons for each.",
            "kgraft serve MODEL --decisions review.csv",
        )


def _linked(model: TrainedModel) -> float | None:
    """Return the share of the target's entities that another source knows."""
    if model.target is None:
        return None
    parts = model.graph.parts
    others = [part.entity_rows for name, part in parts.items() if name != model.target]
    own = parts[model.target].entity_rows
    return float(np.isin(own, np.concatenate(others)).mean()) if others and len(own) else None


def _missing(model: TrainedModel) -> float:
    """Return the estimated number of facts that the target lacks."""
    names, fitted = ModelNames(model), model.fact_probability
    if fitted is None:
        return 0.0
    rows = np.unique(names.part.relation_rows)
    n = np.bincount(names.own_facts[:, 1], minlength=model.graph.n_relations)[rows]
    return float((n / fitted.completeness.overall[rows] - n).sum())
