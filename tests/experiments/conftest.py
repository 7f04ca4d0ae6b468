"""A small collection on disk, settings that train in a moment, and jobs run in this process."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from kgraft.settings import ModelSettings, RetrainSettings, TrainingSettings, TrainSettings
from kgraft_experiments.benchmark import runner
from kgraft_experiments.benchmark.job import run_job
from kgraft_experiments.benchmark.settings import BenchmarkSettings

MODEL, TRAINING = ModelSettings(width=8), TrainingSettings(epochs=1)


@pytest.fixture(scope="session")
def quick() -> BenchmarkSettings:
    """Settings that train in a moment."""
    return BenchmarkSettings(
        plain=TrainSettings(model=MODEL, training=TRAINING),
        alone=TrainSettings(model=MODEL, training=TRAINING),
        joint=TrainSettings(model=MODEL, training=TRAINING),
        pretrain=TrainSettings(model=MODEL, training=TRAINING),
        retrain=RetrainSettings.model_validate({"model": MODEL, "training": TRAINING.model_dump()}),
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
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run jobs without a new process each; returns the list of what was run."""
    found: list[str] = []

    def start(job: Any) -> None:
        found.append(str(job.case).partition(" (")[0])
        run_job(job)

    monkeypatch.setattr(runner, "_start", start)
    return found


@pytest.fixture
def ticking() -> SimpleNamespace:
    """Time, where each look at the clock is a second later."""
    seconds = count(1.0)
    return SimpleNamespace(perf_counter=lambda: next(seconds))


@pytest.fixture(scope="session")
def parse() -> Callable[[str], ET.Element]:
    """Parse a page or a part of one, which has to be well-formed."""
    return lambda text: ET.fromstring(text.removeprefix("<!doctype html>"))  # noqa: S314 made here
