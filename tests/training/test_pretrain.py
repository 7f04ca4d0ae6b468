"""A teacher: which sources it learns from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kgraft.config import RuleSettings, TrainSettings
from kgraft.errors import SettingsError, UnknownNameError
from kgraft.linking.collection import Collection
from kgraft.model.trained import TrainedModel
from kgraft.training.pretrain import pretrain


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
    assert model.graph.sources == ("mine", "atlas", "cards")


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
