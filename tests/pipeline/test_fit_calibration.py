"""What validation facts say about scores."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from fitting import calibration_by_vectors
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.linking.collection import Collection
from kgraft.model.calibration import Calibration
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.fit_calibration import ERROR_METRIC, isotonic, platt
from kgraft.pipeline.train import train
from kgraft.settings import TrainSettings


def test_isotonic_goes_through_the_middle_of_levels() -> None:
    # With one wrong above the best and one right below the worst, the levels are 1/2 at the shares
    # -4 and -3 (0, and the added 1, then 1 and 0 pooled), and 2/3 at -1 (1, 1 and the added 0).
    found = isotonic(np.array([-4.0, -3.0, -3.0, -1.0, -1.0]), np.array([0, 1, 0, 1, 1], bool))
    (low, low_odds), (high, high_odds) = found.points[:1] + found.points[-1:]
    assert expit(high_odds) == pytest.approx(2 / 3)
    assert high == pytest.approx(-2 / 3)  # 0, which no share exceeds, counts beside the two at -1
    assert expit(low_odds) == pytest.approx(1 / 2)
    assert low == pytest.approx((-4 - 4 - 3 - 3) / 4)


Answers = st.lists(st.tuples(st.floats(-20, 0), st.booleans()), max_size=60)


@given(Answers)
@example([(-16.0, False), (-15.5, True)])
@pytest.mark.parametrize("fit", [isotonic, platt])
def test_curves_never_fall_and_no_probability_is_0_or_1(
    fit: type, answers: list[tuple[float, bool]]
) -> None:
    shares = np.array([share for share, _ in answers], dtype=np.float64)
    truth = np.array([right for _, right in answers], dtype=np.bool_)
    found = fit(shares, truth)
    grid = found.probability(torch.linspace(-25, 2, 50)).numpy()
    assert (np.diff(grid) >= -1e-12).all()
    assert (grid > 0).all()
    assert (grid < 1).all()


def drawn(size: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Answers whose log odds are 1 + 2 share."""
    draw = np.random.default_rng(seed)
    shares = -3 * draw.random(size)
    return shares, draw.random(size) < expit(1 + 2 * shares)


@pytest.mark.parametrize(("fit", "tolerance"), [(isotonic, 0.06), (platt, 0.02)])
def test_what_made_the_answers_is_found_again(fit: type, tolerance: float) -> None:
    found = fit(*drawn(20_000, 0))
    grid = torch.linspace(-2.9, -0.1, 30)
    wanted = expit(1 + 2 * grid.numpy())
    assert np.abs(found.probability(grid).numpy() - wanted).max() < tolerance


def test_platt_never_falls_even_where_the_worse_are_right() -> None:
    (_, low), (_, high) = platt(np.array([-3.0, -1.0]), np.array([True, False])).points
    assert low == pytest.approx(high)


@pytest.fixture(scope="module")
def own(generated: Collection) -> KnowledgeGraph:
    return generated.target_graph


def test_each_way_to_answer_has_a_curve(student: TrainedModel) -> None:
    assert set(student.calibration) == {"vectors", "rules", "both"}
    errors = student.metrics[ERROR_METRIC]
    assert set(errors) == {"vectors", "rules", "both"}
    assert all(0 <= error < 0.1 for error in errors.values())


def test_a_model_without_rules_is_calibrated_too(
    generated: Collection, fast: TrainSettings
) -> None:
    model = train(generated, fast)
    assert set(model.calibration) == {"vectors"}
    assert math.isfinite(model.metrics[ERROR_METRIC]["vectors"])


def test_teachers_are_for_no_graph_that_could_tell(teacher: TrainedModel) -> None:
    assert teacher.calibration == {}
    assert ERROR_METRIC not in teacher.metrics


def test_without_validation_facts_there_is_no_calibration(
    generated: Collection, own: KnowledgeGraph, fast: TrainSettings
) -> None:
    graphs = {**generated.graphs, own.name: replace(own, valid=own.valid[:0])}
    model = train(replace(generated, graphs=graphs), fast)
    assert model.calibration == {}
    assert ERROR_METRIC not in model.metrics


def test_test_facts_play_no_part(student: TrainedModel, own: KnowledgeGraph) -> None:
    wanted = calibration_by_vectors(student, own).calibration
    found = calibration_by_vectors(student, replace(own, test=own.test[:3])).calibration
    assert found == wanted


def test_a_good_model_is_sure_and_a_bad_one_is_not(
    student: TrainedModel, own: KnowledgeGraph
) -> None:
    good = student.calibration["vectors"].probability(torch.tensor([0.0])).item()
    kge = student.kge
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(kge.entities.shape, generator=draw)
    blind = type(kge)(kge.settings, noise, kge.relations, kge.encoder)
    bad = calibration_by_vectors(replace(student, kge=blind), own)
    assert bad.calibration["vectors"].probability(torch.tensor([0.0])).item() < 0.2 < good


def test_a_curve_may_be_a_single_point() -> None:
    assert Calibration(((0.0, 0.0),)).probability(torch.tensor([-3.0, 3.0])).tolist() == [0.5, 0.5]
