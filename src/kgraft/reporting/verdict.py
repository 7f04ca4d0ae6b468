"""First section of a model's report: how good it is, what for, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kgraft.evaluation.evaluate import Evaluation, Split
from kgraft.evaluation.intervals import mean_interval
from kgraft.inference.names import ModelNames
from kgraft.model.evidence import By
from kgraft.model.gain import Gain, gains_of
from kgraft.model.trained_model import TrainedModel
from kgraft.reporting.advice import Advice, advice
from kgraft.reporting.page import percent
from kgraft.reporting.quality import of_facts, relation_label

MIN_QUERIES = 20
"""Queries of a relation from which on its quality is told."""

SHOWN = 5
"""The maximum number of relations named as strong, and as weak."""

STRONG, WEAK = 0.6, 0.3
"""MRR from which on a relation is strong, and below which it is weak."""


SEEDS = (
    "The interval is over facts; training with another seed moves the MRR by 0.1 to 0.6 points as "
    "a rule, more where facts are few."
)
"""The spread over seeds, which one model cannot tell: benchmarks/results/metamorphic.json."""


@dataclass(frozen=True)
class Verdict:
    """The answers to what a reader asks first.

    Args:
        headline: The verdict in a sentence.
        good: Sentences on how good the model is.
        strong: Relations that it answers well, with their MRR.
        weak: Those that it does not.
        parts: Sentences on kinds of facts.
        advice: What to do next, the most useful first.
    """

    headline: str
    good: Sequence[str]
    strong: Sequence[str]
    weak: Sequence[str]
    parts: Sequence[str]
    advice: Sequence[Advice]


def verdict(
    model: TrainedModel, evaluations: Sequence[Evaluation], split: Split, by: By
) -> Verdict:
    """Judge a model.

    Args:
        model: The model.
        evaluations: Its ranks of held-out facts; none where they were not measured.
        split: The split of these facts.
        by: How the model answered.
    """
    gains = gains_of(model.metrics)
    hits = _hits(evaluations)
    relations = _relations(model, evaluations)
    return Verdict(
        headline=_headline(hits, gains.get("all")),
        good=[*_quality(model, hits, evaluations, split, by), *_gain(gains.get("all"))],
        strong=[f"{x} ({percent(y)})" for y, x in relations[::-1] if y >= STRONG][:SHOWN],
        weak=[f"{x} ({percent(y)})" for y, x in relations if y < WEAK][:SHOWN],
        parts=_parts(gains),
        advice=advice(model, split if evaluations else None),
    )


def _hits(evaluations: Sequence[Evaluation]) -> tuple[int, float, float] | None:
    """Return the number of queries, and the shares with the answer first and among ten."""
    ranks = [found.by(x.tie) for x in evaluations for found in x.ranks.values()]
    if not ranks:
        return None
    places = np.concatenate(ranks)
    return len(places), float((places <= 1).mean()), float((places <= 10).mean())


def _headline(hits: tuple[int, float, float] | None, gain: Gain | None) -> str:
    if hits is None:
        quality = "How good it is was not measured here"
    elif hits[1] >= 0.5:
        quality = "It gives most right answers first"
    elif hits[2] >= 0.5:
        quality = "It has most right answers among its first ten, though seldom first"
    else:
        quality = "It misses most right answers"
    return f"{quality}{_worth(gain)}."


def _worth(gain: Gain | None) -> str:
    """Return in words whether the links are worth it, as far as that is known."""
    if gain is None:
        return ""
    if gain.low is None or gain.high is None:
        return "; too few facts tell what the links are worth"
    if gain.low > 0:
        return ", and the links make it better"
    return ", but the links make it worse" if gain.high < 0 else ", and the links change little"


def _quality(
    model: TrainedModel,
    hits: tuple[int, float, float] | None,
    evaluations: Sequence[Evaluation],
    split: Split,
    by: By,
) -> list[str]:
    if hits is None:
        mrr = model.metrics.get("validation_mrr")
        if model.evidence is not None and model.evidence.mrr:
            mrr = model.evidence.mrr[by]
        known = ""
        if mrr is not None:
            known = f" When it was trained, its validation MRR was {percent(mrr)} %."
        return [f"No held-out facts were measured for this report.{known}"]
    n, first, ten = hits
    kind = {"valid": "validation", "test": "test"}[split]
    asked = f"Of {n:,} questions whose answers are held-out {kind} facts, it gives the right answer"
    whole = [f"{asked} first in {percent(first)} %, and among its first ten in {percent(ten)} %."]
    mrr, interval = mean_reciprocal_rank(evaluations)
    if interval is not None:
        low, high = map(percent, interval)
        whole.append(f"Its MRR is {percent(mrr)} % (95 % interval {low} to {high}). {SEEDS}")
    return whole


def mean_reciprocal_rank(
    evaluations: Sequence[Evaluation],
) -> tuple[float, tuple[float, float] | None]:
    """Return the MRR over all facts, and its 95 % interval."""
    found = [of_facts(x) for x in evaluations]
    values = np.concatenate([x for x, _ in found])
    weights = None
    if any(x is not None for _, x in found):
        weights = np.concatenate([np.ones(len(x)) if y is None else y for x, y in found])
    return float(np.average(values, weights=weights)), mean_interval(values, weights)


def _gain(gain: Gain | None) -> list[str]:
    if gain is None:
        return []
    words = f"{100 * gain.gain:+.1f} points of validation MRR"
    if gain.low is not None and gain.high is not None:
        words += f" (95 % interval {100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
    return [f"Grafting changes it by {words}, against the same machinery without links."]


def _relations(model: TrainedModel, evaluations: Sequence[Evaluation]) -> list[tuple[float, str]]:
    """Return MRR and label of the relations with enough queries, the worst first."""
    names = ModelNames(model)
    found = [
        (row["mrr"], relation_label(names, evaluation, row["relation"]))
        for evaluation in evaluations
        for row in evaluation.by_relation()
        if row["side"] == "both" and row["queries"] >= MIN_QUERIES
    ]
    return sorted(found)


def _parts(gains: dict[str, Gain]) -> list[str]:
    """Return what is gained on facts that others state, and on others."""
    found = []
    for part, words in (
        ("covered", "Facts that another source states"),
        ("uncovered", "Facts that no other source states"),
    ):
        if part in gains:
            x = gains[part]
            found.append(
                f"{words}: MRR {percent(x.student)} %, {percent(x.alone)} % without links."
            )
    return found
