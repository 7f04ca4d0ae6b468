"""The scripts that measure: what they compute by hand, and each from end to end on tiny data."""

from __future__ import annotations

import json
import tomllib
from importlib import import_module as script
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tomli_w

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import collect
from kgraft.linking.joint_graph import join
from kgraft.linking.links import Links
from kgraft.model.directory import save_model
from kgraft.pipeline.pretrain import pretrain
from kgraft.pipeline.retrain import retrain, retraining_run
from kgraft.pipeline.run import Run
from kgraft.settings import RetrainSettings, TrainSettings
from kgraft.toml_settings import read_settings
from kgraft.training.sampler import TripleSampler
from kgraft_experiments.benchmark import job
from kgraft_experiments.benchmark.settings import BenchmarkSettings
from kgraft_experiments.synthesis.settings import SynthSettings
from kgraft_experiments.synthesis.synthesize import synthesize
from kgraft_experiments.synthesis.write_synthetic import write_synthetic

TINY = {"target.entities": 60, "target.facts": 300, "background.facts": 600}


def shown(report: dict[str, Any], drawn: bool = True) -> str:
    """Return a report's tables; it can be drawn, too."""
    if drawn:
        assert len(script("plot").draw(report).drawings) == 2
    return str(script("table").markdown(report))


def table(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| ")]


# ----------------------------------------------------------------------------------- background.py


def cost(number: int, background: int, system: str, seconds: float) -> dict[str, Any]:
    about = {"round": number, "background": background, "system": system}
    return {**about, "train_seconds": seconds, "triples": 5, "peak_rss_mib": None, "mrr": 0.5}


ROUNDS = [
    cost(number, background, system, seconds)
    for background, of_systems in (
        (200, {"joint": (9, 8, 1), "teacher": (6, 6, 6), "student": (4, 3, 5)}),
        (100, {"joint": (4, 2, 5), "teacher": (2, 9, 3), "student": (5, 5, 9)}),
    )
    for system, measured in of_systems.items()
    for number, seconds in enumerate(measured, start=1)
]


def test_medians_and_ratios_of_rounds() -> None:
    background = script("background")
    summary = background.medians(ROUNDS)
    seconds = {(x["background"], x["system"]): x["train_seconds"] for x in summary}
    assert seconds == {
        (200, "joint"): 8,
        (200, "teacher"): 6,
        (200, "student"): 4,
        (100, "joint"): 4,
        (100, "teacher"): 3,
        (100, "student"): 5,
    }
    assert {x["peak_rss_mib"] for x in summary} == {None}
    # The student is flat within 5 / 4 though it is the small background that takes longer.
    expected = {"student_flatness": 1.25, "joint_growth": 2.0, "teacher_growth": 2.0}
    assert background.ratios(summary) == expected


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many facts each student's vectors learn, as it comes."""
    found: list[int] = []

    def spied(*arguments: Any, **options: Any) -> Run:
        run = retraining_run(*arguments, **options)
        found.append(int(run.graph.among_first(run.model.n_entities).sum()))
        return run

    monkeypatch.setattr(job, "retraining_run", spied)
    return found


@pytest.mark.slow
def test_a_growing_background(
    tmp_path: Path, started: list[str], learned: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results" / "background.json"
    sizes = ["--target-entities=60", "--target-facts=300", "--background=1200"]
    work = ["--repeats=2", "--epochs=1", "--width=8", "--threads=1", "--times", "1", "2"]
    script("background").main([f"--out={out}", *sizes, *work])
    report = json.loads(out.read_text(encoding="utf-8"))
    # Each round asks each size anew, the sizes in turns.
    assert started == ["joint for target", "teacher for target", "student for target"] * 4
    turns = [(x["round"], x["background"]) for x in report["rows"] if x["system"] == "joint"]
    assert turns == [(1, 1200), (1, 2400), (2, 1200), (2, 2400)]
    facts = {(x["background"], x["system"]): x["triples"] for x in report["medians"]}
    # The student's vectors learn the same facts; its rules are mined on those about its target's
    # entities, which grow less than all facts do.
    assert len(learned) == 4
    assert len({*learned}) == 1
    assert facts[2400, "joint"] > facts[1200, "joint"] > facts[1200, "student"] > learned[0]
    grown = {x: facts[2400, x] - facts[1200, x] for x in ("joint", "student")}
    assert 0 <= grown["student"] < grown["joint"]
    assert all(0 < row["mrr"] < 1 and row["train_seconds"] > 0 for row in report["rows"])
    assert report["student_flatness"] >= 1
    assert report["settings"]["backgrounds"] == [1200, 2400]
    assert report["machine"]["kgraft"]
    assert capsys.readouterr().out.startswith("student_flatness ")
    lines = table(shown(report))
    assert len(lines) == 1 + 2 * 3
    assert lines[5].startswith(f"| 1,200 | student | {facts[1200, 'student']:,.0f} |")


# ---------------------------------------------------------------------------------- never_costs.py


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
    tiny: list[str], tmp_path: Path, started: list[str], capsys: pytest.CaptureFixture[str]
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
            # Of a private vocabulary nothing is known to be covered.
            assert by_key["shared", variant, seed]["tail"]["covered"] is not None
            assert by_key["private", variant, seed]["tail"]["covered"] is None
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
    lines = table(shown(report))
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
    place = script("never_costs").private_pair(named_layout, "aa", "bb", tmp_path / "pair")
    pair, whole = read_collection(place), read_collection(named_layout)
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
        script("never_costs").private_pair(named_layout, "bb", "cc", tmp_path / "pair")


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


# ---------------------------------------------------------------------------------------- walks.py


class Clock:
    """Time that passes only by what is done."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


class Slow:
    """Batches that take 2 s each, and a trainer that takes 6 s for one, on a clock of their own."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def __iter__(self) -> Slow:
        return self

    def __next__(self) -> range:
        self.clock.now += 2
        return range(10)

    def step(self, _batch: range) -> None:
        self.clock.now += 6


def test_making_and_learning_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    walks, clock = script("walks"), Clock()
    monkeypatch.setattr(walks, "time", clock)
    assert walks.turns(Slow(clock), Slow(clock), 4) == (40, 8.0, 24.0)
    assert clock.now == (walks.WARM_UP + 4) * 8


def test_how_far_walks_are_ahead() -> None:
    paths = [{"steps": 3, "paths_per_second": x} for x in (900, 400)]
    training = [{"steps": steps, "learned_per_second": 100} for steps in (1, 3)]
    found = list(script("walks").with_ahead(training, paths))
    assert [row["ahead"] for row in found] == [None, 12.0]


def test_the_middle_of_some_rounds() -> None:
    rows = [{"encoder": "gru", "steps": 2, "making": x} for x in (0.3, 0.1, 0.2)]
    assert script("walks").middle(rows) == {"encoder": "gru", "steps": 2, "making": 0.2}


def test_epochs_follow_each_other() -> None:
    facts = np.array([[row, 0, row + 1] for row in range(6)])
    stream = script("walks").endless(TripleSampler(facts, 7, 1, batch_size=8, negatives=2, seed=0))
    assert [len(next(stream)) for _ in range(5)] == [8, 4, 8, 4, 8]


def test_walks_and_training_are_measured(
    layout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "walks.json"
    wanted = ["--steps", "1", "2", "3", "--walkers", "16", "64", "--seconds=0.02"]
    sizes = ["--batches=2", "--repeats=2", "--width=8", "--batch-size=32", "--threads=1"]
    script("walks").main([str(layout), f"--out={out}", *wanted, *sizes])
    report = json.loads(out.read_text(encoding="utf-8"))
    assert [(x["steps"], x["walkers"]) for x in report["walks"]] == [
        (2, 16),
        (2, 64),
        (3, 16),
        (3, 64),
    ]
    for row in report["walks"]:
        assert row["paths_per_second"] > 0
        expected = row["paths_per_second"] * (row["steps"] - 1)
        assert row["steps_per_second"] == pytest.approx(expected, abs=2)
    keys = [(x["encoder"], x["steps"]) for x in report["training"]]
    assert keys == [(encoder, steps) for encoder in ("complex", "gru") for steps in (1, 2, 3)]
    for row in report["training"]:
        assert 0 < row["making"] < 1
        assert row["queries_per_second"] < row["learned_per_second"]
        assert (row["ahead"] is None) == (row["steps"] == 1)
    facts = sum(len(graph.train) for graph in read_collection(layout).graphs.values())
    assert report["settings"]["facts"] <= facts
    assert capsys.readouterr().out.count("queries/s") == 6
    lines = table(shown(report, drawn=False))
    assert len(lines) == 1 + 6 + 1 + 4


# -------------------------------------------------------------------------------------- explain.py


@pytest.mark.slow
def test_probabilities_and_explanations_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "made"
    write_synthetic(synthesize(read_settings(SynthSettings, changes=TINY)), made)
    collection = read_collection(made / "collection.toml")
    few = {"model": {"width": 8}, "training": {"epochs": 2, "negatives": 16}}
    teacher = pretrain(collection, TrainSettings.model_validate(few))
    few["training"]["min_steps"] = 0
    student = retrain(collection, teacher, RetrainSettings.model_validate(few))
    save_model(student, tmp_path / "model")
    out = tmp_path / "explain.json"
    script("explain").main([str(tmp_path / "model"), str(made / "collection.toml"), f"--out={out}"])
    report = json.loads(out.read_text(encoding="utf-8"))
    assert len(report["calibration"]) == 3 * 3 * 3
    assert set(report["calibration_error_by_facts"]) == {"all", "covered", "uncovered"}
    assert report["calibration_error"] == report["calibration_error_by_facts"]["all"]
    assert report["covered"] + report["uncovered"] == len(collection.target_graph.test)
    assert report["covered"] > 0
    assert report["explained_share"] == 1.0
    for row in report["calibration"]:
        assert sum(part["count"] for part in row["reliability"]) == row["candidates"]
    assert "explained share of covered 1.0" in capsys.readouterr().out


def test_a_named_fact_has_to_be_one() -> None:
    explain = script("explain")
    mine, big = (
        KnowledgeGraph(
            name,
            Vocabulary.of([f"{name}:a", f"{name}:b"]),
            Vocabulary.of(["r"]),
            np.array([[0, 0, 1]]),
        )
        for name in ("mine", "big")
    )
    same = Links("mine", "big", np.array([[0, 0], [1, 1]]), np.ones(2, dtype=np.float32))
    checked = explain.Checked(collect([mine, big], [same], target="mine"))

    def named(head: str, source: str, *fact: str) -> bool:
        support = SimpleNamespace(
            source=source, **dict(zip(("head", "relation", "tail"), fact, strict=True))
        )
        found = SimpleNamespace(head=head, relation="r", tail="mine:b", supports=[support])
        return bool(checked.names_fact(found, "mine"))

    assert named("mine:a", "big", "big:a", "r", "big:b")
    assert not named("mine:a", "big", "big:b", "r", "big:b")
    assert not named("mine:a", "mine", "mine:a", "r", "mine:b")
    assert not named("mine:b", "big", "big:b", "r", "big:b")  # nobody states it


# --------------------------------------------------------------------------------------- single.py


@pytest.mark.slow
def test_each_graph_alone_has_a_row_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {}
    for name, longest in (("vectors", 0), ("rules", 1)):
        settings = {"model": {"width": 8}, "training": {"epochs": 1}, "rules": {"longest": longest}}
        (tmp_path / f"{name}.toml").write_text(tomli_w.dumps(settings))
        asked = ["world", "--settings", str(tmp_path / f"{name}.toml"), "--threads", "1"]
        script("single").main([*asked, "--out", str(tmp_path / "single.json")])
        rows[name] = json.loads(capsys.readouterr().out)
    report = json.loads((tmp_path / "single.json").read_text())
    assert {name: row["figures"] for name, row in report.items()} == rows
    assert list(rows["vectors"]) == ["vectors"]
    assert list(rows["rules"]) == ["vectors", "rules", "both"]
    assert set(rows["rules"]["both"]) == {"mrr", "hits@1", "hits@3", "hits@10"}
    assert report["rules"]["facts"]["test"] > 0
