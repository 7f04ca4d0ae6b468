"""The command ``report``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kgraft.cli.console import say, use_threads, writing
from kgraft.cli.options import AllowOutsideOption, ByOption, IncludeTrainedOption, ThreadsOption
from kgraft.system.messages import lost_output_allowed, report_errors

if TYPE_CHECKING:
    from kgraft.linking.collection import Collection
    from kgraft.model.trained_model import TrainedModel


def report(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A model directory; or a results.json, ablation.json or links.json.",
            show_default=False,
        ),
    ],
    collection: Annotated[
        str | None,
        typer.Argument(
            metavar="COLLECTION",
            help="Collection with the held-out facts; without it, none are measured.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="HTML file; by default report.html in the model directory."
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", help="Graph to measure; by default the model's target."),
    ] = None,
    split: Annotated[
        Literal["valid", "test"],
        typer.Option("--split", help="Held-out facts; take test only when all is chosen."),
    ] = "valid",
    by: ByOption = None,
    include_trained: IncludeTrainedOption = False,
    allow_outside: AllowOutsideOption = False,
    threads: ThreadsOption = None,
) -> None:
    """Write an HTML report on a model or a benchmark: data, training, quality, settings."""
    with report_errors():
        from kgraft.io.read_collection import read_collection
        from kgraft.model.directory import REPORT, load_model
        from kgraft.reporting.model_report import report as model_report
        from kgraft.reporting.page import check_replaceable, write_page

        if model.is_file():
            if collection is not None:
                raise typer.BadParameter("a benchmark's report needs none", param_hint="COLLECTION")
            place = file or model.with_suffix(".html")
            text = import_module("kgraft_experiments.benchmark.report").report_on_file(model)
        else:
            use_threads(threads)
            trained = load_model(model)
            place = file or model / REPORT
            check_replaceable(place)
            more: Any = {"known": trained.graph.graphs(), "allow_outside": allow_outside}
            known = None if collection is None else read_collection(collection, **more)
            asked: Any = {"target": target, "split": split, "include_trained": include_trained}
            text = model_report(trained, known, by=by, **asked, origin=_origin(model))
        with writing(place):
            write_page(place, text)
        with lost_output_allowed():
            say(f"The report is in {place}")


def report_beside(
    trained: TrainedModel, directory: Path, collection: Collection, file: Path | None = None
) -> Path:
    """Write a model's report on validation facts, by default into its directory; return its file.

    Args:
        trained: The model.
        directory: Its directory.
        collection: Its facts.
        file: Another file to write to.
    """
    from kgraft.model.directory import REPORT
    from kgraft.reporting.model_report import report as model_report
    from kgraft.reporting.page import write_page

    place = file or directory / REPORT
    write_page(place, model_report(trained, collection, origin=_origin(directory)))
    return place


def _origin(directory: Path) -> dict[str, str]:
    from kgraft.model.manifest import read_manifest
    from kgraft.model.weight_files import weight_files

    manifest = read_manifest(directory)
    weights = weight_files(manifest["files"])[0]
    return {
        "directory": directory.name,
        "trained by": f"kgraft {manifest['kgraft']}",
        f"SHA-256 of {weights}": manifest["files"][weights]["sha256"],
    }
