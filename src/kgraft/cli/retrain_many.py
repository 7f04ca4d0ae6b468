"""The command ``retrain-many``: students of one teacher for many targets, from a list of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kgraft.cli.console import out, print_json, say, table, writing
from kgraft.cli.options import AllowOutsideOption, TeacherOption
from kgraft.errors import KgraftError, SettingsError, counted
from kgraft.system.cores import usable_cores
from kgraft.system.messages import lost_output_allowed, report_errors

if TYPE_CHECKING:
    from kgraft.cli.clusters import Place
    from kgraft.cli.work_list import Result

RESULTS = "results.json"
"""File of the results, in the directory of the students."""

WorkArgument = Annotated[
    Path,
    typer.Argument(
        metavar="TARGETS",
        help="TOML file with a [[target]] for each student: data, and perhaps name, target, align, "
        "compare, links and set; settings and set at the top are for all.",
        show_default=False,
    ),
]
StudentsOption = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        help="Directory of the students, each in one of its name with a log beside it.",
        show_default=False,
    ),
]
WorkersOption = Annotated[
    int, typer.Option("--workers", min=1, help="Number of students that are trained at a time.")
]
RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Train on a Ray cluster: its address, auto for the one here, or local for a new one.",
    ),
]
SlurmOption = Annotated[
    str | None,
    typer.Option(
        "--slurm",
        metavar="NAME=VALUE,...",
        help="Train as jobs of Slurm, with parameters such as partition=short,timeout_min=60.",
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(help="Threads of each; by default the cores, shared by the workers.", min=1),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]


def retrain_many(
    targets: WorkArgument,
    teacher: TeacherOption,
    directory: StudentsOption,
    workers: WorkersOption = 1,
    threads: ThreadsOption = None,
    ray: RayOption = None,
    slurm: SlurmOption = None,
    allow_outside: AllowOutsideOption = False,
    as_json: JsonOption = False,
) -> None:
    """Re-train or graft a student for each target of a list; the same command goes on.

    Finished students are kept, interrupted ones resumed, failed ones tried again, and those whose
    data, settings or teacher have changed are trained anew. One that fails does not stop others.
    """
    from kgraft.cli.work_list import read_work, run_tasks, write_results

    results: list[Result] = []

    def finished(result: Result) -> None:
        results.append(result)
        write_results(directory / RESULTS, results)
        if not as_json:
            with lost_output_allowed():
                say(f"[{len(results)}/{len(tasks)}] {result.name}: {result.line}")

    with report_errors("The same command goes on from here."):
        tasks = read_work(targets, str(teacher), directory, allow_outside=allow_outside)
        is_here = ray is None and slurm is None
        own = threads or (max(1, usable_cores() // workers) if is_here else 1)
        own_files = directory / ".work", directory / RESULTS
        with writing(*own_files), closing(_place(directory, ray, slurm, own)) as place:
            results_in_order = run_tasks(
                tasks, workers=workers, threads=own, finished=finished, place=place
            )
        with lost_output_allowed():
            if as_json:
                print_json([vars(x) for x in results_in_order])
            else:
                _print_table(results_in_order)
        failed = [x.name for x in results_in_order if x.status == "failed"]
        if failed:
            raise KgraftError(
                f"{counted(len(failed), 'student')} of {len(tasks)} failed: {', '.join(failed)}. "
                f"Read NAME.log in {directory}; the same command tries them again."
            )


def _place(directory: Path, ray: str | None, slurm: str | None, threads: int) -> Place:
    """Return where tasks run."""
    from kgraft.cli.clusters import LocalProcesses, RayCluster, SlurmJobs

    if ray is not None and slurm is not None:
        raise SettingsError("give one of --ray and --slurm")
    if ray is not None:
        return RayCluster(ray, threads)
    return LocalProcesses() if slurm is None else SlurmJobs(directory / ".slurm", slurm, threads)


def _print_table(results: Sequence[Result]) -> None:
    figures = ("MRR", "gained", "seconds")
    made = table("student", "status", *figures, figures=figures)
    for x in results:
        mrr, gained = (
            "-" if value is None else f"{100 * value:{form}}"
            for value, form in ((x.validation_mrr, ".1f"), (x.gained, "+.1f"))
        )
        made.add_row(x.name, x.status, mrr, gained, f"{x.seconds:,.0f}")
    out.print(made)
