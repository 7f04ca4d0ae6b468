"""What is measured on held-out facts: ranks and degrees worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from kgraft.errors import DataError, KgraftWarning
from kgraft.evaluation.evaluate import evaluate
from kgraft.linking.collection import Collection
from kgraft.model.trained_model import TrainedModel
from kgraft.reporting import quality
from kgraft.reporting.model_report import report
from kgraft.reporting.quality import (
    by_coverage,
    by_relation,
    degree_figure,
    degree_table,
    degrees_and_ranks,
    group_by_degree,
    measure_held_out,
)

Read = Callable[[str], list[list[str]]]


def test_degrees_and_ranks(sized: TrainedModel, tiny: Collection) -> None:
    evaluations = measure_held_out(sized, tiny, split="test")
    degrees, ranks = degrees_and_ranks(evaluations)
    # Tails: cay, dan, bob, eve; heads: ann, bob, eve, ann. Who else is an answer is left out.
    assert degrees.tolist() == [2, 1, 2, 0, 1, 2, 0, 1]
    assert ranks.tolist() == [2, 4, 2, 3, 1, 2, 5, 1]
    assert group_by_degree(degrees, ranks).rows() == [
        ("0", 0, 2, 3.5, 4, 4.5),
        ("1", 1, 3, 1, 1, 2.5),
        ("2–3", 2, 3, 2, 2, 2),
    ]


def test_groups_double() -> None:
    groups = group_by_degree(np.array([4, 7, 8, 1023, 1024]), np.ones(5))
    assert groups.select("degree", "queries").rows() == [
        ("4–7", 2),
        ("8–15", 1),
        ("512–1023", 1),
        ("1024–2047", 1),
    ]
    nothing = group_by_degree(np.empty(0, dtype=np.int64), np.empty(0))
    assert nothing.is_empty()
    assert degree_figure(nothing).html()


def test_a_figure_of_degrees(parse: Callable[[str], ET.Element], rows: Read) -> None:
    # Of 1, 1, 10, 100 and 100 the quartiles are 1, 10 and 100.
    ranks = np.array([1.0, 1, 10, 100, 100, 1])
    groups = group_by_degree(np.array([1, 1, 1, 1, 1, 1024]), ranks)
    drawn = parse(degree_figure(groups).html())
    # Ranks 1 to 100 lie between 180 and 30.
    [first, _] = [x for x in drawn.iter("line") if "span" in x.attrib["class"]]
    assert (first.attrib["y1"], first.attrib["y2"]) == ("180", "30")
    assert [x.attrib["cy"] for x in drawn.iter("circle")] == ["105", "180"]
    assert {"1k", "10", "100"} <= {x.text for x in drawn.iter("text")}
    assert rows(degree_table(groups))[0] == ["1", "5", "1.0", "10.0", "100.0"]


def test_quality_by_coverage(sized: TrainedModel, tiny: Collection, rows: Read) -> None:
    found = rows(by_coverage(measure_held_out(sized, tiny, split="test")))
    # Covered is ann likes cay: ranks 2 and 1.
    assert found[1] == ["covered", "2", "75.0", "", "50.0", "100.0", "-", "50.0", "100.0"]
    assert [row[0] for row in found] == ["all", "covered", "uncovered", "seen", "unseen"]
    # All: 1/2 + 1/4 + 1/2 + 1/3 + 1 + 1/2 + 1/5 + 1, of 8
    assert found[0][1:3] == ["8", "53.5"]


def test_quality_by_relation(sized: TrainedModel, tiny: Collection, rows: Read) -> None:
    found = rows(by_relation(sized, measure_held_out(sized, tiny, split="test")))
    assert [row[:3] for row in found] == [["likes", "6", "59.7"], ["knows", "2", "35.0"]]


def test_only_the_most_frequent_relations(
    sized: TrainedModel, tiny: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "MAX_RELATIONS", 1)
    shown = by_relation(sized, measure_held_out(sized, tiny, split="test"))
    assert "The 1 most frequent of 2 relations" in shown
    assert "knows" not in shown


def test_validation_facts_are_ranked_as_if_test_facts_were_unknown(
    sized: TrainedModel, tiny: Collection
) -> None:
    graph = tiny.graphs["mine"]
    # ann knows ?: with a test fact that says ann, ann would be left out.
    known = replace(graph, test=np.array([[0, 1, 0]]))
    for own in (graph, known):
        changed = replace(tiny, graphs={**tiny.graphs, "mine": own})
        [found] = measure_held_out(sized, changed)
        assert found.ranks["tail", "train+valid"].realistic.tolist() == [3]


def test_a_large_split_is_sampled(
    sized: TrainedModel, tiny: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "MAX_FACTS", 2)
    one, other = (measure_held_out(sized, tiny, split="test")[0] for _ in range(2))
    assert len(one.facts) == len(one.ranks["head", "all"]) == len(one.covered) == 2
    assert np.array_equal(one.facts, other.facts)


def test_large_graphs_are_asked_less(
    sized: TrainedModel, tiny: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "MAX_SCORES", 30)
    # Five entities: three facts, both ends of each, take thirty scores.
    [found] = measure_held_out(sized, tiny, split="test")
    assert len(found.facts) == 3


def test_a_collection_without_a_teachers_sources_is_refused(
    teacher: TrainedModel, tiny: Collection
) -> None:
    with pytest.raises(DataError, match="'tiny' holds none of the model's sources: atlas, cards"):
        measure_held_out(teacher, tiny)


def test_facts_that_the_model_was_trained_on_are_left_out_and_told(
    sized: TrainedModel, tiny: Collection
) -> None:
    mine = tiny.graphs["mine"]
    redrawn = replace(mine, train=mine.train[1:], test=np.concatenate([mine.train[:1], mine.test]))
    changed = replace(tiny, graphs={**tiny.graphs, "mine": redrawn})
    with pytest.warns(KgraftWarning, match="trained on 1 of the 5 test facts"):
        shown = report(sized, changed, split="test")
    assert "4 test facts of mine (1 more are left out, as the model was trained on them)" in shown
    with pytest.warns(KgraftWarning, match="trained on 1 of the 5 test facts"):
        shown = report(sized, changed, split="test", include_trained=True)
    assert "5 test facts of mine (the model was trained on 1 of all 5)" in shown


def test_a_teacher_is_measured_on_its_sources(
    teacher: TrainedModel, generated: Collection, rows: Read
) -> None:
    evaluations = measure_held_out(teacher, generated)
    assert [x.graph.name for x in evaluations] == ["atlas", "cards"]
    both = {name: generated.graphs[name] for name in ("atlas", "cards")}
    alone = evaluate(teacher, replace(generated, graphs=both, target="cards"), split="valid")
    assert np.array_equal(evaluations[1].covered, alone.covered)
    assert alone.covered.any()
    assert [row[:2] for row in rows(by_coverage(evaluations))[:4]] == [
        ["atlas", "all"],
        ["atlas", "covered"],
        ["atlas", "uncovered"],
        ["cards", "all"],
    ]
    assert {row[1] for row in rows(by_relation(teacher, evaluations))} == {"atlas", "cards"}
    assert measure_held_out(teacher, generated, split="test") == []
    [unseen] = measure_held_out(teacher, generated, target="mine")
    assert rows(by_relation(teacher, [unseen]))[0][0].startswith("r")
