"""The gain of a student over its own machinery without links, on validation facts by part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kgraft.errors import DataError
from kgraft.evaluation.intervals import MIN_FACTS
from kgraft.linking.collection import Collection
from kgraft.model.gain import GAIN_METRIC, RELATION_GAIN_METRIC, gain_rows, gains_of
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline import fit_target as stages
from kgraft.pipeline.compare_alone import alone_context, estimate_student, with_parts
from kgraft.pipeline.estimate import estimate
from kgraft.pipeline.pretrain import pretrain
from kgraft.pipeline.retrain import retrain, retraining_context
from kgraft.pipeline.run import RunOptions
from kgraft.pipeline.train import train
from kgraft.settings import RetrainSettings, RuleSettings, TrainSettings
from kgraft.system.progress import Silence

PARTS = ["all", "covered", "uncovered", "both ends linked", "one end linked", "no end linked"]


class Shown(Silence):
    """A listener that notes the stages."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def begin(self, name: str, total: int) -> None:  # noqa: ARG002
        self.stages.append(name)


@pytest.fixture(scope="module")
def short(fast_student: RetrainSettings) -> RetrainSettings:
    training = fast_student.training.model_copy(update={"epochs": 2, "min_steps": 0})
    return fast_student.model_copy(update={"training": training})


@pytest.fixture(scope="module")
def compared(generated: Collection, teacher: TrainedModel, short: RetrainSettings) -> TrainedModel:
    return retrain(generated, teacher, short, compare_alone=True)


def test_parts_by_hand(
    tiny: Collection, fast: TrainSettings, fast_student: RetrainSettings
) -> None:
    # Linked are ann, bob and cay; big states that ann likes cay, and that ann likes bob.
    valid = np.array([[0, 0, 2], [0, 1, 2], [1, 0, 3], [4, 1, 3]])
    own = replace(tiny.graphs["mine"], valid=valid)
    collection = replace(tiny, graphs={**tiny.graphs, "mine": own})
    context = with_parts(retraining_context(collection, pretrain(collection, fast), fast_student))
    assert context.sample is not None
    order = [valid.tolist().index(fact) for fact in context.sample.facts.tolist()]
    expected = {
        "all": [1, 1, 1, 1],
        "covered": [1, 0, 0, 0],
        "uncovered": [0, 1, 1, 1],
        "both ends linked": [1, 1, 0, 0],
        "one end linked": [0, 0, 1, 0],
        "no end linked": [0, 0, 0, 1],
    }
    found = {name: mask.astype(int).tolist() for name, mask in context.validation_parts.items()}
    assert found == {name: [x[place] for place in order] for name, x in expected.items()}


def test_each_model_is_measured_as_it_measures_itself(
    generated: Collection, short: RetrainSettings, compared: TrainedModel
) -> None:
    alone = train(generated, short.for_alone(), alone=True)
    found = gains_of(compared.metrics)
    for model, value in ((alone, found["all"].alone), (compared, found["all"].student)):
        assert model.evidence is not None
        assert value == pytest.approx(model.evidence.mrr[model.answers_by], abs=1e-6)
    n = 2 * len(generated.target_graph.valid)
    assert found["all"].queries == n
    assert list(found) == [name for name in PARTS if name in found]
    for parts in (("covered", "uncovered"), PARTS[3:]):
        some = [found[name] for name in parts if name in found]
        assert sum(x.queries for x in some) == n
        whole = sum(x.queries * x.student for x in some) / n
        assert whole == pytest.approx(found["all"].student)
    assert found["covered"].gain > 0.1
    for gains in (found, gains_of(compared.metrics, RELATION_GAIN_METRIC)):
        for x in gains.values():
            assert (x.low is None) == (x.queries < 2 * MIN_FACTS)
            assert x.low is None or x.high is None or x.low <= x.gain <= x.high
    by_relation = gains_of(compared.metrics, RELATION_GAIN_METRIC)
    assert {*by_relation} <= {*generated.target_graph.relations.names}
    assert sum(x.queries for x in by_relation.values()) == n
    assert sum(x.queries * x.gain for x in by_relation.values()) / n == pytest.approx(
        found["all"].gain
    )


def test_the_student_is_the_same_as_without_comparing(
    generated: Collection, teacher: TrainedModel, short: RetrainSettings, compared: TrainedModel
) -> None:
    other = retrain(generated, teacher, short)
    assert other.kge.entities.equal(compared.kge.entities)
    more = {name: compared.metrics[name] for name in (GAIN_METRIC, RELATION_GAIN_METRIC)}
    assert {**compared.metrics} == {**other.metrics, **more}
    assert gain_rows(other.metrics) == []


def test_test_facts_play_no_part(
    generated: Collection, teacher: TrainedModel, short: RetrainSettings, compared: TrainedModel
) -> None:
    own = replace(generated.target_graph, test=generated.target_graph.test[:0])
    without = replace(generated, graphs={**generated.graphs, own.name: own})
    found = retrain(without, teacher, short, compare_alone=True)
    assert found.metrics[GAIN_METRIC] == compared.metrics[GAIN_METRIC]


@pytest.mark.parametrize("stopped", ["fit_embeddings", "fit_calibration"])
def test_a_stopped_comparison_goes_on_and_trains_no_stage_twice(
    generated: Collection,
    teacher: TrainedModel,
    short: RetrainSettings,
    compared: TrainedModel,
    tmp_path: Path,
    stopped: str,
) -> None:
    def run() -> TrainedModel:
        shown.stages.clear()
        options = RunOptions(shown, tmp_path / "run")
        return retrain(generated, teacher, short, compare_alone=True, options=options)

    shown, works = Shown(), getattr(stages, stopped)
    calls: list[int] = []

    def second_fails(*given: object, **named: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("stopped")
        return works(*given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, stopped, second_fails)
        with pytest.raises(RuntimeError):
            run()
    assert shown.stages[0] == "rules"
    assert "alone: rules" in shown.stages
    found = run()
    assert shown.stages
    assert all(name.startswith("alone: ") for name in shown.stages)
    assert "alone: rules" not in shown.stages
    assert found.metrics == compared.metrics


def test_without_rules_both_answer_by_vectors(
    generated: Collection, teacher: TrainedModel, short: RetrainSettings
) -> None:
    settings = short.model_copy(update={"rules": RuleSettings(longest=0)})
    student = retrain(generated, teacher, settings, compare_alone=True)
    alone = train(generated, settings.for_alone(), alone=True)
    found = gains_of(student.metrics)["all"]
    assert found.student == pytest.approx(student.metrics["validation_mrr"])
    assert found.alone == pytest.approx(alone.metrics["validation_mrr"])


def test_an_update_is_compared_with_training_from_scratch(
    generated: Collection, teacher: TrainedModel, student: TrainedModel
) -> None:
    context = with_parts(retraining_context(generated, teacher, start=student))
    alone = alone_context(context).settings.training
    assert context.settings.training.epochs == 2
    assert alone.epochs > 2
    assert alone.validation_queries == context.settings.training.validation_queries


def test_without_validation_facts_it_is_refused_before_training(
    generated: Collection, teacher: TrainedModel, short: RetrainSettings
) -> None:
    own = replace(generated.target_graph, valid=generated.target_graph.valid[:0])
    without = replace(generated, graphs={**generated.graphs, own.name: own})
    with pytest.raises(DataError, match=r"'mine' has no validation facts .* --compare-alone"):
        retrain(without, teacher, short, compare_alone=True)


def test_training_alone_is_the_last_stage_of_an_estimate(
    generated: Collection, teacher: TrainedModel, short: RetrainSettings
) -> None:
    own = estimate(retraining_context(generated, teacher, short).task)
    context = retraining_context(generated, teacher, short)
    found = estimate_student(context, compare_alone=True, device="cpu")
    *others, last = found.stages
    assert others == ["rules", "rule weights", "pseudo-facts", "ensemble", "calibration"]
    assert last == "alone"
    assert found.stages["alone"] > 0
    assert found.steps > own.steps  # With pseudo-facts, as without comparing.
    others_too = found.training_seconds + sum(found.stages[name] for name in others)
    assert found.seconds == pytest.approx(others_too + found.stages["alone"])
