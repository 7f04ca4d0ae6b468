"""Scenarios that make distillation hard: verdicts by hand, and the script on tiny data."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from importlib import import_module as script
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from kgraft.io.read_collection import read_collection
from kgraft.linking.join import join
from kgraft_experiments.benchmark.settings import BenchmarkSettings

TINY = {"target.entities": 60, "target.facts": 300, "background.facts": 600}


def student(scenario: str, variant: str, seed: int, mrr: float | None) -> dict[str, Any]:
    figures = {"all": mrr, "covered": None, "uncovered": mrr}
    about = {"scenario": scenario, "target": "aa", "variant": variant, "share": 1.0, "seed": seed}
    return {**about, "train_seconds": 9.0, "tail": figures, "both": {**figures, "all": 0.5}}


def both_students(scenario: str, differences: tuple[float, ...]) -> list[dict[str, Any]]:
    return [
        student(scenario, variant, seed, 0.3 + 0.1 * seed + gained)
        for seed, difference in enumerate(differences)
        for variant, gained in (("all", difference), ("none", 0.0))
    ]


def test_a_scenario_costs_where_a_difference_lies_below_its_deviation() -> None:
    never_costs = script("never_costs")
    rows = [
        *both_students("worse", (-0.01, -0.02, -0.03)),  # -0.02, deviation 0.01
        *both_students("unsure", (-0.03, 0.01, -0.01)),  # -0.01, deviation 0.02
        *both_students("better", (0.02, 0.02, 0.03)),
        *both_students("alike", (0.0, 0.0, 0.0)),
    ]
    worse, *others = never_costs.judged(rows)
    assert (worse["scenario"], worse["costs"]) == ("worse", True)
    assert worse["where"] == ["tail all", "tail uncovered", "both uncovered"]
    assert [(x["scenario"], x["costs"], x["where"]) for x in others] == [
        ("unsure", False, []),
        ("better", False, []),
        ("alike", False, []),
    ]
    [cell] = (
        x
        for x in worse["summary"]
        if (x["variant"], x["side"], x["facts"]) == ("all", "tail", "all")
    )
    assert (cell["minus_none"], cell["minus_none_sd"]) == pytest.approx((-0.02, 0.01))


@pytest.mark.parametrize(
    ("difference", "deviation", "expected"),
    [(-0.2, 0.1, True), (-0.1, 0.1, False), (0.2, 0.1, False), (None, None, False)],
)
def test_below_a_deviation(
    difference: float | None, deviation: float | None, expected: bool
) -> None:
    assert script("never_costs").is_below(difference, deviation) is expected


@pytest.fixture
def tiny(tmp_path: Path, quick: BenchmarkSettings) -> list[str]:
    """Options that make every scenario and every student in a moment."""
    path = tmp_path / "tiny.toml"
    parts = quick.model_dump(exclude_none=True, include={"pretrain", "retrain"})
    path.write_text(tomli_w.dumps(parts), encoding="utf-8")
    synth = [f"--synth={key}={value}" for key, value in TINY.items()]
    places = [f"--out={tmp_path / 'never_costs.json'}", f"--work={tmp_path / 'work'}"]
    return [*places, f"--settings={path}", "--threads=1", "--seeds=2", *synth]


def test_a_scenario_changes_what_it_says() -> None:
    never_costs = script("never_costs")
    asked = never_costs.options().parse_args(
        ["--out=x", "--work=y", "--synth=target.facts=4000", "--synth=links.linked=0.5"]
    )
    few = never_costs.synth_settings(asked, "private, few links", 7)
    assert (few.links.linked, few.background.vocabulary, few.world.seed) == (0.2, "private", 7)
    assert (few.target.facts, few.target.entities, few.background.facts) == (4000, 2000, 15_000)
    assert never_costs.synth_settings(asked, "shared", 0).links.linked == 1


@pytest.mark.slow
def test_scenarios_from_end_to_end(
    tiny: list[str],
    tmp_path: Path,
    started: list[str],
    capsys: pytest.CaptureFixture[str],
    shown: Callable[..., list[str]],
) -> None:
    never_costs = script("never_costs")
    never_costs.main([*tiny, "--scenarios", "shared", "private", "no links"])
    report = json.loads((tmp_path / "never_costs.json").read_text(encoding="utf-8"))
    assert len(started) == 3 * 2 * (1 + 3)
    assert started.count("teacher for target") == 3 * 2
    assert [x["scenario"] for x in report["scenarios"]] == ["shared", "private", "no links"]
    by_key = {(x["scenario"], x["variant"], x["seed"]): x for x in report["rows"]}
    assert len(by_key) == 3 * 3 * 2
    for variant in ("all", "none"):
        for seed in (0, 1):
            # By names nothing of a private vocabulary is covered, by matched relations much is.
            assert by_key["shared", variant, seed]["tail"]["covered"] is not None
            assert by_key["private", variant, seed]["tail"]["covered"] is not None
            # Who has no links is not taught.
            assert (
                by_key["no links", variant, seed]["tail"]
                == by_key["no links", "none", seed]["tail"]
            )
    alone = report["scenarios"][2]
    assert (alone["costs"], alone["where"]) == (False, [])
    assert by_key["shared", "all", 0]["tail"] != by_key["shared", "all", 1]["tail"]
    assert report["settings"]["seeds"] == [0, 1]
    assert report["settings"]["retrain"]["model"]["width"] == 8
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == "no links: no cost"
    assert "the target 'target' has no links" in said.err
    lines = shown(report)
    assert len(lines) == 1 + 3 * 3
    assert lines[7].startswith("| no links | all | ")
    assert lines[7].endswith("| +0.0 ± 0.0 | no |")


@pytest.mark.slow
def test_it_goes_on_where_it_stopped(tiny: list[str], started: list[str]) -> None:
    never_costs = script("never_costs")
    never_costs.main([*tiny, "--scenarios", "few links"])
    n = len(started)
    never_costs.main([*tiny, "--scenarios", "few links", "doubtful links"])
    assert len(started) == 2 * n


def test_a_deviation_takes_two_seeds(tiny: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        script("never_costs").main([*tiny, "--seeds=1"])
    assert "at least two seeds" in capsys.readouterr().err


@pytest.fixture
def named_layout(layout: Path) -> Path:
    """The layout with names of entities, three of which no fact mentions, and of relations."""
    (layout / "entity").mkdir()
    for name in ("aa", "bb", "cc"):
        names = "".join(f"{name} thing {row}\n" for row in range(23))
        (layout / "entity" / f"{name}.tsv").write_text(names)
    (layout / "relations.txt").write_text("".join(f"says {row}\n" for row in range(9)))
    return layout


def test_a_real_pair_with_relations_of_their_own(named_layout: Path, tmp_path: Path) -> None:
    place = script("private_names").private_collection(
        named_layout, ["aa", "bb"], tmp_path / "pair", target="aa"
    )
    pair, whole = read_collection(place, allow_outside=True), read_collection(named_layout)
    assert (pair.target, list(pair.graphs)) == ("aa", ["aa", "bb"])
    for name, graph in pair.graphs.items():
        assert graph.entities == whole.graphs[name].entities
        for split in ("train", "valid", "test"):
            same = np.array_equal(getattr(graph, split), getattr(whole.graphs[name], split))
            assert same, (name, split)
        assert graph.relations.name(4) == f"{name}:says 4"
    [links] = pair.links
    [expected] = (x for x in whole.links if x.joins("aa") and x.joins("bb"))
    assert np.array_equal(links.pairs, expected.pairs)
    joint = join(list(pair.graphs.values()), pair.links)
    assert joint.n_relations == 2 * len(pair.graphs["aa"].relations)


def test_real_graphs_without_links_are_refused(named_layout: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no links between bb and cc"):
        script("private_names").private_collection(named_layout, ["bb", "cc"], tmp_path / "pair")


@pytest.mark.slow
def test_a_real_pair_from_end_to_end(
    named_layout: Path, tiny: list[str], tmp_path: Path, started: list[str]
) -> None:
    pair = [f"--dbp5l={named_layout}", "--target=cc", "--background=aa", "--scenarios"]
    script("never_costs").main([*tiny, *pair])
    report = json.loads((tmp_path / "never_costs.json").read_text(encoding="utf-8"))
    assert [x["scenario"] for x in report["scenarios"]] == ["private, cc beside aa"]
    assert {x["target"] for x in report["rows"]} == {"cc"}
    assert len(started) == 2 * (1 + 3)
    described = (tmp_path / "work" / "collections" / "cc-aa" / "collection.toml").read_text()
    assert tomllib.loads(described)["target"] == "cc"
