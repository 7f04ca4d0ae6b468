"""A model's report: what is on it, what any name may hold, and what is not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import polars as pl
import pytest

from kgraft.graph.vocabulary import Vocabulary
from kgraft.linking.collection import Collection, collect
from kgraft.model.calibration import Calibration
from kgraft.model.fact_probability import LabelCheck
from kgraft.model.gain import RELATION_GAIN_METRIC, Gain, gain_metric
from kgraft.model.trained_model import TrainedModel
from kgraft.reporting.model_report import report, training_figure

Parse = Callable[[str], ET.Element]


def headings(page: ET.Element) -> list[str]:
    return [x.text or "" for x in page.iter("h2")]


def section(page: ET.Element, name: str) -> str:
    [found] = [x for x in page.iter("section") if x.findtext("h2") == name]
    return " ".join("".join(found.itertext()).split())


def titles(page: ET.Element) -> list[str]:
    return [x.findtext("title") or "" for x in page.iter("svg") if x.get("role") == "img"]


def test_a_student_from_top_to_bottom(
    student: TrainedModel, generated: Collection, parse: Parse
) -> None:
    made = report(student, generated, origin={"directory": "here"})
    page = parse(made)
    assert page.findtext("body/header/h1") == "Student for mine"
    assert headings(page) == [
        "In short",
        "Quality",
        "Quality by relation",
        "Probability if asked",
        "Degree and rank",
        "Facts to add",
        "Training",
        "Rules",
        "Entities",
        "Settings",
        "Provenance",
    ]
    terms = ["task", "rules", "regularization", "feature", "network", "prediction"]
    first = titles(page).index("Validation MRR by vectors, percent")
    assert titles(page)[first + 1] == "Loss, the weighted sum"
    assert titles(page)[first + 2 : first + 8] == [f"Loss: {term}" for term in terms]
    assert "96 validation facts of mine" in section(page, "Quality")
    assert "optimistic" in section(page, "Quality")
    assert "Expected calibration error" in section(page, "Probability if asked")
    assert " if r" in section(page, "Rules")
    assert "[distillation]" in section(page, "Settings")
    assert "here" in section(page, "Provenance")
    assert report(student, generated, origin={"directory": "here"}) == made


def test_nothing_comes_from_elsewhere(
    student: TrainedModel, generated: Collection, parse: Parse
) -> None:
    made = report(student, generated)
    page = parse(made)
    for x in page.iter():
        assert x.tag not in ("script", "link", "img", "iframe")
        assert "src" not in x.attrib
        assert x.attrib.get("href", "#").startswith("#")
    assert len(made) < 200_000


def test_test_facts_only_when_they_are_asked_for(
    student: TrainedModel, generated: Collection, parse: Parse
) -> None:
    without = replace(
        generated,
        graphs={
            name: replace(graph, test=graph.test[:0]) for name, graph in generated.graphs.items()
        },
    )
    assert report(student, generated) == report(student, without)
    asked = section(parse(report(student, generated, split="test")), "Quality")
    assert "test facts of mine" in asked
    assert "optimistic" not in asked
    nothing = section(parse(report(student, without, split="test")), "Quality")
    assert "There are no test facts to measure." in nothing


def test_a_teacher(teacher: TrainedModel, generated: Collection, parse: Parse) -> None:
    page = parse(report(teacher, generated))
    assert page.findtext("body/header/h1") == "Teacher"
    assert headings(page) == [
        "In short",
        "Quality",
        "Quality by relation",
        "Degree and rank",
        "Training",
        "Entities",
        "Settings",
        "Provenance",
    ]


def test_without_a_collection_nothing_is_measured(student: TrainedModel, parse: Parse) -> None:
    assert headings(parse(report(student))) == [
        "In short",
        "Facts to add",
        "Training",
        "Rules",
        "Entities",
        "Settings",
        "Provenance",
    ]


def test_how_complete_each_relation_is_and_how_the_probabilities_are_checked(
    student: TrainedModel, parse: Parse
) -> None:
    fitted = student.fact_probability
    assert fitted is not None
    part = student.graph.part("mine")
    row = int(part.relation_rows[0])
    stated = np.concatenate([student.graph.facts_of(["mine"]), student.held_out["mine"]])
    n = int((np.unique(stated, axis=0)[:, 1] == row).sum())
    known = fitted.completeness.with_given({row: 0.01})
    check = LabelCheck("by_one", candidates=40, true=30.2, expected=6.4, found=7)
    changed = replace(fitted, completeness=known, checks=(check,))
    page = parse(report(replace(student, fact_probability=changed)))
    [found] = [x for x in page.iter("section") if x.findtext("h2") == "Facts to add"]
    first = ["".join(cell.itertext()) for cell in next(iter(found.iter("tbody")))[0]]
    assert first[1:] == [f"{n:,}", "1.0", f"{99 * n:,}", "given"]
    text = section(page, "Facts to add")
    assert "1 as given" in text
    assert text.endswith("one other source403067")
    unchecked = replace(fitted, checks=())
    page = parse(report(replace(student, fact_probability=unchecked)))
    assert "Validation facts check" not in section(page, "Facts to add")


def test_what_was_gained_where_it_was_measured(student: TrainedModel, parse: Parse) -> None:
    gains = {"all": Gain(4, 0.25, 0.5, 0.125, 0.375), "both ends linked": Gain(2, 0.5, 0.75)}
    more = gain_metric({"r1": Gain(4, 0.25, 0.5, 0.125, 0.375)}, RELATION_GAIN_METRIC)
    measured = replace(student, metrics={**student.metrics, **gain_metric(gains), **more})
    page = parse(report(measured))
    found = section(page, "Gained by grafting")
    assert "without links" in found
    assert "all425.050.0+25.0+12.5 to +37.5" in found
    assert "both ends linked250.075.0+25.0-" in found
    assert found.strip().endswith("r1425.050.0+25.0+12.5 to +37.5")
    [figure] = [x for x in page.iter("svg") if (x.findtext("title") or "").startswith("Gain in")]
    assert figure.findtext("desc") == "all +25.0; both ends linked +25.0; r1 +25.0"
    assert [x.findtext("title") for x in figure.iter("g")] == [
        "all +25.0", "both ends linked +25.0", "r1 +25.0"
    ]  # fmt: skip
    spans = [x for x in figure.iter("line") if (x.get("class") or "").startswith("span")]
    assert len(spans) == 2


def test_by_what_it_answers(student: TrainedModel, generated: Collection, parse: Parse) -> None:
    for by, words in (("vectors", "vectors alone"), ("rules", "rules and other sources alone")):
        found = section(parse(report(student, generated, by=by)), "Quality")  # type: ignore[arg-type]
        assert f"answers by {words}." in found


def test_any_name_is_shown_as_it_is(
    tiny: Collection, by_size: Callable[..., TrainedModel], parse: Parse
) -> None:
    nasty = "<i>&\"'<b>"
    graph = replace(
        tiny.graphs["mine"],
        name=nasty,
        relations=Vocabulary.of([nasty, "a\x00b"]),
        labels=pl.Series([nasty] * 5),
    )
    model = replace(
        by_size(graph, (5, 4, 3, 2, 1), (1, 1)),
        calibration={"vectors": Calibration(((-9.0, -2.0), (0.0, 2.0)))},
    )
    made = report(model, collect([graph], target=nasty), origin={nasty: nasty}, split="test")
    assert "<i>&" not in made
    page = parse(made)
    assert page.findtext("body/header/h1") == f"Single for {nasty}"
    assert nasty in [x.text for x in page.iter("text")]
    assert nasty in section(page, "Quality by relation")
    assert nasty in section(page, "Provenance")


def test_a_model_of_which_nothing_is_known(
    sized: TrainedModel, tiny: Collection, parse: Parse
) -> None:
    own = replace(tiny.graphs["mine"], valid=tiny.graphs["mine"].valid[:0])
    page = parse(report(sized, collect([own], target="mine")))
    assert "The model has no training log." in section(page, "Training")
    assert "There are no validation facts to measure." in section(page, "Quality")
    assert "This model has no rules." in section(page, "Rules")


def test_a_student_without_rules(student: TrainedModel, parse: Parse) -> None:
    evidence = student.evidence
    assert evidence is not None
    empty = replace(evidence, rules=replace(evidence.rules, frame=evidence.rules.frame.clear()))
    found = section(parse(report(replace(student, evidence=empty))), "Rules")
    assert "No rule was found." in found


def test_training_drawn(logged: TrainedModel, parse: Parse) -> None:
    figure = training_figure(logged.log, 2)
    validation, loss, task = (parse(x.svg()) for x in figure.drawings)
    assert validation.findtext("desc") == (
        "From 50 at epoch 2 to 25 at epoch 3. Best at epoch 2: 50."
    )
    assert loss.findtext("desc") == "From 9 at epoch 1 to 3 at epoch 3."
    assert task.findtext("title") == "Loss: task"
    # Epochs 1 to 3 lie from 24.4 to 320, percent 25 to 50 from 180 to 30.
    [curve] = [x.attrib["d"] for x in validation.iter("path")]
    assert curve == "M172.2 30L320 180"
    [best] = [x.attrib for x in validation.iter("line") if x.attrib["class"] == "guide"]
    assert (best["x1"], best["y1"], best["x2"], best["y2"]) == ("172.2", "180", "172.2", "30")


def test_the_log_as_a_table(logged: TrainedModel, parse: Parse) -> None:
    page = parse(report(logged))
    assert "3 epochs in 1.5 seconds." in section(page, "Training")
    found = [["".join(cell.itertext()) for cell in row] for row in page.iter("tr")]
    assert found[:3] == [
        ["epoch", "task", "loss", "validation MRR", "seconds"],
        ["1", "8.0000", "9.0000", "-", "0.5"],
        ["2", "4.0000", "4.5000", "50.0", "0.5"],
    ]


def test_one_epoch_without_a_look(logged: TrainedModel, parse: Parse) -> None:
    once = replace(logged, log=logged.log[:1], metrics={"best_epoch": 1, "validation_mrr": None})
    page = parse(report(once))
    assert "1 epoch in 0.5 seconds. There were no validation facts" in section(page, "Training")
    assert titles(page)[:2] == ["Loss, the weighted sum", "Loss: task"]


def test_losses_that_are_no_numbers(logged: TrainedModel, parse: Parse) -> None:
    lost = [{**entry, "loss": float("nan")} for entry in logged.log]
    page = parse(report(replace(logged, log=lost)))
    assert titles(page)[1] == "Loss, the weighted sum"


@pytest.mark.parametrize("kind", ["single", "joint"])
def test_the_heading_says_the_kind(sized: TrainedModel, kind: str, parse: Parse) -> None:
    page = parse(report(replace(sized, kind=kind)))  # type: ignore[arg-type]
    assert page.findtext("body/header/h1") == f"{kind.capitalize()} for mine"
