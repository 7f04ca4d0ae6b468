"""The benchmark: what it writes, and that it goes on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kgraft.benchmark import run as benchmark_run
from kgraft.benchmark.piece import run_piece
from kgraft.benchmark.run import benchmark
from kgraft.benchmark.settings import SYSTEMS, BenchmarkSettings
from kgraft.config import ModelSettings, RetrainSettings, TrainingSettings, TrainSettings
from kgraft.errors import KgraftError, UnknownNameError

MODEL, TRAINING = ModelSettings(width=8), TrainingSettings(epochs=1)
FAST = BenchmarkSettings(
    alone=TrainSettings(model=MODEL, training=TRAINING),
    joint=TrainSettings(model=MODEL, training=TRAINING),
    pretrain=TrainSettings(model=MODEL, training=TRAINING),
    retrain=RetrainSettings(model=MODEL, training=TRAINING),
)


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """Three graphs in the DBP-5L layout, without entity files, links as floats and as integers."""
    directory = tmp_path / "data"
    (directory / "kg").mkdir(parents=True)
    (directory / "seed_alignlinks").mkdir()
    draw = np.random.default_rng(0)
    for name in ("aa", "bb", "cc"):
        for split, size in (("train", 60), ("val", 10), ("test", 10)):
            facts = draw.integers(0, (20, 3, 20), size=(size, 3))
            offset = {"train": 0, "val": 3, "test": 6}[split]
            facts[:, 1] = facts[:, 1] * 3 + offset // 3
            text = "".join("\t".join(map(str, fact)) + "\n" for fact in np.unique(facts, axis=0))
            (directory / "kg" / f"{name}-{split}.tsv").write_text(text)
    for pair, form in (("bb-aa", "{}.0\t{}.0\n"), ("aa-cc", "{}\t{}\n")):
        lines = [form.format(row, row) for row in range(0, 20, 2)]
        (directory / "seed_alignlinks" / f"{pair}.tsv").write_text("".join(lines))
    return directory


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run pieces without a new process each; returns the list of pieces run."""
    started: list[str] = []

    def start(piece: Any) -> None:
        started.append(f"{piece.target} {piece.system}")
        run_piece(piece)

    monkeypatch.setattr(benchmark_run, "_start", start)
    return started


def test_results_are_complete(layout: Path, tmp_path: Path, in_this_process: list[str]) -> None:
    report = benchmark(layout, tmp_path / "out", settings=FAST, threads=1, seed=3)
    assert report == json.loads((tmp_path / "out" / "results.json").read_text())
    assert report["settings"]["targets"] == ["aa", "bb", "cc"]
    assert report["settings"]["retrain"]["training"]["seed"] == 3
    keys = {
        (row["target"], row["system"], row["side"], row["filter"], row["facts"])
        for row in report["quality"]
    }
    assert keys == {
        (target, system, side, facts_filter, facts)
        for target in ("aa", "bb", "cc")
        for system in SYSTEMS
        for side in ("tail", "head", "both")
        for facts_filter in ("all", "train+valid")
        for facts in ("all", "covered", "uncovered")
    }
    for row in report["quality"]:
        assert row["candidates"] == "own"
        assert row["queries"] == 0 or 0 < row["mrr"] <= 1
    assert {(cost["target"], cost["system"]) for cost in report["cost"]} == {
        (target, system) for target in ("aa", "bb", "cc") for system in SYSTEMS
    }
    for cost in report["cost"]:
        assert min(cost[key] for key in ("train_seconds", "parameters", "triples")) > 0


def test_it_goes_on_where_it_stopped(
    layout: Path, tmp_path: Path, in_this_process: list[str]
) -> None:
    out = tmp_path / "out"
    first = benchmark(layout, out, targets=["bb"], systems=["student"], settings=FAST, threads=1)
    assert in_this_process == ["bb teacher", "bb student"]
    assert {row["system"] for row in first["quality"]} == {"student"}
    again = benchmark(layout, out, targets=["bb"], systems=["student"], settings=FAST, threads=1)
    assert len(in_this_process) == 2
    assert again == first
    (out / "pieces" / "bb-student.json").unlink()
    benchmark(layout, out, targets=["bb"], systems=["student"], settings=FAST, threads=1)
    assert in_this_process[2:] == ["bb student"]


def test_other_data_or_settings_run_anew(
    layout: Path, tmp_path: Path, in_this_process: list[str]
) -> None:
    arguments: dict[str, Any] = {"targets": ["aa"], "systems": ["target-only"], "threads": 1}
    benchmark(layout, tmp_path / "out", settings=FAST, **arguments)
    benchmark(layout, tmp_path / "out", settings=FAST, seed=1, **arguments)
    assert len(in_this_process) == 2
    path = layout / "kg" / "aa-train.tsv"
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    benchmark(layout, tmp_path / "out", settings=FAST, seed=1, **arguments)
    assert len(in_this_process) == 3


def test_other_settings_of_one_system_leave_the_others_pieces_alone(
    layout: Path, tmp_path: Path, in_this_process: list[str]
) -> None:
    benchmark(layout, tmp_path / "out", targets=["aa"], settings=FAST, threads=1)
    wider = RetrainSettings(model=ModelSettings(width=12), training=TRAINING)
    changed = FAST.model_copy(update={"retrain": wider})
    benchmark(layout, tmp_path / "out", targets=["aa"], settings=changed, threads=1)
    assert in_this_process[len(SYSTEMS) :] == ["aa student"]


def test_a_piece_runs_in_a_process_of_its_own(layout: Path, tmp_path: Path) -> None:
    report = benchmark(
        layout,
        tmp_path / "out",
        targets=["cc"],
        systems=["target-only"],
        settings=FAST,
        threads=1,
    )
    assert report["cost"][0]["peak_rss_mib"] > 0
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.json")) == [
        "cc-target-only.json",
        "results.json",
    ]


def test_what_fails_is_named_and_what_finished_is_kept(layout: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    benchmark(layout, out, targets=["cc"], systems=["target-only"], settings=FAST, threads=1)
    kept = (out / "pieces" / "cc-target-only.json").read_bytes()
    for name in ("aa", "bb"):
        (layout / "kg" / f"{name}-train.tsv").write_text("0\t0\t1\n")
    huge = FAST.model_copy(update={"joint": TrainSettings(model=ModelSettings(width=2**50))})
    with pytest.raises(KgraftError, match="joint for cc failed; what came before is kept"):
        benchmark(layout, out, targets=["cc"], systems=["joint"], settings=huge, threads=1)
    assert (out / "pieces" / "cc-target-only.json").read_bytes() == kept


def test_an_unknown_target_is_refused(layout: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="no source is called 'zz'; there are aa, bb, cc"):
        benchmark(layout, tmp_path / "out", targets=["zz"])
