"""Probabilities judged by held-out facts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.inference.predict import Predictor
from kgraft.inference.probability_check import check_probabilities
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.model.calibration import Calibration, calibration_error, reliability_bins
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.settings import ModelSettings, TrainSettings

FLAT = {"vectors": Calibration(((0.0, 0.0),))}


@pytest.fixture
def model(tiny: Collection) -> TrainedModel:
    """Mine and big together; ann to eve are 1 to 5; likes is 1, knows 2; all as likely as not."""
    settings = TrainSettings(model=ModelSettings(width=2))
    entities, relations = (
        torch.tensor([[number, 0.0] for number in numbers])
        for numbers in ([1.0, 2.0, 3.0, 4.0, 5.0, 9.0], [1.0, 2.0, 3.0] * 2)
    )
    graph = join(list(tiny.graphs.values()), tiny.links)
    kge = KgeModel(settings.model, entities, relations)
    return TrainedModel("joint", kge, graph, "mine", settings, calibration=FLAT)


def test_the_best_candidates_are_checked(model: TrainedModel, tiny: Collection) -> None:
    # Tests: ann likes cay, ann likes eve, bob likes dan, eve knows bob. Their seven queries:
    # ann likes: eve (right); bob likes: eve; eve knows: dan; who likes cay: eve, who likes eve:
    # dan, who likes dan: eve; who knows bob: eve (right).
    found = check_probabilities(Predictor(model), tiny.graphs["mine"], k=1)
    assert (len(found.correct), found.correct.sum(), found.covered.sum()) == (7, 2, 0)
    assert set(found.probability) == {0.5}
    # All: of 7 times 4 candidates, which are no answers about themselves, mine states four in train
    # (ann likes bob; cay likes dan as head of dan) and valid, the rest is judged.
    everything = check_probabilities(Predictor(model), tiny.graphs["mine"], k=99)
    # Each of the four facts is right for both sides. Big states that ann likes cay.
    assert everything.correct.sum() == 8
    assert everything.covered.sum() == 2
    assert everything.correct[everything.covered].all()
    # ann likes bob and cay likes dan are no candidates: train states them.
    assert len(everything.correct) == 7 * 4 - 2


def test_facts_of_other_splits_are_no_wrong_answers(model: TrainedModel, tiny: Collection) -> None:
    mine = tiny.graphs["mine"]
    valid = check_probabilities(Predictor(model), mine, split="valid", k=99)
    # ann knows ?, ? knows cay: four each; bob knows cay is known
    assert (len(valid.correct), valid.correct.sum()) == (7, 2)


def test_facts_that_the_model_has_no_names_for_are_left_out(
    model: TrainedModel, tiny: Collection
) -> None:
    mine = tiny.graphs["mine"]
    names = Vocabulary.of(["new", *mine.entities.names])
    later = KnowledgeGraph(
        "mine",
        names,
        mine.relations,
        train=mine.train + np.array([1, 0, 1]),
        test=np.array([[0, 0, 1], [1, 0, 3]]),
    )
    found = check_probabilities(Predictor(model), later, k=99)
    assert found.correct.sum() == 2


def test_something_has_to_be_held_out_and_probable(model: TrainedModel, tiny: Collection) -> None:
    mine = tiny.graphs["mine"]
    with pytest.raises(DataError, match="no facts in 'test'"):
        check_probabilities(Predictor(model), replace(mine, test=mine.test[:0]))
    with pytest.raises(DataError, match="or the model no probabilities"):
        check_probabilities(Predictor(replace(model, calibration={})), mine)


def test_probabilities_of_a_trained_student_hold(
    student: TrainedModel, generated: Collection
) -> None:
    found = check_probabilities(Predictor(student), generated.target_graph)
    rows = reliability_bins(found.probability, found.correct)
    assert sum(row.count for row in rows) == len(found.correct)
    assert calibration_error(rows) < 0.05
