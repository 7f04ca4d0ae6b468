"""Tuning: defaults first, what is better wins, bad trials end early, and a study goes on."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import optuna
import polars as pl
import pytest
from typer.testing import CliRunner, Result

from kgraft.cli.main import app
from kgraft.errors import DataError, SettingsError, TrainingError
from kgraft.linking.collection import Collection
from kgraft.model.directory import load_model
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.run import RunOptions
from kgraft.pipeline.train import train
from kgraft.settings import RetrainSettings, TrainSettings
from kgraft.training.checkpoint import Fingerprint
from kgraft_experiments.tuning.report import write_report
from kgraft_experiments.tuning.space import Range, Space, basic_space, read_space
from kgraft_experiments.tuning.tune import Tuned, tune

SMALL = TrainSettings.model_validate(
    {
        "model": {"width": 8},
        "training": {"epochs": 6, "min_steps": 0, "batch_size": 64, "learning_rate": 0.0001},
    }
)
SPACE = Space(
    {
        "training.learning_rate": Range(choices=(0.0001, 0.3)),
        "model.width": Range(choices=(8, 16)),
    }
)


def search(generated: Collection, place: Path, trials: int = 6, **more: Any) -> Tuned:
    def run(settings: TrainSettings, options: RunOptions) -> TrainedModel:
        return train(generated, settings, alone=True, options=options)

    arguments: dict[str, Any] = {"inputs": Fingerprint().add("x"), "trials": trials, **more}
    return tune(arguments.pop("train", run), SMALL, SPACE, place, **arguments)


def test_what_validates_better_than_the_first_settings_wins(
    generated: Collection, tmp_path: Path
) -> None:
    told: list[str] = []
    tuned = search(generated, tmp_path, tell=told.append)
    assert tuned.default_mrr < tuned.mrr
    assert tuned.changes["training.learning_rate"] == 0.3
    assert tuned.settings.training.learning_rate == 0.3
    assert tuned.settings.training.epochs == 6  # what the space does not have stays
    assert "the defaults" in told[0]
    assert len(told) == 6
    # The files hold what was found: settings to give on, and the models.
    written = tomllib.loads((tmp_path / "best.toml").read_text())
    assert written["training"]["learning_rate"] == 0.3
    assert set(written) == {"model", "training"}
    best, first = (load_model(tmp_path / name) for name in ("best", "default"))
    assert best.metrics["validation_mrr"] == tuned.mrr
    assert first.metrics["validation_mrr"] == tuned.default_mrr
    assert first.settings.training.learning_rate == 0.0001
    study = optuna.load_study(study_name="kgraft", storage=f"sqlite:///{tmp_path / 'study.db'}")
    assert study.best_value == tuned.mrr
    assert set(tuned.importances) <= {*SPACE.ranges}
    write_report(tuned, tmp_path, "made", {})
    page = (tmp_path / "report.html").read_text()
    assert ("What mattered" in page) == bool(tuned.importances)


def test_the_first_settings_win_where_nothing_is_better(
    generated: Collection, tmp_path: Path
) -> None:
    values = iter([0.5, 0.5, 0.1, 0.4])

    def constant(settings: TrainSettings, options: RunOptions) -> TrainedModel:
        model = train(generated, settings, alone=True, options=options)
        model.metrics["validation_mrr"] = next(values)  # type: ignore[index]
        return model

    tuned = search(generated, tmp_path, 4, train=constant)
    assert tuned.changes == {}
    assert tuned.settings == SMALL
    assert tuned.mrr == tuned.default_mrr == 0.5


def test_a_study_goes_on_after_an_interruption(generated: Collection, tmp_path: Path) -> None:
    calls = 0

    def stopped(settings: TrainSettings, options: RunOptions) -> TrainedModel:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return train(generated, settings, alone=True, options=options)

    with pytest.raises(KeyboardInterrupt):
        search(generated, tmp_path, 5, train=stopped)
    tuned = search(generated, tmp_path, 5, train=stopped)
    states = [x["state"] for x in tuned.trials]
    assert states.count("defaults") == 1
    assert len([x for x in states if x != "fail"]) == 5
    assert calls == 3 + 3
    with pytest.raises(DataError, match="another study is kept here"):
        search(generated, tmp_path, inputs=Fingerprint().add("y"))


def test_a_trial_that_diverges_is_no_end(generated: Collection, tmp_path: Path) -> None:
    def fails(settings: TrainSettings, options: RunOptions) -> TrainedModel:
        if settings.model.width == 16:
            raise TrainingError("diverged")
        return train(generated, settings, alone=True, options=options)

    tuned = search(generated, tmp_path, 6, train=fails)
    assert "fail" in {x["state"] for x in tuned.trials}
    assert tuned.settings.model.width == 8


def test_a_trial_that_is_behind_ends_early(generated: Collection, tmp_path: Path) -> None:
    settings = SMALL.model_copy(
        update={
            "training": {"epochs": 12, "learning_rate": 0.1, "validate_every": 1, "patience": 99}
        }
    )
    space = Space({"training.learning_rate": Range(choices=(0.1, 0.00001))})

    def run(chosen: TrainSettings, options: RunOptions) -> TrainedModel:
        return train(generated, chosen, alone=True, options=options)

    tuned = tune(run, settings, space, tmp_path, inputs=Fingerprint(), trials=16)
    pruned = [x for x in tuned.trials if x["state"] == "pruned"]
    assert pruned
    assert {x["training.learning_rate"] for x in pruned} == {0.00001}
    assert tuned.settings.training.learning_rate == 0.1


def test_the_basic_space_holds_the_defaults() -> None:
    for settings in (TrainSettings(), RetrainSettings()):
        space = basic_space(settings)
        assert {*space.defaults(settings)} == {*space.ranges}
        assert "training.seed" not in space.ranges


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training.epoch = { low = 1, high = 2 }", "training.epoch: there is no such setting"),
        ("training.epochs = { low = 5, high = 2 }", "low = 5 is above high = 2"),
        ("training.epochs = { low = 5 }", "give either choices, or low and high"),
        ("training.epochs = 5", r"training.epochs: .* Write training.epochs = \{ low"),
        ("", "there is no setting to try"),
        ("training.epochs = [", "a search space cannot be read"),
    ],
)
def test_a_space_that_is_none(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "space.toml").write_text(text)
    with pytest.raises(SettingsError, match=message) as error:
        read_space(tmp_path / "space.toml", TrainSettings)
    assert "space.toml" in str(error.value)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.slow
def test_the_command_tunes_students_and_reports(tmp_path: Path) -> None:
    fast = ["--set", "model.width=8", "--set", "training.epochs=2", "--set", "training.min_steps=0"]
    made = run(
        "synth", "-o", tmp_path / "made", "--set", "target.entities=60", "--set", "target.facts=200"
    )
    assert made.exit_code == 0, made.output
    collection = tmp_path / "made" / "collection.toml"
    run("pretrain", collection, "-o", tmp_path / "teacher", *fast)
    (tmp_path / "space.toml").write_text(
        "training.learning_rate = { low = 0.01, high = 1.0, log = true }\n"
    )
    asked = [
        collection,
        "--teacher",
        tmp_path / "teacher",
        "--space",
        tmp_path / "space.toml",
        *fast,
    ]
    out = tmp_path / "tuned"
    done = run("tune", *asked, "-o", out, "--trials", "5")
    assert done.exit_code == 0, done.output
    text = " ".join(done.output.split())
    assert "by the best of 5 trials (" in text
    assert "test MRR, which nothing was chosen by:" in text
    page = (out / "report.html").read_text()
    assert "no choice was made by" in page
    table = pl.read_csv(out / "trials.tsv", separator="\t")
    assert len(table) == 5
    again = run("tune", *asked, "-o", out, "--trials", "6", "--no-test")
    assert again.exit_code == 0, again.output
    assert len(pl.read_csv(out / "trials.tsv", separator="\t")) == 6
    # The settings are given on as they are.
    given = [
        "--teacher",
        tmp_path / "teacher",
        "--settings",
        out / "best.toml",
        "-o",
        tmp_path / "s",
    ]
    done = run("retrain", collection, *given)
    assert done.exit_code == 0, done.output
    best, trained = (
        load_model(x).metrics["validation_mrr"] for x in (out / "best", tmp_path / "s")
    )
    assert best == pytest.approx(trained)
    other = run("tune", *asked, "-o", out, "--set", "training.seed=1")
    assert other.exit_code == 1
    assert "another study is kept here" in " ".join(other.output.split())
