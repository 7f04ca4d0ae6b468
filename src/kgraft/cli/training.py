"""The commands ``train`` and ``retrain``, and what all commands that train share."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from kgraft.cli.console import (
    RESUME,
    chosen_settings,
    out,
    run_options,
    say,
    table,
    use_threads,
)
from kgraft.cli.options import (
    AllowOutsideOption,
    AllowUnlinkedOption,
    CollectionArgument,
    CompareAloneOption,
    DeviceOption,
    DryRunOption,
    OutOption,
    OverwriteOption,
    ResumeOption,
    SettingsOption,
    TargetOption,
    TeacherOption,
    ThreadsOption,
    TrackOption,
    TrainingSetOption,
)
from kgraft.cli.report import report_beside
from kgraft.errors import counted
from kgraft.system.messages import lost_output_allowed, report_errors

if TYPE_CHECKING:
    from rich.table import Table

    from kgraft.linking.collection import Collection
    from kgraft.model.trained_model import TrainedModel
    from kgraft.pipeline.estimate import Estimate
    from kgraft.pipeline.run import RunOptions
    from kgraft.pipeline.update import Change
    from kgraft.settings import RetrainSettings, TrainSettings
    from kgraft.system.workers import Workers

S = TypeVar("S", bound="TrainSettings")

TASK_VARIABLE = "KGRAFT_TASK"
"""Environment variable with the fingerprint of the task that a run is of, in a list of tasks."""

TASK_FILE = "task.json"
"""File of a student's directory with that fingerprint."""


@dataclass(frozen=True)
class TrainingJob:
    """A training on a collection that has been read.

    Args:
        collection: The collection.
        train: Trains the model.
        estimate: Returns what that takes, without training or mining.
        beside: Writes further files into the model's directory.
        lines: Returns what else to say of the model.
    """

    collection: Collection
    train: Callable[[RunOptions], TrainedModel]
    estimate: Callable[[], Estimate]
    beside: Callable[[Path], None] | None = None
    lines: Callable[[TrainedModel], Sequence[str]] = lambda _: ()


FromOption = Annotated[
    Path | None,
    typer.Option("--from", help="Student to update in a few epochs; says what has changed."),
]
DecisionsOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="Reviewed CSV file of proposals: accepted facts become facts, refused ones known to "
        "be false; repeatable."
    ),
]


def train(
    collection: CollectionArgument,
    directory: OutOption,
    target: TargetOption = None,
    alone: Annotated[
        bool, typer.Option("--alone", help="Train on the target's own facts only.")
    ] = False,
    allow_outside: AllowOutsideOption = False,
    settings: SettingsOption = None,
    changes: TrainingSetOption = None,
    threads: ThreadsOption = None,
    device: DeviceOption = "cpu",
    track: TrackOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Train from scratch: all linked graphs together, or the target alone."""
    from kgraft.io.read_collection import read_collection
    from kgraft.pipeline.estimate import estimate
    from kgraft.pipeline.train import train as train_model
    from kgraft.pipeline.train import training_context
    from kgraft.settings import TrainSettings

    def prepare(chosen: TrainSettings) -> TrainingJob:
        known = read_collection(collection, allow_outside=allow_outside)

        def plan() -> Estimate:
            context = training_context(known, chosen, target=target, alone=alone)
            return estimate(context.task.on(device), context)

        job = partial(train_model, known, chosen, target=target, alone=alone, device=device)
        return TrainingJob(known, lambda options: job(options=options), plan)

    with report_errors(RESUME):
        run_training(
            prepare,
            chosen_settings(TrainSettings, settings, changes or ()),
            directory,
            threads=threads,
            device=device,
            track=track,
            resume=resume,
            overwrite=overwrite,
            dry_run=dry_run,
        )


def retrain(
    collection: CollectionArgument,
    teacher: TeacherOption,
    directory: OutOption,
    target: TargetOption = None,
    earlier: FromOption = None,
    decisions: DecisionsOption = None,
    allow_unlinked: AllowUnlinkedOption = False,
    allow_outside: AllowOutsideOption = False,
    compare_alone: CompareAloneOption = False,
    settings: SettingsOption = None,
    changes: TrainingSetOption = None,
    threads: ThreadsOption = None,
    device: DeviceOption = "cpu",
    track: TrackOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Re-train a student for the target, on its linked subgraph, to imitate a teacher."""
    from kgraft.io.read_collection import read_collection
    from kgraft.model.directory import load_model
    from kgraft.pipeline.compare_alone import estimate_student
    from kgraft.pipeline.retrain import retrain as retrain_model
    from kgraft.pipeline.retrain import retraining_context
    from kgraft.pipeline.update import settings_after
    from kgraft.settings import RetrainSettings

    with report_errors(RESUME):
        start = None if earlier is None else load_model(earlier)
        base = None if start is None else settings_after(start)
        asked: Any = {"target": target, "start": start, "allow_unlinked": allow_unlinked}

        def prepare(chosen: RetrainSettings) -> TrainingJob:
            model = load_model(teacher, lazy=True)
            known = read_collection(collection, model.graph.graphs(), allow_outside=allow_outside)
            known = decided(known, decisions or (), target)

            def plan() -> Estimate:
                context = retraining_context(known, model, chosen, **asked)
                return estimate_student(context, compare_alone=compare_alone, device=device)

            job = partial(retrain_model, known, model, chosen, compare_alone=compare_alone, **asked)
            return TrainingJob(known, lambda options: job(options=options, device=device), plan)

        run_training(
            prepare,
            chosen_settings(RetrainSettings, settings, changes or (), base=base),
            directory,
            threads=threads,
            device=device,
            track=track,
            resume=resume,
            overwrite=overwrite,
            dry_run=dry_run,
        )


def decided(known: Collection, files: Sequence[Path], target: str | None) -> Collection:
    """Return a collection with the decisions of review files, and say their counts."""
    from kgraft.io.decisions import with_decisions

    known, lines = with_decisions(known, files, target)
    for line in lines:
        say(line)
    return known


def run_training(
    prepare: Callable[[S], TrainingJob],
    chosen: S,
    directory: Path,
    *,
    threads: int | None,
    device: str,
    track: Sequence[str] | None = None,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
    report: Path | None = None,
    workers: Workers | None = None,
) -> None:
    """Train a model, save it and report on it; or only estimate what that takes.

    The report is in the model's directory, unless another file is given. Of several workers the
    first saves the model, whose vectors then may not fit into its memory, and does not report.
    """
    from kgraft.model.directory import check_free, save_model
    from kgraft.model.gain import gain_rows
    from kgraft.pipeline.update import UPDATE_METRIC, Change
    from kgraft.reporting.page import check_replaceable
    from kgraft.system.devices import parse_device
    from kgraft.system.tracking import parse_tracker

    use_threads(threads)
    parse_device(device)  # Before the stages that come ahead of training.
    if dry_run:
        for line in _estimate_lines(prepare(chosen).estimate()):
            say(line)
        return
    if report is not None:
        check_replaceable(report)
    if workers is not None and workers.number:
        train_along(prepare, chosen, directory)
        return
    with run_options(directory, resume=resume) as options:
        check_free(directory, overwrite=overwrite)
        trackers = [parse_tracker(x) for x in track or ()]
        job = prepare(chosen)
        model = job.train(replace(options, trackers=trackers))
        save_model(model, directory, overwrite=overwrite, beside=partial(_beside, job))
    with lost_output_allowed():
        say(f"{_summary(model)}; the model is in {directory}")
        if UPDATE_METRIC in model.metrics:
            for line in _change_lines(Change(**model.metrics[UPDATE_METRIC])):
                say(line)
        for line in job.lines(model):
            say(line)
        if rows := gain_rows(model.metrics):
            out.print(_gain_table(rows))
    if workers is not None and workers.count > 1:
        return
    place = report_beside(model, directory, job.collection, report)
    with lost_output_allowed():
        say(f"A report on it is in {place}")


def train_along(prepare: Callable[[S], TrainingJob], chosen: S, directory: Path) -> None:
    """Train along with the first worker, without messages of its own."""
    from kgraft.pipeline.run import RunOptions
    from kgraft.system.outputs import run_of
    from kgraft.system.progress import Silence

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepare(chosen).train(RunOptions(Silence(), run_of(directory)))


def _beside(job: TrainingJob, directory: Path) -> None:
    """Write what belongs beside a model into its directory: found links, and the task's name."""
    if job.beside is not None:
        job.beside(directory)
    if (task := os.environ.get(TASK_VARIABLE)) is not None:
        (directory / TASK_FILE).write_text(json.dumps({"task": task}), encoding="utf-8")


def _summary(model: TrainedModel) -> str:
    mrr = model.metrics["validation_mrr"]
    quality = "no validation facts" if mrr is None else f"validation MRR {100 * mrr:.1f}"
    if model.evidence is not None and model.evidence.mrr:
        ways = ", ".join(f"by {by} {100 * value:.1f}" for by, value in model.evidence.mrr.items())
        quality += f" ({ways}; it answers by {model.answers_by})"
    best = model.metrics["best_epoch"]
    n = len(model.log)
    return f"{model.kind}: {n} epoch{'s' * (n > 1)}, best {best}, {quality}"


def _change_lines(change: Change) -> Sequence[str]:
    lines = [
        (
            f"facts: {change.facts_added:,} new, {change.facts_removed:,} gone; of other sources "
            f"{change.background_added:,} new, {change.background_removed:,} gone"
        ),
        f"entities: {change.entities_added:,} new, {change.entities_removed:,} gone",
    ]
    moved = f"vectors moved: {change.entities_moved:,} of {change.entities_known:,} known entities"
    if change.entities_moved:
        moved += (
            f", by {100 * change.moved:.0f} % of their length (median; 95 % of them by less than "
            f"{100 * change.moved_most:.0f} %)"
        )
    lines.append(moved)
    if change.validation_mrr is not None and change.validation_mrr_before is not None:
        before, now = 100 * change.validation_mrr_before, 100 * change.validation_mrr
        lines.append(f"validation MRR by vectors: {before:.1f} before, {now:.1f} now")
    return lines


def _gain_table(rows: Sequence[Sequence[str]]) -> Table:
    from kgraft.model.gain import GAIN_COLUMNS

    title = "Gained over training alone, without links: validation MRR in percent"
    made = table(*GAIN_COLUMNS, title=title, figures=GAIN_COLUMNS[1:])
    for row in rows:
        made.add_row(*row)
    return made


def _estimate_lines(found: Estimate) -> Sequence[str]:
    from kgraft.pipeline.estimate import BEFORE_EMBEDDINGS

    free = "" if found.available is None else f" of {found.available / 2**30:,.1f} GiB free"
    n = found.validations
    validations = f", {counted(n, 'validation')}" if n else ""
    steps = f"{counted(found.steps, 'step')} of {1000 * found.seconds_per_step:.1f} ms{validations}"
    stages = [f"  {name}: about {_duration(seconds)}" for name, seconds in found.stages.items()]
    embeddings = f"  embeddings: about {_duration(found.training_seconds)} ({steps})"
    before = [name for name in found.stages if name in BEFORE_EMBEDDINGS]
    stages.insert(len(before), embeddings)
    return (
        f"{found.parameters:,} parameters, trained on {counted(found.facts, 'fact')}",
        f"memory: about {found.memory / 2**30:,.1f} GiB{free}",
        f"time: about {_duration(found.seconds)}, if it does not stop early",
        *stages,
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} seconds"
    if seconds < 2 * 3600:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours"
