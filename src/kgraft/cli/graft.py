"""The command ``graft``: link a graph with a teacher's sources, and re-train a student for it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import count
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
                for line in _next(collection, teacher, directory, decisions or ()):
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
    same = [x for x in linked.alignment.relations if x.kind == "same" and not x.inverse]
    lines += [
        f"  {x.left}:{x.relation} is the same as {x.right}:{x.other} ({x.confidence:.2f})"
        for x in [x for x in same if x.relation != x.other][:RELATIONS_SHOWN]
    ]
    if more := _found_by_training(student, {x.relation for x in same}):
        shown = ", ".join(more[:RELATIONS_SHOWN]) + (", ..." if len(more) > RELATIONS_SHOWN else "")
        lines.append(f"training found {len(more)} more, by the facts that both state: {shown}")
    return [*lines, f"The links that were found, and why: {directory / LINKS_DIRECTORY}"]


def _found_by_training(student: TrainedModel, linked: set[str]) -> list[str]:
    """Return the target's relations that others have only since training compared facts."""
    graph = student.graph
    rows = {row for found in graph.found_relations.values() for row in found.tolist()}
    part = graph.part(student.target or graph.sources[0])
    of_rows = zip(part.relation_rows.tolist(), part.relations.names.to_list(), strict=True)
    return [name for row, name in of_rows if row in rows and name not in linked]


def _next(
    collection: str, teacher: Path, directory: Path, decisions: Sequence[Path]
) -> Sequence[str]:
    """Return the commands that come next; a review that is made already keeps its name."""
    model, onto, data = (shlex.quote(str(x)) for x in (directory, teacher, collection))
    review, following = _new_name("review", ".csv", decisions), _new_name("next", "", [directory])
    reviews = " ".join(f"--decisions {shlex.quote(str(x))}" for x in (*decisions, review))
    return (
        "Next:",
        f"  kgraft complete {model} -o {review}    # facts that the graph lacks, for a review",
        f"  kgraft graft {data} --onto {onto} {reviews} -o {following}    # after it",
        f"  kgraft evaluate {model} {data}    # quality on test facts",
        f"  kgraft serve {model}    # a page to look at",
    )


def _new_name(stem: str, ending: str, taken: Sequence[Path]) -> str:
    """Return the first of a stem, a stem with 2, with 3 and so on that is none of some names."""
    names = (f"{stem}{number if number > 1 else ''}{ending}" for number in count(1))
    used = {str(path) for path in taken}
    return next(name for name in names if name not in used)
