"""Tune settings on validation facts with Optuna: defaults first, then what may be better."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import tomli_w

from kgraft.errors import DataError, TrainingError
from kgraft.model.directory import load_model
from kgraft.model.trained_model import TrainedModel
from kgraft.pipeline.run import RunOptions
from kgraft.settings import TrainSettings
from kgraft.system.extras import import_extra
from kgraft.system.outputs import write_atomically
from kgraft.toml_settings import as_toml, read_settings
from kgraft.training.checkpoint import Fingerprint
from kgraft_experiments.tuning.space import Space

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

STUDY_FILE: Final = "study.db"
BEST_SETTINGS: Final = "best.toml"
BEST_MODEL, DEFAULT_MODEL = "best", "default"
"""Directories of the best model so far, and of that by the defaults."""

INPUTS, IS_DEFAULT, EPOCHS, SECONDS = "inputs", "is_default", "epochs", "seconds"
"""Attributes of a study and of its trials."""

STARTUP_TRIALS, WARMUP_EPOCHS = 5, 4
"""Trials before any is pruned, and epochs of a trial before it is."""

GOOD_SHARE = 0.25
"""Share of the trials that importances are measured on: those that are good."""

Train = Callable[[TrainSettings, RunOptions], TrainedModel]
"""Trains a model by settings."""


@dataclass(frozen=True)
class Tuned:
    """The result of tuning.

    Args:
        settings: The best settings by validation.
        mrr: Their validation MRR.
        default_mrr: That of the settings that it began with.
        changes: The values that were chosen, by dotted key; empty where the first ones are best.
        trials: Every trial, in order: number, state, MRR, epochs, seconds and values.
        importances: Share of the variance of the MRR that each setting explains; empty with fewer
            than four finished trials.
    """

    settings: TrainSettings
    mrr: float
    default_mrr: float
    changes: Mapping[str, Any]
    trials: Sequence[Mapping[str, Any]] = field(repr=False)
    importances: Mapping[str, float] = field(default_factory=dict)


def tune(
    train: Train,
    settings: TrainSettings,
    space: Space,
    directory: Path,
    *,
    inputs: Fingerprint,
    trials: int = 20,
    seconds: float | None = None,
    storage: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Tuned:
    """Search for the settings of the best validation MRR, by the way that a model answers.

    The first trial has the given settings, so that the result is at least as good. The others are
    drawn by the tree-structured Parzen estimator, and end early where the median of the earlier
    ones was better in the same epoch. A study that is in the directory goes on. Test facts play no
    part.

    Args:
        train: Trains a model by settings.
        settings: What holds where the space says nothing, and in the first trial.
        space: The settings to try.
        directory: Where the study, the best settings and models are written.
        inputs: Fingerprint of what the trials have in common.
        trials: Number of trials in all, with those of before.
        seconds: Time after which no trial begins.
        storage: URL of a database that Optuna shares between machines; by default a file in the
            directory.
        tell: Receives a line for each trial.

    Raises:
        KgraftError: If Optuna is not installed.
        DataError: If the study in the directory is another one, or no trial has ended well.
    """
    optuna = import_extra("optuna", extra="tune")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directory.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name="kgraft",
        storage=storage or f"sqlite:///{(directory / STUDY_FILE).resolve()}",
        direction="maximize",
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(
            seed=settings.training.seed, n_startup_trials=STARTUP_TRIALS
        ),
        pruner=optuna.pruners.MedianPruner(STARTUP_TRIALS, WARMUP_EPOCHS),
    )
    _claim(study, directory, inputs.add(json.dumps(space.as_dict()), as_toml(settings)))
    _begin(study, space, settings, alone=storage is None)
    objective = _Objective(train, settings, space, directory, tell)
    left = trials - len(_ended(study))
    if left > 0:
        study.optimize(objective, n_trials=left, timeout=seconds, catch=(TrainingError,))
    return _result(study, settings, directory)


@dataclass(frozen=True)
class _Objective:
    """Trains a trial's model and returns its validation MRR."""

    train: Train
    settings: TrainSettings
    space: Space
    directory: Path
    tell: Callable[[str], None]

    def __call__(self, trial: Trial) -> float:
        from optuna import TrialPruned

        first = bool(trial.user_attrs.get(IS_DEFAULT))
        values = self.space.draw(trial)
        changes = {} if first else values
        chosen = read_settings(type(self.settings), None, changes, base=self.settings)
        try:
            model = self.train(chosen, RunOptions(trackers=[] if first else [_Pruner(trial)]))
        except TrialPruned:
            self.tell(f"trial {trial.number}: ended early; {_words(values)}")
            raise
        mrr = quality(model)
        trial.set_user_attr(EPOCHS, len(model.log))
        trial.set_user_attr(SECONDS, round(sum(x["seconds"] for x in model.log), 2))
        done = [x.value or 0.0 for x in _complete(trial.study)]
        if first:
            model.save(self.directory / DEFAULT_MODEL, overwrite=True)
        if first or mrr > max(done, default=-1.0):
            model.save(self.directory / BEST_MODEL, overwrite=True)
        named = "the defaults" if first else _words(values)
        self.tell(f"trial {trial.number}: validation MRR {100 * mrr:.1f}; {named}")
        return mrr


class _Pruner:
    """A tracker that ends a trial which is behind."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def start(self, name: str, about: Mapping[str, Any]) -> None:
        """Do nothing."""

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Report the validation MRR of an epoch, and end the trial if it should be."""
        from optuna import TrialPruned

        if (mrr := metrics.get("valid/mrr")) is not None:
            self._trial.report(mrr, epoch)
            if self._trial.should_prune():
                raise TrialPruned

    def finish(self, metrics: Mapping[str, float], *, failed: bool = False) -> None:
        """Do nothing."""


def quality(model: TrainedModel) -> float:
    """Return the validation MRR of a model, by the way that it answers.

    Raises:
        DataError: If there are no validation facts.
    """
    mrr = model.metrics["validation_mrr"]
    if model.evidence is not None and model.evidence.mrr:
        mrr = model.evidence.mrr[model.answers_by]
    if mrr is None:
        raise DataError(
            "there are no validation facts to tune on",
            remedy="Give the target some: valid or split in its [[source]]",
        )
    return float(mrr)


def measured_on_test(directory: Path, collection: Any) -> dict[str, float]:
    """Return the test MRR of the default and the best model, which nothing was chosen by."""
    places = {name: directory / name for name in (DEFAULT_MODEL, BEST_MODEL)}
    return {
        name: float(load_model(place).evaluate(collection).mrr())
        for name, place in places.items()
        if place.exists()
    }


def _claim(study: Study, directory: Path, inputs: Fingerprint) -> None:
    """Write the fingerprint of its inputs into a study, or find the same there."""
    found = study.user_attrs.get(INPUTS)
    if found is not None and found != str(inputs):
        raise DataError(
            "another study is kept here: its data, settings or search space differ",
            remedy="Name another directory, or give the same again",
            path=directory,
        )
    study.set_user_attr(INPUTS, str(inputs))


def _begin(study: Study, space: Space, settings: TrainSettings, *, alone: bool) -> None:
    """End trials that a killed run has left, and put the defaults first."""
    from optuna.trial import TrialState

    if alone:
        for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(left.number, state=TrialState.FAIL)
    waiting = (TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE)
    there = study.get_trials(deepcopy=False, states=waiting)
    if not any(x.user_attrs.get(IS_DEFAULT) for x in there):
        study.enqueue_trial(space.defaults(settings), user_attrs={IS_DEFAULT: True})


def _ended(study: Study) -> list[FrozenTrial]:
    from optuna.trial import TrialState

    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    return study.get_trials(deepcopy=False, states=ended)


def _complete(study: Study) -> list[FrozenTrial]:
    return [x for x in _ended(study) if x.value is not None and x.state.name == "COMPLETE"]


def _result(study: Study, settings: TrainSettings, directory: Path) -> Tuned:
    complete = _complete(study)
    first = next((x for x in complete if x.user_attrs.get(IS_DEFAULT)), None)
    if first is None:
        raise DataError(
            "the trial of the first settings has not ended well",
            remedy="Give more time, or settings that train",
            path=directory,
        )
    best = max(complete, key=lambda x: (x.value, x is first))
    changes = {} if best is first else dict(best.params)
    chosen = read_settings(type(settings), None, changes, base=settings)
    with write_atomically(directory / BEST_SETTINGS) as temporary:
        given = chosen.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        temporary.write_text(tomli_w.dumps(given) or "# The defaults.\n", encoding="utf-8")
    return Tuned(
        chosen,
        float(best.value or 0.0),
        float(first.value or 0.0),
        changes,
        [_row(x) for x in study.get_trials(deepcopy=False)],
        _importances(study, complete),
    )


def _importances(study: Study, complete: Sequence[FrozenTrial]) -> dict[str, float]:
    if len(complete) < 4:
        return {}
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    evaluator = PedAnovaImportanceEvaluator(target_quantile=GOOD_SHARE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # All trials are alike.
            found = get_param_importances(study, evaluator=evaluator)
    except (RuntimeError, ValueError, UserWarning):
        return {}
    return {name: float(x) for name, x in found.items()}


def _row(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "state": "defaults" if trial.user_attrs.get(IS_DEFAULT) else trial.state.name.lower(),
        "validation_mrr": trial.value if trial.state.name == "COMPLETE" else None,
        EPOCHS: trial.user_attrs.get(EPOCHS),
        SECONDS: trial.user_attrs.get(SECONDS),
        **trial.params,
    }


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.rpartition('.')[2]} {shown(x)}" for name, x in values.items())


def shown(value: Any) -> str:
    """Return a value of a setting for people to read."""
    return f"{value:.3g}" if isinstance(value, float) else "-" if value is None else str(value)
