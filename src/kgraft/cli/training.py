"""The verbs that train: ``train``, ``pretrain`` and ``retrain``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from kgraft.cli.console import RESUME, chosen_settings, out, use_threads, watching
from kgraft.cli.options import (
    CollectionArgument,
    DryRunOption,
    OutOption,
    OverwriteOption,
    ResumeOption,
    SetOption,
    SettingsOption,
    TargetOption,
    ThreadsOption,
    names,
)
from kgraft.config import RetrainSettings, TrainSettings
from kgraft.linking.read_collection import read_collection
from kgraft.model.directory import check_free, load_model, save_model
from kgraft.model.trained import TrainedModel
from kgraft.sentences import speaking
from kgraft.training.estimate import Estimate, estimate
from kgraft.training.pretrain import pretraining_run
from kgraft.training.retrain import retraining_run
from kgraft.training.run import Run
from kgraft.training.train import training_run

S = TypeVar("S", bound=TrainSettings)


def train(
    collection: CollectionArgument,
    directory: OutOption,
    target: TargetOption = None,
    alone: Annotated[
        bool, typer.Option("--alone", help="Learn from the target's own facts only.")
    ] = False,
    settings: SettingsOption = None,
    changes: SetOption = None,
    threads: ThreadsOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Train from scratch: all linked graphs together, or the target alone."""
    with speaking(RESUME):
        _carry_out(
            lambda chosen: training_run(
                read_collection(collection), chosen, target=target, alone=alone
            ),
            chosen_settings(TrainSettings, settings, changes or ()),
            directory,
            threads=threads,
            resume=resume,
            overwrite=overwrite,
            dry_run=dry_run,
        )


def pretrain(
    collection: CollectionArgument,
    directory: OutOption,
    target: Annotated[
        str | None,
        typer.Option("--target", help="The graph to leave out; by default the target."),
    ] = None,
    sources: Annotated[
        str | None,
        typer.Option("--sources", help="Learn from these, as a,b,c; by default all others."),
    ] = None,
    settings: SettingsOption = None,
    changes: SetOption = None,
    threads: ThreadsOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Pre-train a teacher on the linked graphs, once for many targets."""
    with speaking(RESUME):
        _carry_out(
            lambda chosen: pretraining_run(
                read_collection(collection).with_target(target),
                chosen,
                sources=None if sources is None else names(sources),
            ),
            chosen_settings(TrainSettings, settings, changes or ()),
            directory,
            threads=threads,
            resume=resume,
            overwrite=overwrite,
            dry_run=dry_run,
        )


def retrain(
    collection: CollectionArgument,
    teacher: Annotated[
        Path, typer.Option("--teacher", help="The teacher's directory.", show_default=False)
    ],
    directory: OutOption,
    target: TargetOption = None,
    settings: SettingsOption = None,
    changes: SetOption = None,
    threads: ThreadsOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Re-train a student for the target, taught by a teacher, on the subgraph that links join."""

    def prepare(chosen: RetrainSettings) -> Run:
        taught_by = load_model(teacher)
        known = read_collection(collection, taught_by.graph.graphs())
        return retraining_run(known, taught_by, chosen, target=target)

    with speaking(RESUME):
        _carry_out(
            prepare,
            chosen_settings(RetrainSettings, settings, changes or ()),
            directory,
            threads=threads,
            resume=resume,
            overwrite=overwrite,
            dry_run=dry_run,
        )


def _carry_out(
    prepare: Callable[[S], Run],
    chosen: S,
    directory: Path,
    *,
    threads: int | None,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
) -> None:
    """Train what ``prepare`` returns and keep it; or only say what that takes."""
    use_threads(threads)
    if dry_run:
        for line in _in_words(estimate(prepare(chosen))):
            out.print(line, highlight=False)
        return
    with watching(directory, resume=resume) as watch:
        check_free(directory, overwrite=overwrite)
        model = prepare(chosen).train(watch)
        save_model(model, directory, overwrite=overwrite)
    out.print(f"{_measured(model)}; the model is in {directory}", highlight=False)


def _measured(model: TrainedModel) -> str:
    mrr = model.metrics["validation_mrr"]
    look = "no validation facts" if mrr is None else f"validation MRR {100 * mrr:.1f}"
    if model.evidence is not None and model.evidence.mrr:
        ways = ", ".join(f"by {by} {100 * value:.1f}" for by, value in model.evidence.mrr.items())
        look += f" ({ways}; it answers by {model.answers_by})"
    best = model.metrics["best_epoch"]
    return f"{model.kind}: {len(model.log)} epochs, best {best}, {look}"


def _in_words(found: Estimate) -> Sequence[str]:
    free = "" if found.available is None else f" of {found.available / 2**30:,.1f} GiB free"
    looks = f", {found.looks} looks at validation facts" if found.looks else ""
    steps = f"{found.steps:,} steps of {1000 * found.seconds_per_step:.1f} ms"
    return (
        f"{found.parameters:,} parameters learn from {found.facts:,} facts",
        f"memory: about {found.memory / 2**30:,.1f} GiB{free}",
        f"time: about {_duration(found.seconds)}, if it does not stop early ({steps}{looks})",
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} seconds"
    if seconds < 2 * 3600:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours"
