"""The command ``pretrain``, in one process or several."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from kgraft.cli.console import RESUME, chosen_settings
from kgraft.cli.options import (
    AllowOutsideOption,
    CollectionArgument,
    DeviceOption,
    DryRunOption,
    OutOption,
    OverwriteOption,
    ResumeOption,
    SettingsOption,
    ThreadsOption,
    TrackOption,
    TrainingSetOption,
    WorkersOption,
    names,
)
from kgraft.cli.training import TrainingJob, run_training
from kgraft.system.messages import report_errors

if TYPE_CHECKING:
    from kgraft.pipeline.estimate import Estimate
    from kgraft.settings import TrainSettings


def pretrain(
    context: typer.Context,
    collection: CollectionArgument,
    directory: OutOption,
    target: Annotated[
        str | None,
        typer.Option("--target", help="Graph to leave out; by default the target."),
    ] = None,
    sources: Annotated[
        str | None,
        typer.Option("--sources", help="Sources to learn from, as a,b,c; by default all others."),
    ] = None,
    allow_outside: AllowOutsideOption = False,
    settings: SettingsOption = None,
    changes: TrainingSetOption = None,
    threads: ThreadsOption = None,
    device: DeviceOption = "cpu",
    workers: WorkersOption = None,
    track: TrackOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Pre-train a teacher on the linked graphs, once for many targets."""
    from kgraft.io.read_collection import read_collection
    from kgraft.pipeline.estimate import estimate
    from kgraft.pipeline.pretrain import pretrain as pretrain_model
    from kgraft.pipeline.pretrain import pretraining_task
    from kgraft.settings import TrainSettings
    from kgraft.system.launch import launch
    from kgraft.system.workers import joined, started_together

    if workers is not None and workers > 1 and not (dry_run or started_together()):
        raise SystemExit(launch(workers, context.find_root().obj))

    def prepare(chosen: TrainSettings) -> TrainingJob:
        known = read_collection(collection, allow_outside=allow_outside).with_target(target)
        asked = None if sources is None else names(sources)

        def plan() -> Estimate:
            return estimate(pretraining_task(known, chosen, sources=asked).on(device))

        job = partial(pretrain_model, known, chosen, sources=asked, device=device)
        return TrainingJob(known, lambda options: job(options=options), plan)

    with report_errors(RESUME), joined(device) as group:
        if group.count > 1 and device.startswith("cuda"):
            device = str(group.device)
        run_training(
            prepare,
            chosen_settings(TrainSettings, settings, changes or ()),
            directory,
            threads=threads,
            device=device,
            track=track,
            resume=resume or group.restarted,
            overwrite=overwrite,
            dry_run=dry_run,
            workers=group,
        )
