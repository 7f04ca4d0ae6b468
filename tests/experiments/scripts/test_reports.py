"""The scripts that show reports: Markdown tables and drawings of made-up figures."""

from __future__ import annotations

import json
import sys
from importlib import import_module as script
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from kgraft_experiments.benchmark.summary import summarise


def report(variants: list[str], shares: list[float] | None = None) -> dict[str, Any]:
    """A report whose every variant is a tenth of a point better than the one before."""
    rows = []
    for share in shares or [1.0]:
        for place, variant in enumerate(variants):
            for seed in (0, 1):
                mrr = 0.5 + 0.001 * place + 0.02 * seed
                figures = {"all": mrr, "covered": mrr + 0.2, "uncovered": mrr - 0.2}
                about = {"target": "aa", "variant": variant, "share": share, "seed": seed}
                rows.append({**about, "train_seconds": 9.0, "tail": figures, "both": figures})
    settings: dict[str, Any] = {
        "collection": "made-up",
        "targets": ["aa"],
        "variants": variants,
        "seeds": [0, 1],
        "threads": 2,
    }
    if shares:
        settings["shares"] = shares
    machine = {"processor": "abacus", "cores": 4}
    return {"settings": settings, "machine": machine, "rows": rows, "summary": summarise(rows)}


ABLATION = report(["all", "none", "warm-start"])
LINKS = report(["joint", "all", "none"], [0.5, 1.0])


def comparison() -> dict[str, Any]:
    """A teacher of two targets, and students of two widths and two seeds."""
    cases = [("teacher", 8, 0), *(("student", width, seed) for width in (4, 8) for seed in (0, 1))]
    quality = [
        {
            "target": target,
            "system": system,
            "width": width,
            "seed": seed,
            "by": "vectors",
            "side": "tail",
            "filter": "all",
            "facts": facts,
            "mrr": None if facts == "covered" else width / 20 + seed / 10 + (target == "b") / 5,
        }
        for system, width, seed in cases
        for target in ("a", "b")
        for facts in ("all", "covered", "uncovered")
    ]
    figures = {"examples_per_second": 5.0, "peak_rss_mib": None, "parameters": 1000, "triples": 7}
    cost = [
        {
            "target": "a,b",
            "system": system,
            "width": width,
            "seed": seed,
            "train_seconds": 10 + seed,
        }
        | figures
        for system, width, seed in cases
    ]
    return {
        "settings": {"targets": ["a", "b"], "systems": ["teacher", "student"], "threads": 1},
        "machine": {"processor": "abacus", "cores": 4},
        "quality": quality,
        "cost": cost,
    }


def test_a_comparison_as_tables() -> None:
    text = script("table").markdown(comparison())
    # teacher: 8/20 = 40 and 60; students of width 4: 20 and 30 by seed on a, 20 more on b
    assert "| all | teacher | vectors | 40.0 | 60.0 | 50.0 |" in text
    assert "| all | student, width 4 | vectors | 25.0 | 45.0 | 35.0 |" in text
    assert "| uncovered | student, width 8 | vectors | 45.0 | 65.0 | 55.0 |" in text
    assert "| covered | teacher | vectors | - | - | - |" in text
    assert "| teacher | 1 | 10 | 5 | - | 1,000 | 7 |" in text


def test_several_comparisons_make_one_table() -> None:
    """Runs that differ in encoders and share a teacher."""
    table, ours, theirs = script("table"), comparison(), comparison()
    for report, encoder in ((ours, "complex"), (theirs, "gru")):
        for rows in (report["quality"], report["cost"]):
            for row in rows:
                row["encoder"] = "complex" if row["system"] == "teacher" else encoder
    for row in theirs["quality"]:
        if row["system"] == "student":
            row["mrr"] = None
    text = table.markdown(table.together([ours, theirs]))
    assert "| all | teacher | vectors | 40.0 | 60.0 | 50.0 |" in text
    assert "| all | student, encoder complex, width 4 | vectors | 25.0 | 45.0 | 35.0 |" in text
    assert "| all | student, encoder gru, width 4 | vectors | - | - | - |" in text
    assert "| teacher | 1 | 10 | 5 | - | 1,000 | 7 |" in text


def test_the_committed_results_have_a_table() -> None:
    path = Path(script("table").__file__ or "").parent / "results" / "dbp5l" / "results.json"
    text = script("table").markdown(json.loads(path.read_text(encoding="utf-8")))
    assert "| facts | system | by | el | en | es | fr | ja | mean |" in text


def test_an_ablation_as_a_table() -> None:
    text = script("table").markdown(ABLATION)
    # warm-start: 0.502 and 0.522, of which the mean is 51.2 and the deviation 1.41 points
    assert (
        "| warm-start | 51.2 ± 1.4 | 71.2 ± 1.4 | 31.2 ± 1.4 | +0.1 ± 0.0 | +0.2 ± 0.0 | 9.0 |"
        in (text)
    )
    assert "the targets aa and the seeds 0, 1" in text


def test_shares_of_links_as_a_table() -> None:
    text = script("table").markdown(LINKS)
    assert "| variant | links | all |" in text
    assert "| none | 50% | 51.2 ± 1.4 |" in text
    assert "| joint | 100% | 51.0 ± 1.4 |" in text


@pytest.mark.parametrize("made", [comparison(), ABLATION, LINKS], ids=lambda x: list(x)[2])
def test_a_drawing_is_a_file_of_its_own(
    made: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plot = script("plot")
    source = tmp_path / "report.json"
    source.write_text(json.dumps(made))
    drawn = []
    for name in ("one.svg", "two.svg"):
        monkeypatch.setattr(sys, "argv", ["plot.py", str(source), str(tmp_path / name)])
        plot.main()
        drawn.append((tmp_path / name).read_text())
    assert drawn[0] == drawn[1]
    whole = ET.fromstring(drawn[0])  # noqa: S314 made a moment ago
    panels = whole.findall("{*}svg")
    assert [int(x.attrib["x"]) for x in panels] == [12, 376, 740][: len(panels)]
    titles = [x.findtext("{*}title") or "" for x in panels]
    assert any(title.startswith("Uncovered facts") for title in titles)
    assert int(whole.attrib["width"]) == 364 * len(panels)
