"""What the stages of a re-training share: each part is made once, and the report uses it too."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from kgraft.linking.collection import Collection
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline import fit_target as target_module
from kgraft.pipeline import retrain as retrain_module
from kgraft.pipeline.retrain import retrain
from kgraft.reporting.model_report import report
from kgraft.rules.edges import Edges
from kgraft.rules.evidence_index import EvidenceIndex
from kgraft.settings import RetrainSettings


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each shared part is made."""
    found: Counter[str] = Counter()

    def count(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            found[name] += 1
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, counted)

    for name in ("connect", "draw_samples", "source_reliability"):
        count(retrain_module, name)
    for name in ("source_reliability", "score_sample"):
        count(target_module, name)
    count(Edges, "of")
    count(EvidenceIndex, "__init__")
    return found


def test_each_part_is_made_once(
    generated: Collection, teacher: TrainedModel, fast_student: RetrainSettings, calls: Counter[str]
) -> None:
    training = fast_student.training.model_copy(update={"epochs": 1})
    settings = fast_student.model_copy(update={"training": training})
    student = retrain(generated, teacher, settings)
    report(student, generated)
    assert student.evidence is not None
    parts = ("connect", "draw_samples", "source_reliability", "of", "__init__", "score_sample")
    assert calls == dict.fromkeys(parts, 1)
