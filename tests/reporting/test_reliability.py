"""Probabilities against held-out facts, counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from kgraft.linking.collection import Collection
from kgraft.model.calibration import Calibration, ReliabilityBin
from kgraft.model.trained_model import TrainedModel
from kgraft.reporting.quality import (
    held_out_reliability,
    measure_held_out,
    reliability_figure,
    reliability_table,
)


@pytest.fixture
def unsure(sized: TrainedModel) -> TrainedModel:
    """The model, that gives every candidate a probability of one half."""
    return replace(sized, calibration={"vectors": Calibration(((-1.0, 0.0), (0.0, 0.0)))})


def test_candidates_of_test_questions(unsure: TrainedModel, tiny: Collection) -> None:
    [found] = measure_held_out(unsure, tiny, split="test")
    bins = held_out_reliability(unsure, found, "vectors")
    # Seven questions, of four candidates each but for two that training facts answer already; one
    # of them has two true answers.
    assert bins == [ReliabilityBin(0.5, 0.6, 26, 0.5, pytest.approx(8 / 26))]


def test_what_validation_facts_state_is_not_wrong(unsure: TrainedModel, tiny: Collection) -> None:
    likes_dan = replace(tiny.graphs["mine"], valid=np.array([[0, 0, 3]]))
    changed = replace(tiny, graphs={**tiny.graphs, "mine": likes_dan})
    [found] = measure_held_out(unsure, changed, split="test")
    bins = held_out_reliability(unsure, found, "vectors")
    # ann likes dan is a candidate twice, and counts neither as right nor as wrong.
    assert bins == [ReliabilityBin(0.5, 0.6, 24, 0.5, pytest.approx(8 / 24))]


def test_candidates_of_validation_questions(unsure: TrainedModel, tiny: Collection) -> None:
    [found] = measure_held_out(unsure, tiny)
    bins = held_out_reliability(unsure, found, "vectors")
    assert bins == [ReliabilityBin(0.5, 0.6, 7, 0.5, pytest.approx(2 / 7))]


def test_names_count_not_rows(unsure: TrainedModel, tiny: Collection) -> None:
    """The collection may have got more entities, in another order, since the model was trained."""
    graph = tiny.graphs["mine"]
    names = ["new", *graph.entities.names]
    moved = replace(
        graph,
        entities=type(graph.entities).of(names),
        labels=None,
        **{
            split: getattr(graph, split) + np.array([1, 0, 1])
            for split in ("train", "valid", "test")
        },
    )
    changed = replace(tiny, graphs={"mine": moved}, links=())
    [found] = measure_held_out(unsure, changed, split="test")
    bins = held_out_reliability(unsure, found, "vectors")
    assert bins == [ReliabilityBin(0.5, 0.6, 26, 0.5, pytest.approx(8 / 26))]


def test_facts_about_what_the_model_does_not_know(unsure: TrainedModel, tiny: Collection) -> None:
    graph = tiny.graphs["mine"]
    known = graph.entities.row("dan")
    test = graph.test[(graph.test[:, [0, 2]] != known).all(axis=1)]
    names = type(graph.entities).of(
        name if row == known else f"new {name}" for row, name in enumerate(graph.entities.names)
    )
    strangers = replace(graph, entities=names, test=test)
    changed = replace(tiny, graphs={"mine": strangers}, links=())
    [found] = measure_held_out(unsure, changed, split="test")
    assert held_out_reliability(unsure, found, "vectors") == []


def test_without_probabilities_there_is_nothing_to_compare(
    sized: TrainedModel, tiny: Collection
) -> None:
    [found] = measure_held_out(sized, tiny)
    assert held_out_reliability(sized, found, "vectors") is None


def test_a_figure(
    parse: Callable[[str], ET.Element], rows: Callable[[str], list[list[str]]]
) -> None:
    bins = [ReliabilityBin(0.0, 0.1, 40, 0.05, 0.0), ReliabilityBin(0.9, 1.0, 10, 0.95, 1.0)]
    drawn = parse(reliability_figure(bins).html())
    # Left of the axis is room for "100": 30.6; from there to 320 are 100 percent.
    places = [(x.attrib["cx"], x.attrib["cy"]) for x in drawn.iter("circle")]
    assert places == [("45.1", "180"), ("305.5", "30")]
    assert rows(reliability_table(bins)) == [
        ["0 to 10", "40", "5.0", "0.0"],
        ["90 to 100", "10", "95.0", "100.0"],
    ]
