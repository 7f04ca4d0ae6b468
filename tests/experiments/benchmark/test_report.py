"""A benchmark's report, of made-up figures and of the committed ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from kgraft.errors import DataError
from kgraft_experiments.benchmark.figures import (
    STYLES,
    ablation_figure,
    comparison_figure,
    cost_figure,
    links_figure,
)
from kgraft_experiments.benchmark.report import benchmark_report, report_on_file
from kgraft_experiments.benchmark.summary import summarise

RESULTS = Path(__file__).parents[3] / "benchmarks" / "results" / "dbp5l" / "results.json"

Parse = Callable[[str], ET.Element]


@pytest.fixture
def parse() -> Parse:
    """Read a page or a piece of one, which has to be well-formed."""
    return lambda text: ET.fromstring(text.removeprefix("<!doctype html>"))  # noqa: S314 made here


def summarised(shares: tuple[float, ...] = (1.0,)) -> dict[str, Any]:
    """Variants none, all and joint of 30, 40 and 50 percent, 10 points apart by seed."""
    rows = [
        {
            "target": "<el>",
            "variant": variant,
            "share": share,
            "seed": seed,
            "train_seconds": 9.0,
            **dict.fromkeys(
                ("tail", "both"),
                dict.fromkeys(("all", "covered", "uncovered"), 0.3 + place / 10 + seed / 10),
            ),
        }
        for share in shares
        for place, variant in enumerate(("none", "all", "joint"))
        for seed in (0, 1)
    ]
    settings: dict[str, Any] = {
        "collection": "made & up",
        "targets": ["<el>"],
        "variants": ["none", "all", "joint"],
        "seeds": [0, 1],
        "threads": 2,
    }
    if len(shares) > 1:
        settings["shares"] = list(shares)
    machine = {"processor": "abacus", "cores": 4}
    return {"settings": settings, "machine": machine, "rows": rows, "summary": summarise(rows)}


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    known: dict[str, Any] = json.loads(RESULTS.read_text())
    return known


def test_systems_compared(committed: dict[str, Any], parse: Parse) -> None:
    page = parse(benchmark_report(committed))
    assert page.findtext("body/header/h1") == "Systems compared"
    assert [x.text for x in page.iter("h2")] == ["Quality", "Cost", "Settings and provenance"]
    text = "".join(page.itertext())
    assert "alone, by both" in text
    assert "dbp5l: el, en, es, fr, ja." in text


def compared() -> dict[str, Any]:
    """Three systems on two targets: joint training of 40 and 60 percent, students of two widths."""
    figures = [("joint", 8, (0.4, 0.6), (10, 30)), ("student", 4, (0.5, 0.6), (2, 3)),
               ("student", 8, (0.6, 0.8), (4, 8))]  # fmt: skip
    quality, cost = [], []
    for system, width, mrr, seconds in figures:
        for target, own, taken in zip(("el", "ja"), mrr, seconds, strict=True):
            row = {"target": target, "system": system, "seed": 0, "width": width,
                   "encoder": "complex", "teacher": None}  # fmt: skip
            measured = row | {"by": "vectors", "side": "tail", "filter": "all", "mrr": own}
            quality += [measured | {"facts": facts} for facts in ("all", "covered", "uncovered")]
            cost.append(row | {"train_seconds": taken})
    settings = {"collection": "made", "targets": ["el", "ja"], "systems": ["joint", "student"]}
    return {"settings": settings, "machine": {}, "quality": quality, "cost": cost}


def test_each_target_and_the_mean_are_drawn(parse: Parse) -> None:
    figure = comparison_figure(compared())
    whole = parse(figure.drawings[0].svg())
    assert len([x for x in whole.iter("circle") if x.attrib["r"] == "5"]) == 3
    assert len([x for x in whole.iter("path") if "mark" in x.attrib["class"]]) == 3 * 2
    said = "joint 50.0; student, width 4 55.0; student, width 8 70.0"
    assert whole.findtext("desc") == said
    assert list(figure.legend) == ["mean over targets", "a target"]


def test_what_quality_costs(parse: Parse) -> None:
    figure = cost_figure(compared())
    assert list(figure.legend) == ["joint", "student, width 4", "student, width 8"]
    said = parse(figure.drawings[0].svg()).findtext("desc") or ""
    assert said.startswith("joint: 50.0 after 20 seconds; student, width 4: 55.0 after 2 seconds")


def test_ways_to_answer_are_told_apart_and_cost_is_that_of_both(parse: Parse) -> None:
    report = compared()
    report["quality"] += [
        row | {"by": "both", "mrr": row["mrr"] + 0.1}
        for row in report["quality"]
        if row["system"] == "joint"
    ]
    said = parse(comparison_figure(report).drawings[0].svg()).findtext("desc") or ""
    assert said.startswith("joint, by vectors 50.0; joint, by both 60.0; student, width 4 55.0")
    said = parse(cost_figure(report).drawings[0].svg()).findtext("desc") or ""
    assert said.startswith("joint: 60.0 after 20 seconds")


def test_an_ablation_drawn(parse: Parse) -> None:
    figure = ablation_figure(summarised())
    covered, _ = (parse(x.svg()) for x in figure.drawings)
    assert covered.findtext("desc") == "none 35.0; all 45.0; joint 55.0"
    # Means of two seeds 10 points apart have a deviation of 7.07 points: ends from 27.9 to 62.1.
    ticks = [x.text for x in covered.iter("text")]
    assert [x for x in ticks if x in STYLES] == ["none", "all", "joint"]
    spans = [x.attrib for x in covered.iter("line") if "span" in x.attrib["class"]]
    lengths = [float(x["x2"]) - float(x["x1"]) for x in spans]
    assert lengths == pytest.approx([lengths[0]] * 3, abs=0.2)
    assert len([x for x in covered.iter("line") if "guide" in x.attrib["class"]]) == 2
    assert figure.caption.endswith("bars: standard deviation over 2 seeds.")


def test_shares_of_links_drawn(parse: Parse) -> None:
    figure = links_figure(summarised((0.5, 1.0)))
    covered, uncovered = (parse(x.svg()) for x in figure.drawings)
    curves = [x.attrib["d"] for x in covered.iter("path") if "curve" in x.attrib["class"]]
    assert len(curves) == 3
    assert all(d.count("M") == d.count("L") == 1 for d in curves)
    assert [x.text for x in uncovered.iter("text")][-3:] == [
        "50",
        "100",
        "links of the target that are kept, percent",
    ]
    assert list(figure.legend) == ["student", "joint training", "student without distillation"]


@pytest.mark.parametrize("shares", [(1.0,), (0.5, 1.0)])
def test_summaries_as_pages(shares: tuple[float, ...], parse: Parse) -> None:
    page = parse(benchmark_report(summarised(shares)))
    text = "".join(page.itertext())
    assert "made & up: <el>. Measured with 2 threads of an abacus with 4 cores." in text
    assert "35.0 ± 7.1" in text
    assert "What links are worth" in text or len(shares) == 1


def test_one_thread_is_one(parse: Parse) -> None:
    report = summarised()
    report["settings"]["threads"] = 1
    assert "with 1 thread of an abacus" in "".join(parse(benchmark_report(report)).itertext())


def test_one_seed_and_nothing_covered(parse: Parse) -> None:
    made = summarised()
    made["settings"]["seeds"] = [0]
    for row in made["summary"]:
        row["sd"] = None
        if row["facts"] == "covered":
            row["mean"] = None
    assert "one seed" in "".join(parse(benchmark_report(made)).itertext())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "JSONDecodeError"),
        ("[" * 100_000, "RecursionError"),
        ("[]", "TypeError"),
        ('{"settings": {}}', "KeyError: 'targets'"),
        (json.dumps({**summarised(), "summary": [1]}), "TypeError"),
        (json.dumps({**summarised(), "machine": []}), "TypeError"),
    ],
)
def test_what_is_no_report_of_a_benchmark(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(DataError, match=complaint) as failed:
        report_on_file(path)
    assert str(failed.value).startswith(f"{path}: ")
