"""What training costs as it grows, on a small graph, and its drawing."""

from __future__ import annotations

import json
from importlib import import_module as script
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest


def test_one_size_grows_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scaling, out = script("scaling"), tmp_path / "results" / "scaling.json"
    monkeypatch.setattr(scaling, "apart", lambda do, *arguments: do(*arguments))
    monkeypatch.setattr(scaling.os, "cpu_count", lambda: 1)
    sizes = ["--facts=400", "--entities=90", "--width=8", "--negatives=16"]
    scaling.main([f"--out={out}", *sizes, "--times", "1", "2", "--steps=1", "--threads=1"])
    report = json.loads(out.read_text(encoding="utf-8"))
    base = {"facts": 400, "entities": 90, "width": 8, "negatives": 16}
    expected = [
        (size, times, {**base, size: times * base[size]}) for size in base for times in (1, 2)
    ]
    assert [(x["size"], x["times"], {k: x[k] for k in base}) for x in report["scaling"]] == expected
    assert all(x["milliseconds_per_step"] > 0 for x in report["scaling"])
    assert [x["threads"] for x in report["threads"]] == [1]

    figure = script("plot").draw(report)
    assert [drawing.title for drawing in figure.drawings] == ["An epoch, seconds", "Memory, GiB"]
    assert list(figure.legend) == ["facts, 400", "entities, 90", "width, 8", "negatives, 16"]


def test_an_epoch_is_as_many_steps_as_the_facts_make(
    ticking: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaling = script("scaling")
    monkeypatch.setattr(scaling, "time", ticking)
    sizes = {"facts": 1_000, "entities": 500, "width": 8, "negatives": 16}
    found = scaling.point(sizes, 2, 1)
    graph = scaling.drawn(1_000, 500)
    assert len(graph.entities) == 500
    steps = -(-2 * len(graph.train) // 512)
    # A second to begin, and one for each further step.
    assert found["seconds_per_epoch"] == 1 + (steps - 1)
    assert found["milliseconds_per_step"] == 1000


def test_few_entities_have_most_of_the_facts() -> None:
    graph = script("scaling").drawn(10_000, 1_000)
    degrees = np.sort(np.bincount(graph.train[:, [0, 2]].ravel(), minlength=1_000))[::-1]
    assert degrees[:10].sum() > 0.15 * degrees.sum()
