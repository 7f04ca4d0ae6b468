"""The variants of an ablation: what each of them changes, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from kgraft.errors import SettingsError
from kgraft.settings import DistillationSettings, ModelSettings, RetrainSettings, TrainSettings
from kgraft.toml_settings import read_settings
from kgraft_experiments.benchmark.settings import (
    LEVEL_WEIGHTS,
    BenchmarkSettings,
    changed,
    student_variants,
)

SETTINGS = Path(__file__).parents[3] / "benchmarks" / "settings"

OWN = DistillationSettings(
    feature=2.0, network=0.5, prediction=0.25, temperature=3.0, warm_start=True
)


def levels(settings: RetrainSettings) -> tuple[float, float, float, bool]:
    own = settings.distillation
    return own.feature, own.network, own.prediction, own.warm_start


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("all", (2.0, 0.5, 0.25, True)),
        ("none", (0, 0, 0, False)),
        ("warm-start", (0, 0, 0, True)),
        ("feature", (2.0, 0, 0, False)),
        ("network", (0, 0.5, 0, False)),
        ("prediction", (0, 0, 0.25, False)),
        ("without-warm-start", (2.0, 0.5, 0.25, False)),
        ("without-feature", (0, 0.5, 0.25, True)),
        ("without-network", (2.0, 0, 0.25, True)),
        ("without-prediction", (2.0, 0.5, 0, True)),
        ("induced", (2.0, 0.5, 0.25, True)),
        ("incident", (2.0, 0.5, 0.25, True)),
        ("k-hop", (2.0, 0.5, 0.25, True)),
    ],
)
def test_a_variant_changes_what_its_name_says(
    variant: str, expected: tuple[float, float, float, bool]
) -> None:
    settings = RetrainSettings(distillation=OWN, model=ModelSettings(width=64))
    chosen = student_variants(settings, budget=7)[variant]
    assert levels(chosen) == expected
    assert chosen.distillation.temperature == 3.0
    assert (chosen.model, chosen.training) == (settings.model, settings.training)


def test_subgraphs_of_variants() -> None:
    variants = student_variants(RetrainSettings(), budget=7)
    cut = {name: (x.subgraph.mode, x.subgraph.vectors) for name, x in variants.items()}
    assert cut.pop("induced") == ("induced", "target")
    assert cut.pop("incident") == ("incident", "all")
    assert cut.pop("k-hop") == ("k_hop", "all")
    assert {*cut.values()} == {("incident", "target")}
    budgets = {name: x.subgraph.budget for name, x in variants.items()}
    assert budgets.pop("k-hop") == 7
    assert {*budgets.values()} == {None}


@pytest.mark.parametrize("level", LEVEL_WEIGHTS)
def test_a_level_that_is_off_is_tried_alone_by_the_tables_weight(level: str) -> None:
    off = DistillationSettings.model_validate({level: 0.0})
    variants = student_variants(RetrainSettings(distillation=off), budget=0)
    assert getattr(variants[level].distillation, level) == LEVEL_WEIGHTS[level] > 0
    assert getattr(variants["all"].distillation, level) == 0


def test_changed_settings_are_checked() -> None:
    assert changed(TrainSettings(), model={"width": 64}).model.width == 64
    assert type(changed(RetrainSettings(), model={"width": 64})) is RetrainSettings
    with pytest.raises(SettingsError, match="ComplEx needs an even width, not 65"):
        changed(TrainSettings(), model={"width": 65})


def test_alone_has_all_of_a_student_but_what_needs_links() -> None:
    settings, student = BenchmarkSettings(), RetrainSettings()
    assert settings.alone.rules == student.rules
    assert settings.alone.rules.longest == 3
    assert settings.alone.prior == student.prior
    assert settings.alone.model == student.model
    assert settings.alone.training.validation_queries == student.training.validation_queries
    assert settings.plain.rules.longest == 0


def test_a_seed_reaches_every_system() -> None:
    seeded = BenchmarkSettings().seeded(7)
    assert {part.training.seed for _, part in seeded} == {7}
    assert type(seeded.retrain) is RetrainSettings


@pytest.mark.parametrize("path", sorted(SETTINGS.glob("*.toml")), ids=lambda x: x.stem)
def test_settings_of_recorded_commands_are_still_settings(path: Path) -> None:
    of_a_single_graph = "\n[model]" in path.read_text(encoding="utf-8")
    assert read_settings(TrainSettings if of_a_single_graph else BenchmarkSettings, path)
