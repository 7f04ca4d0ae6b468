"""Entities and facts whose vectors are alike."""

from __future__ import annotations

import pytest
import torch

from kgraft.errors import UnknownNameError
from kgraft.inference.similar import Neighbour, similar, similar_facts
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.model.kge import KgeModel
from kgraft.model.trained_model import TrainedModel
from kgraft.settings import ModelSettings, TrainSettings

ANN, BOB, CAY, DAN, EVE, Z = range(6)
LIKES = 0


@pytest.fixture
def model(tiny: Collection) -> TrainedModel:
    """Ann points along the first axis; Z has no vector."""
    settings = TrainSettings(model=ModelSettings(width=2))
    entities = torch.tensor([[2.0, 0.0], [3.0, 4.0], [0.0, 1.0], [-1.0, 0.0], [4.0, 3.0]])
    graph = join(list(tiny.graphs.values()), tiny.links)
    kge = KgeModel(settings.model, entities, torch.ones(6, 2))
    return TrainedModel("student", kge, graph, "mine", settings)


def test_neighbours_by_cosine(model: TrainedModel) -> None:
    found = similar(model, "Ann")
    assert [x.name for x in found] == ["eve", "bob", "cay", "dan"]
    assert [x.similarity for x in found] == pytest.approx([0.8, 0.6, 0.0, -1.0])
    assert found[1] == Neighbour("bob", "Bob", pytest.approx(0.6), ("mine", "big"))
    assert [x.sources for x in found] == [("mine",), ("mine", "big"), ("mine", "big"), ("mine",)]
    assert similar(model, "ann", k=2) == found[:2]


def test_neighbours_are_of_the_source_that_is_asked(model: TrainedModel) -> None:
    assert [x.name for x in similar(model, "A", source="big")] == ["B", "C"]


def test_what_cannot_be_compared(model: TrainedModel) -> None:
    with pytest.raises(UnknownNameError, match="no vector for 'Z'"):
        similar(model, "Z", source="big")
    with pytest.raises(UnknownNameError, match="'anne'; did you mean 'ann'"):
        similar(model, "anne")
    with pytest.raises(ValueError, match="k is at least 1, not 0"):
        similar(model, "ann", k=0)


def test_similar_facts(model: TrainedModel) -> None:
    # ann likes bob and cay, cay likes dan; asked about eve likes cay
    found = similar_facts(model, (EVE, LIKES, CAY), 9)
    # cos(eve, ann) = 0.8, cos(cay, cay) = 1; cos(cay, bob) = 0.8; cos(eve, cay) = 0.6, cay to dan 0
    assert [fact for _, fact in found] == [
        (ANN, LIKES, CAY), (ANN, LIKES, BOB), (CAY, LIKES, DAN)
    ]  # fmt: skip
    assert [x for x, _ in found] == pytest.approx([0.9, 0.8, 0.3])
    assert similar_facts(model, (EVE, LIKES, CAY), 1) == found[:1]


def test_a_fact_is_not_similar_to_itself_and_needs_vectors(model: TrainedModel) -> None:
    assert (ANN, LIKES, CAY) not in [x for _, x in similar_facts(model, (ANN, LIKES, CAY), 9)]
    assert similar_facts(model, (BOB, 2, CAY), 9) == []  # bob sees Z
