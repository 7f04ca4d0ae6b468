"""The command ``tune``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kgraft.cli.console import AGAIN, chosen_settings, say, use_threads, writing
from kgraft.cli.options import (
    AllowOutsideOption,
    CollectionArgument,
    DeviceOption,
    SettingsOption,
    TargetOption,
    ThreadsOption,
    TrainingSetOption,
)
from kgraft.system.messages import lost_output_allowed, report_errors

if TYPE_CHECKING:
    from kgraft.linking.collection import Collection
    from kgraft.model.trained_model import TrainedModel
    from kgraft.pipeline.run import RunOptions
    from kgraft.settings import TrainSettings
    from kgraft_experiments.tuning.tune import Train, Tuned


def tune(
    collection: CollectionArgument,
    directory: Annotated[
        Path,
        typer.Option("--out", "-o", help="Directory for study and results.", show_default=False),
    ],
    teacher: Annotated[
        Path | None,
        typer.Option("--teacher", help="Tune students of this teacher; without it, 'train'."),
    ] = None,
    target: TargetOption = None,
    alone: Annotated[
        bool, typer.Option("--alone", help="Without a teacher: the target's own facts only.")
    ] = False,
    trials: Annotated[
        int, typer.Option("--trials", min=1, help="Number of trials, with those of before.")
    ] = 20,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", min=0, help="Time after which no further trial begins."),
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option("--space", help="TOML file of settings to try; by default the basic ones."),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage", help="URL of a database for Optuna, which several machines may share."
        ),
    ] = None,
    no_test: Annotated[
        bool, typer.Option("--no-test", help="Do not measure the result on test facts.")
    ] = False,
    allow_outside: AllowOutsideOption = False,
    settings: SettingsOption = None,
    changes: TrainingSetOption = None,
    threads: ThreadsOption = None,
    device: DeviceOption = "cpu",
) -> None:
    """Search for settings that validate better than the defaults; the same command goes on."""
    with report_errors(AGAIN), writing(directory):
        from kgraft.model.directory import load_model
        from kgraft.settings import RetrainSettings, TrainSettings
        from kgraft_experiments.tuning.report import write_report
        from kgraft_experiments.tuning.space import basic_space, read_space
        from kgraft_experiments.tuning.tune import measured_on_test

        use_threads(threads)
        model = None if teacher is None else load_model(teacher)
        kind: type[TrainSettings] = TrainSettings if model is None else RetrainSettings
        chosen = chosen_settings(kind, settings, changes or ())
        tried = basic_space(chosen) if space is None else read_space(space, kind)
        known = _read(collection, model, target, allow_outside=allow_outside)
        search = _search_of(known, model, chosen, alone=alone, device=device)
        tuned = search(tried, directory, trials=trials, seconds=seconds, storage=storage, tell=say)
        has_test = len(known.target_graph.test) > 0 and not no_test
        test = measured_on_test(directory, known) if has_test else {}
        write_report(tuned, directory, known.name, test)
        _show(tuned, directory, test)


def _read(
    collection: str, teacher: TrainedModel | None, target: str | None, *, allow_outside: bool
) -> Collection:
    """Read the collection, whose links may lead to the teacher's sources."""
    from kgraft.io.read_collection import read_collection

    sources = {} if teacher is None else teacher.graph.graphs()
    return read_collection(collection, sources, allow_outside=allow_outside).with_target(target)


def _search_of(
    known: Collection,
    teacher: TrainedModel | None,
    chosen: TrainSettings,
    *,
    alone: bool,
    device: str,
) -> Callable[..., Tuned]:
    """Return the search over trials of students, or from scratch."""
    from kgraft.pipeline.inputs import fingerprint_of_inputs
    from kgraft_experiments.tuning.tune import tune as search

    parents = [] if teacher is None else [teacher]
    command = f"tune {known.target} alone={alone}"
    inputs = fingerprint_of_inputs(command, chosen, known.graphs.values(), known.links, parents)
    train = _training_of(known, teacher, alone=alone, device=device)
    return partial(search, train, chosen, inputs=inputs)


def _training_of(
    known: Collection, teacher: TrainedModel | None, *, alone: bool, device: str
) -> Train:
    """Return the training of a trial: of a student, or from scratch."""
    from kgraft.pipeline.retrain import retrain
    from kgraft.pipeline.train import train
    from kgraft.settings import RetrainSettings

    def run(settings: TrainSettings, options: RunOptions) -> TrainedModel:
        if teacher is None:
            return train(known, settings, alone=alone, options=options, device=device)
        assert isinstance(settings, RetrainSettings)  # noqa: S101 - of the kind that was chosen
        return retrain(known, teacher, settings, options=options, device=device)

    return run


def _show(tuned: Tuned, directory: Path, test: Mapping[str, float]) -> None:
    """Print what the search came to."""
    with lost_output_allowed():
        for line in _lines(tuned, directory, test):
            say(line)


def _lines(tuned: Tuned, directory: Path, test: Mapping[str, float]) -> Sequence[str]:
    """Return what the search came to."""
    from kgraft_experiments.tuning.report import REPORT_FILE
    from kgraft_experiments.tuning.tune import BEST_MODEL, BEST_SETTINGS, DEFAULT_MODEL, shown

    gain = 100 * (tuned.mrr - tuned.default_mrr)
    lines = [
        (
            f"validation MRR: {100 * tuned.default_mrr:.1f} by the defaults, {100 * tuned.mrr:.1f} "
            f"by the best of {len(tuned.trials)} trials ({gain:+.1f})"
        )
    ]
    if len(test) > 1:
        one, other = 100 * test[DEFAULT_MODEL], 100 * test[BEST_MODEL]
        lines.append(
            f"test MRR, which nothing was chosen by: {one:.1f} and {other:.1f} ({other - one:+.1f})"
        )
    if tuned.changes:
        lines.append("best: " + ", ".join(f"{x} = {shown(y)}" for x, y in tuned.changes.items()))
    if tuned.importances:
        shares = ", ".join(f"{x} {100 * y:.0f} %" for x, y in tuned.importances.items())
        lines.append(f"what mattered: {shares}")
    return [
        *lines,
        (
            f"The best model is in {directory / BEST_MODEL}, its settings in "
            f"{directory / BEST_SETTINGS} for --settings, a report in {directory / REPORT_FILE}"
        ),
    ]
