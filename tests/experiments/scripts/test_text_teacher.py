"""What texts gain over alone: which rows count, and what is left of other scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import text_teacher

from kgraft.linking.collection import Collection
from kgraft.model.trained_model import TrainedModel


def _rows(target: str, system: str, mrr: float, **more: Any) -> list[dict[str, Any]]:
    labels = {"collection": "c", "target": target, "share": 1.0, "seed": 1, "system": system}
    row = {**labels, "by": "both", "facts": "all", "ends": "any", "mrr": mrr, **more}
    return [row, {**row, "ends": "none", "mrr": 0.9}, {**row, "by": "rules", "mrr": 0.9}]


def test_gains_are_of_all_facts_by_both_and_other_figures_stay(tmp_path: Path) -> None:
    out = tmp_path / "graft.json"
    known = {"rows": _rows("b", "grafted", 0.3), "folded_ms": 7, "text_teacher_gain": {"b": 0.1}}
    out.write_text(json.dumps(known))
    rows = [*_rows("a", "alone", 0.5), *_rows("a", "texts", 0.52)]
    rows += [*_rows("a", "alone", 0.1, share=0.2), *_rows("a", "texts", 0.4, share=0.2)]
    rows += [*_rows("a", "alone", 0.5, seed=2), *_rows("a", "texts", 0.54, seed=2)]
    text_teacher.write_gains(out, {"rows": rows})
    found = json.loads(out.read_text())
    assert found["text_teacher_gain"] == {"b": 0.1, "a": pytest.approx(0.03)}
    assert found["rows"] == [*known["rows"], *rows]
    assert found["folded_ms"] == 7


def test_rows_are_kept_and_not_trained_again(
    student: TrainedModel, generated: Collection, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(text_teacher, "read_collection", lambda _: generated)
    asked = text_teacher.options().parse_args(
        ["generated", "--work", str(tmp_path), "--out", str(tmp_path / "out.json")]
    )
    trained = iter([student, student])
    monkeypatch.setattr(text_teacher, "trained", lambda *_: next(trained))
    first = text_teacher.measure(asked)["rows"]
    assert {row["system"] for row in first} == {"alone", "texts"}
    assert text_teacher.measure(asked)["rows"] == first
    assert text_teacher.gains(first) == {"mine": 0.0}
