"""Settings: what is refused and how it is named, and TOML there and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kgraft.alignment.settings import AlignSettings
from kgraft.cli.console import chosen_settings
from kgraft.errors import SettingsError
from kgraft.settings import (
    BASIC,
    DistillationSettings,
    ModelSettings,
    RetrainSettings,
    SubgraphSettings,
    TrainingSettings,
    TrainSettings,
)
from kgraft.toml_settings import Settings, as_toml, fields, read_settings
from kgraft_experiments.benchmark.settings import BenchmarkSettings, with_width
from kgraft_experiments.synthesis.settings import SynthSettings


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
        ({"trainings.epochs": 3}, r"trainings\.epochs: .* did you mean training\.epochs\?"),
        ({"trainings.epoch": 3}, r"trainings\.epoch: .* did you mean training\.epochs\?"),
        ({"model.epochs": 3}, r"model\.epochs: .* did you mean training\.epochs\?"),
        ({"subgraph": {"mod": "all"}}, r"subgraph\.mod: .* did you mean subgraph\.mode\?"),
        ({"colour.red": 3}, r"colour\.red: there is no such setting$"),
        ({"training.epochs.more": 3}, r"training\.epochs: .*integer"),
        ({"epochs": 3}, "epochs: there is no such setting; did you mean training.epochs?"),
        ({"training.": 3}, r"training\.: there is no such setting"),
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
    with pytest.raises(SettingsError, match=r"distillation\.feature: there is no such setting"):
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
    with pytest.raises(SettingsError, match=r"b\.toml: model: this is a table of settings"):
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


def test_the_page_begins_with_the_basic_settings_and_their_defaults() -> None:
    page = (Path(__file__).parent.parent / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:4] for line in page.splitlines() if line.startswith("| `")]
    shown = {key.strip(" `"): tuple(map(float, values)) for key, *values in rows[: len(BASIC)]}
    assert [*shown] == [*BASIC]
    for key, values in shown.items():
        part, name = key.split(".")
        wholes = (RetrainSettings(), TrainSettings())
        assert values == tuple(getattr(getattr(whole, part), name) for whole in wholes), key


def test_a_part_given_in_part_keeps_the_other_defaults_of_the_whole() -> None:
    changed = read_settings(RetrainSettings, changes={"training.batch_size": 64})
    assert changed.training == RetrainSettings().training.model_copy(update={"batch_size": 64})
    assert read_settings(TrainSettings, changes={"rules.pseudo_fact_rate": 0.5}).rules.longest == 0
    joint = BenchmarkSettings.model_validate({"joint": {"training": {"epochs": 3}}}).joint
    assert (joint.training.epochs, joint.training.negatives, joint.model.width) == (3, 1024, 400)


def test_settings_without_links_are_those_of_train_but_for_what_was_chosen() -> None:
    chosen = read_settings(
        RetrainSettings,
        changes={
            "model.encoder": "gru",
            "training.negatives": 64,
            "training.seed": 3,
            "rules.longest": 2,
            "prior.rank": 4,
            "attributes.min_entities": 7,
        },
    )
    alone, train = chosen.for_alone(), TrainSettings().training
    assert (alone.model, alone.rules, alone.prior) == (chosen.model, chosen.rules, chosen.prior)
    assert alone.attributes == chosen.attributes
    expected = {"negatives": 64, "seed": 3, "validation_queries": 4000}
    assert alone.training == train.model_copy(update=expected)
    update = chosen.for_update()
    expected["validation_queries"] = update.training.validation_queries
    assert update.for_alone(updating=True).training == train.model_copy(update=expected)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (RetrainSettings, {"training": {"epochs": 3}}),
        (RetrainSettings, {"model": {"width": 64}, "training": {"epochs": 3, "patience": 1}}),
        (RetrainSettings, {"model": {"width": 64}, "training": {}, "rules": {"longest": 0}}),
        (TrainSettings, {"rules": {"support": 3}}),
        (TrainSettings, {"rules": {"longest": 2}, "model": {"encoder": "gru"}}),
        (AlignSettings, {"labels": {"use": False}, "accept": {"threshold": 0.7}}),
    ],
    ids=str,
)
def test_instances_tables_and_changes_mean_the_same(
    kind: type[Settings], changes: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    parts = {name: type(kind.model_fields[name].default) for name in changes}
    built = kind(**{name: parts[name](**table) for name, table in changes.items()})
    (tmp_path / "some.toml").write_text(tomli_w.dumps(changes))
    dotted = {f"{part}.{name}": x for part, table in changes.items() for name, x in table.items()}
    assert read_settings(kind, tmp_path / "some.toml") == built
    assert read_settings(kind, None, dotted) == built
    assert kind().model_copy(update=changes) == built
    assert kind.model_validate(built.model_dump()) == built
    assert {name: getattr(built, name).model_fields_set for name in changes} == {
        name: {*table} for name, table in changes.items()
    }


def test_a_system_of_a_benchmark_counts_by_what_is_set_in_it() -> None:
    three = TrainSettings(training=TrainingSettings(epochs=3))
    narrow = RetrainSettings(model=ModelSettings(width=64))
    table = {"joint": {"training": {"epochs": 3}}, "retrain": {"model": {"width": 64}}}
    benchmark = BenchmarkSettings(joint=three, retrain=narrow)
    assert benchmark == BenchmarkSettings.model_validate(table)
    assert (benchmark.joint.model.width, benchmark.joint.training.negatives) == (400, 1024)
    assert benchmark.retrain == narrow
    assert BenchmarkSettings.model_validate(benchmark.model_dump()) == benchmark
    assert benchmark.seeded(3).retrain.training.learning_rate == narrow.training.learning_rate
    assert with_width(BenchmarkSettings().retrain, 64) == narrow


def test_what_follows_the_width_is_told_apart_from_what_is_set() -> None:
    narrow = RetrainSettings(model=ModelSettings(width=50))
    assert narrow.following_width == {"epochs": 17, "learning_rate": 0.3}
    given = narrow.model_copy(update={"training": TrainingSettings(epochs=3)})
    assert given.following_width == {"learning_rate": 0.3}
    assert narrow.model_copy(update={"model": {"width": 200}}) == RetrainSettings()
    assert RetrainSettings.model_validate(narrow.model_dump()).following_width == {}
    assert RetrainSettings().following_width == {}


def test_a_copy_is_checked() -> None:
    with pytest.raises(ValidationError, match="even width"):
        RetrainSettings().model_copy(update={"model": {"width": 7}})


def test_every_setting_is_described_in_one_line() -> None:
    for kind in (RetrainSettings, AlignSettings, SynthSettings, BenchmarkSettings):
        for key, field in fields(kind):
            assert field.description, key
            assert "\n" not in field.description, key
            assert f"{key.rpartition('.')[2]}: " in help_of(kind, key), key
    assert {*BASIC} <= {key for key, _ in fields(RetrainSettings)}


def help_of(kind: type[Settings], key: str) -> str:
    for part in key.split(".")[:-1]:
        kind = type(kind.model_fields[part].default)
    return kind.__doc__ or ""


def test_a_narrower_student_takes_larger_steps_and_more_epochs() -> None:
    usual, narrow = RetrainSettings(), RetrainSettings(model=ModelSettings(width=50))
    changes = {"learning_rate": 2 * usual.training.learning_rate, "epochs": round(4**0.9 * 5)}
    assert usual.training.epochs == 5
    assert narrow.training == usual.training.model_copy(update=changes)
    assert read_settings(RetrainSettings, None, {"model.width": "50"}) == narrow
    assert RetrainSettings.model_validate(narrow.model_dump()) == narrow
    benchmark = BenchmarkSettings.model_validate({"retrain": {"model": {"width": 50}}})
    assert benchmark.retrain == narrow


def test_fewer_links_bring_training_nearer_to_that_from_scratch() -> None:
    usual = RetrainSettings()
    assert usual.for_links(1.0) == usual.for_links(0.9) == usual
    half = usual.for_links(0.45).training
    assert (half.epochs, half.regularization) == (14, pytest.approx(0.04))
    assert half.learning_rate == pytest.approx(0.125)
    none = usual.for_links(0.0).training
    scratch = TrainSettings().training
    for name in ("epochs", "regularization", "learning_rate"):
        assert getattr(none, name) == getattr(scratch, name)
    given = RetrainSettings(training=TrainingSettings(epochs=3)).for_links(0.45).training
    assert (given.epochs, given.regularization) == (3, pytest.approx(0.04))
    assert RetrainSettings(training=TrainingSettings(epochs=50)).for_links(0).training.epochs == 50


def test_what_is_given_holds_whatever_the_width() -> None:
    given = read_settings(RetrainSettings, None, {"model.width": "50", "training.epochs": "3"})
    assert (given.training.epochs, given.training.learning_rate) == (3, 0.3)
    training = TrainingSettings(epochs=3)
    whole = RetrainSettings(model=ModelSettings(width=50), training=training)
    assert whole == given
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


def test_a_table_is_set_as_toml_writes_it() -> None:
    change = 'facts.completeness={ region = 1.0, "*" = 0.8 }'
    found = chosen_settings(TrainSettings, None, [change])
    assert dict(found.facts.completeness) == {"region": 1.0, "*": 0.8}
    with pytest.raises(SettingsError, match=r"--set facts.completeness=\{ a: this is no TOML"):
        chosen_settings(TrainSettings, None, ["facts.completeness={ a"])
