"""Settings: what is refused and how it is named, and TOML there and back."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kgraft.errors import SettingsError
from kgraft.settings import (
    DistillationSettings,
    ModelSettings,
    RetrainSettings,
    SubgraphSettings,
    TrainingSettings,
    TrainSettings,
    as_toml,
    read_settings,
)
from kgraft_experiments.benchmark.settings import BenchmarkSettings


def test_without_file_or_changes_the_defaults_hold() -> None:
    assert read_settings(TrainSettings) == TrainSettings()
    assert read_settings(RetrainSettings) == RetrainSettings()


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[model]\nwidth = 50\n[subgraph]\nmode = "k_hop"\nbudget = 7\n')
    settings = read_settings(RetrainSettings, path)
    assert settings == RetrainSettings(
        model=ModelSettings(width=50), subgraph=SubgraphSettings(mode="k_hop", budget=7)
    )


def test_changes_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[training]\nepochs = 5\nseed = 3\n")
    changes = {"training.epochs": 9, "model.width": 10}
    settings = read_settings(TrainSettings, path, changes)
    assert (settings.training.epochs, settings.training.seed, settings.model.width) == (9, 3, 10)


def test_what_neither_says_is_taken_from_the_base(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[training]\nepochs = 5\n")
    base = RetrainSettings(
        model=ModelSettings(width=50), training=TrainingSettings(epochs=1, seed=4)
    )
    settings = read_settings(RetrainSettings, path, {"training.patience": 1}, base=base)
    training = base.training.model_copy(update={"epochs": 5, "patience": 1})
    assert settings == base.model_copy(update={"training": training})
    assert read_settings(RetrainSettings, base=base) == base


def test_an_update_is_short_and_else_as_the_student_was() -> None:
    settings = RetrainSettings(model=ModelSettings(width=50), training=TrainingSettings(seed=4))
    after = settings.for_update()
    assert (after.model, after.training.seed) == (settings.model, 4)
    assert after.training.epochs < RetrainSettings().training.epochs
    assert after.for_update() == after


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"training.epoch": 3}, r"training\.epoch: there is no such setting"),
        ({"trainings.epochs": 3}, "trainings: there is no such setting"),
        ({"training.epochs.more": 3}, r"training\.epochs\.more: there is no such setting"),
        ({"epochs": 3}, "'epochs' is no setting; write PART.NAME, as training.epochs"),
        ({"training.": 3}, "is no setting; write PART.NAME"),
        ({"training.epochs": "many"}, r"training\.epochs: .*integer"),
        ({"training.epochs": 2.5}, r"training\.epochs: .*integer"),
        ({"training.epochs": 0}, r"training\.epochs: .*greater than or equal to 1"),
        ({"training.learning_rate": 0}, r"training\.learning_rate: .*greater than 0"),
        ({"training.learning_rate": float("inf")}, r"training\.learning_rate: .*finite"),
        ({"training.regularization": float("nan")}, r"training\.regularization: .*finite"),
        ({"model.encoder": "simple"}, r"model\.encoder: .*'complex'"),
        ({"model.width": 7}, "^model: ComplEx needs an even width, not 7$"),
        ({"subgraph.mode": "all"}, r"subgraph\.mode: .*'induced', 'incident' or 'k_hop'"),
        ({"distillation.feature": -1}, r"distillation\.feature: .*greater than or equal to 0"),
        ({"distillation.warm_start": "maybe"}, r"distillation\.warm_start: .*boolean"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named_by_its_full_path(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        read_settings(RetrainSettings, changes=changes)


def test_all_wrong_settings_are_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(TrainSettings, changes={"training.epochs": 0, "model.size": 3})
    assert "training.epochs: " in str(caught.value)
    assert "model.size: there is no such setting" in str(caught.value)


def test_settings_of_another_step_are_unknown() -> None:
    with pytest.raises(SettingsError, match="distillation: there is no such setting"):
        read_settings(TrainSettings, changes={"distillation.feature": 1})


@pytest.mark.parametrize("content", [b"[model\n", b"model = '\xff'\n"], ids=["toml", "utf-8"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.toml").write_bytes(content)
    with pytest.raises(SettingsError, match=r"bad\.toml: settings cannot be read"):
        read_settings(TrainSettings, tmp_path / "bad.toml")


def test_a_missing_file_and_a_wrong_key_in_a_file_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: settings cannot be read"):
        read_settings(TrainSettings, tmp_path / "none.toml")
    (tmp_path / "a.toml").write_text("[model]\nsize = 3\n")
    with pytest.raises(SettingsError, match=r"a\.toml: model\.size: there is no such setting"):
        read_settings(TrainSettings, tmp_path / "a.toml")
    (tmp_path / "b.toml").write_text("model = 3\n")
    with pytest.raises(SettingsError, match=r"b\.toml: 'model\.width' is no setting"):
        read_settings(TrainSettings, tmp_path / "b.toml", {"model.width": 4})


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ModelSettings().width = 4  # type: ignore[misc]


WEIGHTS = st.floats(0, 100)
RETRAIN = st.builds(
    RetrainSettings,
    model=st.builds(
        ModelSettings,
        width=st.integers(1, 500).map(lambda half: 2 * half),
        init_scale=st.floats(1e-6, 10),
    ),
    training=st.builds(
        TrainingSettings,
        epochs=st.integers(1, 1000),
        learning_rate=st.floats(1e-9, 10),
        regularization=WEIGHTS,
        seed=st.integers(0, 2**40),
    ),
    subgraph=st.builds(
        SubgraphSettings,
        mode=st.sampled_from(["induced", "incident", "k_hop"]),
        hops=st.integers(1, 5),
        budget=st.none() | st.integers(0, 10**9),
    ),
    distillation=st.builds(
        DistillationSettings,
        feature=WEIGHTS,
        network=WEIGHTS,
        prediction=WEIGHTS,
        temperature=st.floats(1e-3, 50),
        warm_start=st.booleans(),
    ),
)


@given(settings=RETRAIN)
def test_toml_there_and_back(
    settings: RetrainSettings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "there.toml"
    path.write_text(as_toml(settings), encoding="utf-8")
    assert read_settings(RetrainSettings, path) == settings


def test_the_settings_page_shows_the_defaults() -> None:
    page = (Path(__file__).parent.parent / "docs" / "settings.md").read_text(encoding="utf-8")
    shown = page.split("```toml\n")[1].split("```")[0]
    assert tomllib.loads(shown) == tomllib.loads(as_toml(RetrainSettings()))


def test_a_part_given_in_part_keeps_the_other_defaults_of_the_whole() -> None:
    changed = read_settings(RetrainSettings, changes={"training.batch_size": 64})
    assert changed.training == RetrainSettings().training.model_copy(update={"batch_size": 64})
    assert read_settings(TrainSettings, changes={"rules.pseudo_fact_rate": 0.5}).rules.longest == 0
    joint = BenchmarkSettings.model_validate({"joint": {"training": {"epochs": 3}}}).joint
    assert (joint.training.epochs, joint.training.negatives, joint.model.width) == (3, 1024, 400)


def test_a_narrower_student_takes_larger_steps_and_more_epochs() -> None:
    usual, narrow = RetrainSettings(), RetrainSettings(model=ModelSettings(width=50))
    changes = {"learning_rate": 4 * usual.training.learning_rate, "epochs": 2 * 8}
    assert usual.training.epochs == 8
    assert narrow.training == usual.training.model_copy(update=changes)
    assert read_settings(RetrainSettings, None, {"model.width": "50"}) == narrow
    assert RetrainSettings.model_validate(narrow.model_dump()) == narrow
    benchmark = BenchmarkSettings.model_validate({"retrain": {"model": {"width": 50}}})
    assert benchmark.retrain == narrow


def test_what_is_given_holds_whatever_the_width() -> None:
    given = read_settings(RetrainSettings, None, {"model.width": "50", "training.epochs": "3"})
    assert (given.training.epochs, given.training.learning_rate) == (3, 0.4)
    training = TrainingSettings(epochs=3)
    whole = RetrainSettings(model=ModelSettings(width=50), training=training)
    assert whole.training == training
    wide = RetrainSettings(model=ModelSettings(width=400))
    assert wide.training == RetrainSettings().training


@pytest.mark.parametrize("width", ["none", "-4", "0", "x", "nan"])
def test_a_width_that_is_not_allowed_is_named(width: str) -> None:
    with pytest.raises(SettingsError, match=r"model\.width"):
        read_settings(RetrainSettings, None, {"model.width": width})


@pytest.mark.parametrize("part", ["model = 5", "training = 5", 'model = "wide"', "model = [64]"])
def test_a_part_that_is_no_table_is_named(part: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(part)
    with pytest.raises(SettingsError, match=part.split()[0]):
        read_settings(RetrainSettings, file)
