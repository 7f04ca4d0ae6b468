"""The map: places by hand, groups, names that leave room for each other, and a size that holds."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.model.trained_model import TrainedModel
from kgraft.reporting.entity_map import HEIGHT, MAX_POINTS, WIDTH, map_entities, map_figure
from kgraft.reporting.entity_map import principal_places as places_of


def test_places_along_the_principal_directions() -> None:
    vectors = torch.tensor([[3.0, 7, 0], [1, 7, 0], [2, 7, 0.5], [2, 7, -0.5]])
    places, shares = places_of(vectors)
    assert places == pytest.approx(np.array([[1, 0], [-1, 0], [0, 0.5], [0, -0.5]]))
    assert shares == pytest.approx((0.8, 0.2))


def test_one_entity_lies_in_the_middle(
    by_size: Callable[..., TrainedModel], parse: Callable[[str], ET.Element]
) -> None:
    alone = KnowledgeGraph(
        "one", Vocabulary.of(["only"]), Vocabulary.of(["is"]), train=np.array([[0, 0, 0]])
    )
    model = by_size(alone, [3], [1])
    found = map_entities(model)
    assert (found.places.tolist(), found.shares) == ([[0, 0]], (0, 0))
    drawn = parse(map_figure(model, found))
    [cloud] = [x for x in drawn.iter("path") if "cloud" in x.attrib["class"]]
    assert cloud.attrib["d"] == f"M{WIDTH // 2} {HEIGHT // 2}h0"
    assert [x.text for x in drawn.iter("text")] == ["only"]


def test_linked_entities_have_a_group_of_their_own(student: TrainedModel) -> None:
    found = map_entities(student)
    own, *others = student.graph.parts.values()
    linked = np.isin(own.entity_rows, np.concatenate([x.entity_rows for x in others]))
    place = np.argsort(found.rows)
    assert found.groups[place].tolist() == np.where(linked, 0, 1).tolist()
    ends = student.graph.triples[:, [0, 2]].ravel()
    assert found.rows[0] == np.bincount(ends)[: len(found.rows)].argmax()


def test_a_teacher_shows_its_sources(teacher: TrainedModel) -> None:
    found = map_entities(teacher)
    assert list(found.names) == ["atlas", "cards"]
    atlas = teacher.graph.parts["atlas"].entity_rows
    assert np.array_equal(found.groups == 0, np.isin(found.rows, atlas))


def test_names_do_not_cover_each_other(
    student: TrainedModel, parse: Callable[[str], ET.Element]
) -> None:
    drawn = parse(map_figure(student, map_entities(student)))
    lines = sorted(
        (float(x.attrib["y"]), float(x.attrib["x"]), x.attrib["text-anchor"])
        for x in drawn.iter("text")
    )
    assert 2 <= len(lines) <= 12
    for (y, x, anchor), (below, other, beside) in pairwise(lines):
        if anchor == beside == "start" and abs(x - other) < 20:
            assert below - y >= 19


def test_a_hundred_thousand_entities_are_sampled(by_size: Callable[..., TrainedModel]) -> None:
    n = 100_000
    draw = np.random.default_rng(0)
    facts = draw.integers(0, (n, 1, n), (n, 3))
    graph = KnowledgeGraph(
        "big", Vocabulary.of(f"e{x}" for x in range(n)), Vocabulary.of(["r"]), train=facts
    )
    model = by_size(graph, draw.random(n).tolist(), [1])
    found = map_entities(model)
    assert len(np.unique(found.rows)) == MAX_POINTS
    drawn = map_figure(model, found)
    assert "3,000 of 100,000 entities" in drawn
    assert len(drawn) < 60_000
