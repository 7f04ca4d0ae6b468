"""A teacher: which sources it learns from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from kgraft.errors import SettingsError, UnknownNameError
from kgraft.linking.collection import Collection
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.embeddings import EmbeddingTask
from kgraft.pipeline.pretrain import pretrain, pretraining_task
from kgraft.pipeline.train import training_context
from kgraft.settings import RuleSettings, TrainSettings


def test_a_teacher_learns_from_all_but_the_target(
    generated: Collection, teacher: TrainedModel
) -> None:
    assert (teacher.kind, teacher.target) == ("teacher", None)
    assert teacher.graph.sources == ("atlas", "cards")
    facts = [len(generated.graphs[name].train) for name in ("atlas", "cards")]
    assert np.bincount(teacher.graph.triple_sources).tolist() == facts
    assert teacher.metrics["validation_mrr"] > 0.5


def test_sources_can_be_named(generated: Collection, fast: TrainSettings) -> None:
    assert pretrain(generated, fast, sources=["cards", "mine"]).graph.sources == ("cards", "mine")


def test_without_a_target_all_sources_are_learned_from(
    generated: Collection, fast: TrainSettings
) -> None:
    model = pretrain(replace(generated, target=None), fast)
    assert model.graph.sources == ("atlas", "cards", "mine")


def test_an_unknown_source_is_named(generated: Collection, fast: TrainSettings) -> None:
    with pytest.raises(
        UnknownNameError, match="no source is called 'globe'; there are mine, atlas"
    ):
        pretrain(generated, fast, sources=["atlas", "globe"])


def test_a_target_alone_has_no_background(tiny: Collection, fast: TrainSettings) -> None:
    alone = Collection("one", {"mine": tiny.graphs["mine"]}, target="mine")
    with pytest.raises(UnknownNameError, match="no background to pre-train on"):
        pretrain(alone, fast)


def test_a_teacher_has_no_rules(generated: Collection, fast: TrainSettings) -> None:
    with pytest.raises(SettingsError, match=r"rules\.longest: a teacher has no target"):
        pretrain(generated, fast.model_copy(update={"rules": RuleSettings(longest=2)}))


@pytest.mark.parametrize(
    "task_of", [pretraining_task, lambda *asked: training_context(*asked).task]
)
def test_facts_that_doubtful_links_bring_count_less(
    generated: Collection, fast: TrainSettings, task_of: Callable[..., EmbeddingTask]
) -> None:
    doubtful = [
        replace(x, confidence=np.full_like(x.confidence, 0.5 if i else 1.0))
        for i, x in enumerate(generated.links)
    ]
    assert task_of(generated, fast).weights is None
    weights = task_of(replace(generated, links=tuple(doubtful)), fast).weights
    assert weights is not None
    assert weights.mean() == pytest.approx(1)
    assert weights.min() < 0.5 < 1 < weights.max()
    alike = fast.model_copy(
        update={"training": fast.training.model_copy(update={"link_confidence": 0.0})}
    )
    assert task_of(replace(generated, links=tuple(doubtful)), alike).weights is None
