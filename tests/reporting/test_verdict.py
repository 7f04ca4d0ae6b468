"""The first section of a report: how good, what for, and what next."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kgraft.evaluation.intervals import MIN_FACTS, mean_interval
from kgraft.linking.collection import Collection
from kgraft.model.gain import Gain, gain_metric
from kgraft.model.trained_model import TrainedModel
from kgraft.reporting.advice import advice
from kgraft.reporting.quality import measure_held_out
from kgraft.reporting.verdict import mean_reciprocal_rank, verdict


def with_gain(model: TrainedModel, **gains: Gain) -> TrainedModel:
    return replace(model, metrics={**model.metrics, **gain_metric(gains)})


def commands(model: TrainedModel, split: str | None = "valid") -> list[str]:
    return [x.command.split(" -o")[0] for x in advice(model, split)]  # type: ignore[arg-type]


def test_intervals_hold_the_mean_of_all_facts_alike() -> None:
    random = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        low, high = mean_interval(random.exponential(1.0, 100)) or (0, 0)
        held += low <= 1.0 <= high
    assert 0.88 <= held / 200 <= 0.98
    assert mean_interval(np.ones(MIN_FACTS - 1)) is None
    assert mean_interval(np.ones(MIN_FACTS)) == (1.0, 1.0)
    # Weights count: the facts of weight 0 play no part.
    values, weights = np.repeat([0.0, 1.0], 50), np.repeat([0.0, 1.0], 50)
    assert mean_interval(values, weights) == (1.0, 1.0)


def test_more_facts_make_an_interval_shorter() -> None:
    values = np.random.default_rng(2).random(1000)
    few, many = (mean_interval(values[:n]) or (0, 0) for n in (50, 1000))
    assert many[1] - many[0] < 0.5 * (few[1] - few[0])


def test_the_verdict_is_what_was_measured(student: TrainedModel, generated: Collection) -> None:
    evaluations = measure_held_out(student, generated)
    found = verdict(student, evaluations, "valid", student.answers_by)
    both = [x for x in evaluations[0].rows() if x["side"] == "both" and x["facts"] == "all"]
    first, ten = (f"{100 * both[0][x]:.1f} %" for x in ("hits@1", "hits@10"))
    assert f"first in {first}, and among its first ten in {ten}." in found.good[0]
    mrr, interval = mean_reciprocal_rank(evaluations)
    assert mrr == pytest.approx(both[0]["mrr"])
    assert interval is not None
    assert interval[0] < mrr < interval[1]
    named = [x.rpartition(" (")[0] for x in (*found.strong, *found.weak)]
    assert {*named} <= {*generated.target_graph.relations.names}


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (Gain(100, 0.3, 0.5, 0.1, 0.3), "and the links make it better."),
        (Gain(100, 0.5, 0.5, -0.1, 0.1), "and the links change little."),
        (Gain(100, 0.5, 0.3, -0.3, -0.1), "but the links make it worse."),
        (Gain(4, 0.3, 0.5), "too few facts tell what the links are worth."),
    ],
)
def test_the_links_are_judged_by_the_interval(
    student: TrainedModel, gain: Gain, words: str
) -> None:
    found = verdict(with_gain(student, all=gain), [], "valid", student.answers_by)
    assert found.headline.endswith(words)
    assert f"{100 * gain.gain:+.1f} points" in found.good[-1]


def test_advice_follows_from_what_is_known(student: TrainedModel) -> None:
    student = replace(student, metrics={**student.metrics, "best_epoch": 2})
    assert commands(student, "test") == [
        "kgraft retrain COLLECTION --teacher TEACHER --compare-alone",
        "kgraft complete MODEL",
        "kgraft serve MODEL --decisions review.csv",
    ]
    helped = with_gain(student, all=Gain(100, 0.3, 0.5, 0.1, 0.3))
    assert "kgraft audit COLLECTION" not in commands(helped)
    unsure = with_gain(student, all=Gain(100, 0.3, 0.5, -0.1, 0.3))
    assert commands(unsure)[0] == "kgraft audit COLLECTION"
    assert commands(helped)[-1] == "kgraft report MODEL COLLECTION --split test"
    assert commands(helped, None)[-1] == "kgraft report MODEL COLLECTION"
    last = replace(student, metrics={**student.metrics, "best_epoch": len(student.log)})
    assert f"--set training.epochs={2 * len(student.log)}" in commands(last)
    blind = replace(student, metrics={**student.metrics, "validation_mrr": None})
    assert commands(blind)[0].startswith("split = ")


def test_a_teacher_is_told_nothing_of_links(teacher: TrainedModel) -> None:
    assert not any("retrain" in x or "audit" in x for x in commands(teacher))
