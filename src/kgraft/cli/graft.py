"""The command ``graft``: link a graph with a teacher's sources, and re-train a student for it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kgraft.cli.console import RESUME, chosen_settings, say
from kgraft.cli.options import (
    AllowOutsideOption,
    CollectionArgument,
    DeviceOption,
    DryRunOption,
    OutOption,
    OverwriteOption,
    ResumeOption,
    SettingsOption,
    TargetOption,
    ThreadsOption,
    TrackOption,
    TrainingSetOption,
)
from kgraft.cli.training import (
    DecisionsOption,
    FromOption,
    TrainingJob,
    decided,
    run_training,
)
from kgraft.system.messages import lost_output_allowed, report_errors

if TYPE_CHECKING:
    from kgraft.alignment.graft import LinkedTarget
    from kgraft.alignment.settings import GraftSettings
    from kgraft.model.trained_model import TrainedModel
    from kgraft.pipeline.estimate import Estimate
    from kgraft.pipeline.run import RunOptions

RELATIONS_SHOWN = 10

OntoOption = Annotated[
    Path,
    typer.Option(
        "--onto",
        help="Teacher to graft the graph onto: its directory, or hf://USER/NAME.",
        show_default=False,
    ),
]
LinksOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--links",
        help="File of links between the graph and any of the teacher's sources; repeatable.",
    ),
]
NoCompareOption = Annotated[
    bool, typer.Option("--no-compare", help="Leave out training the same without links beside it.")
]
ReportOption = Annotated[
    Path | None,
    typer.Option("--report", help="HTML file of the report; by default in the directory."),
]


def graft(
    collection: CollectionArgument,
    teacher: OntoOption,
    directory: OutOption,
    links: LinksOption = None,
    target: TargetOption = None,
    earlier: FromOption = None,
    decisions: DecisionsOption = None,
    no_compare: NoCompareOption = False,
    report: ReportOption = None,
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
    """Link a graph with what a teacher knows, and re-train a student for it, in one command."""
    from kgraft.alignment.graft import link_target
    from kgraft.alignment.settings import GraftSettings
    from kgraft.model.directory import load_model
    from kgraft.pipeline.update import settings_after

    with report_errors(RESUME):
        start = None if earlier is None else load_model(earlier)
        base = None if start is None else GraftSettings(**dict(settings_after(start)))

        def prepare(chosen: GraftSettings) -> TrainingJob:
            model = load_model(teacher, lazy=True)
            asked: Any = {"target": target, "links": links or (), "allow_outside": allow_outside}
            linked = link_target(collection, model, chosen.align, **asked)
            known = decided(linked.collection, decisions or (), target)
            linked = replace(linked, collection=known)
            how: Any = {"compare": not no_compare, "start": start, "device": device}
            return _job(linked, model, chosen, directory, **how)

        run_training(
            prepare,
            chosen_settings(GraftSettings, settings, changes or (), base=base),
            directory,
            threads=threads,
            device=device,
            track=track,
            resume=resume,
            overwrite=overwrite,
            dry_run=dry_run,
            report=report,
        )
        if not dry_run:
            with lost_output_allowed():
                for line in _next(collection, teacher, directory):
                    say(line)


def _job(
    linked: LinkedTarget,
    teacher: TrainedModel,
    settings: GraftSettings,
    directory: Path,
    *,
    compare: bool,
    start: TrainedModel | None,
    device: str,
) -> TrainingJob:
    """Return the training of a student for a linked target, compared if it can be."""
    from kgraft.alignment.graft import graft_linked, retraining_settings
    from kgraft.pipeline.compare_alone import estimate_student
    from kgraft.pipeline.retrain import retraining_context

    compared = compare and len(linked.collection.target_graph.valid) > 0

    def plan() -> Estimate:
        context = retraining_context(
            linked.collection, teacher, retraining_settings(settings), start=start
        )
        return estimate_student(context, compare_alone=compared, device=device)

    def train(options: RunOptions) -> TrainedModel:
        how: Any = {"compare_alone": compared, "options": options, "device": device}
        return graft_linked(linked, teacher, settings, start=start, **how).student

    lines = partial(_lines, linked, directory)
    return TrainingJob(linked.collection, train, plan, linked.write, lines)


def _lines(linked: LinkedTarget, directory: Path, student: TrainedModel) -> Sequence[str]:
    """Return what is linked, and by what."""
    from kgraft.alignment.graft import GRAFT_METRIC, LINKS_DIRECTORY, Linkage

    lines = Linkage(**student.metrics[GRAFT_METRIC]).lines()
    named = [x for x in linked.alignment.relations if x.kind == "same" and x.relation != x.other]
    lines += [
        f"  {x.left}:{x.relation} is the same as {x.right}:{x.other} ({x.confidence:.2f})"
        for x in named[:RELATIONS_SHOWN]
        if not x.inverse
    ]
    return [*lines, f"The links that were found, and why: {directory / LINKS_DIRECTORY}"]


def _next(collection: str, teacher: Path, directory: Path) -> Sequence[str]:
    """Return the commands that come next."""
    model, onto, data = (shlex.quote(str(x)) for x in (directory, teacher, collection))
    return (
        "Next:",
        f"  kgraft complete {model} -o review.csv    # facts that the graph lacks, for a review",
        f"  kgraft graft {data} --onto {onto} --decisions review.csv -o next    # after it",
        f"  kgraft evaluate {model} {data}    # quality on test facts",
        f"  kgraft serve {model}    # a page to look at",
    )
