"""The verb that writes a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kgraft.cli.console import out, use_threads
from kgraft.cli.options import ByOption, ThreadsOption
from kgraft.evaluation.evaluate import Split
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import Collection
from kgraft.model.directory import REPORT, load_model, read_manifest
from kgraft.model.trained_model import TrainedModel
from kgraft.reporting.model_report import report as model_report
from kgraft.reporting.page import check_replaceable, write_page
from kgraft.system.messages import speaking
from kgraft_experiments.benchmark.report import report_on_file


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
            help="Where its held-out facts are; without it, none are measured.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--out", "-o", help=f"HTML file; by default {REPORT} in the model directory."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", help="The graph to measure; by default the model's target."),
    ] = None,
    split: Annotated[
        Split, typer.Option("--split", help="Which held-out facts: test only when all is chosen.")
    ] = "valid",
    by: ByOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Write one HTML file on a model or a benchmark: what it did, how good it is, and by what."""
    with speaking():
        if model.is_file():
            if collection is not None:
                raise typer.BadParameter("a benchmark's report needs none", param_hint="COLLECTION")
            place = file or model.with_suffix(".html")
            write_page(place, report_on_file(model))
        else:
            use_threads(threads)
            trained = load_model(model)
            place = file or model / REPORT
            check_replaceable(place)
            known = None
            if collection is not None:
                known = read_collection(collection, trained.graph.graphs())
            text = model_report(
                trained, known, target=target, split=split, by=by, origin=_origin(model)
            )
            write_page(place, text)
        out.print(f"The report is in {place}", highlight=False, soft_wrap=True)


def report_beside(trained: TrainedModel, directory: Path, collection: Collection) -> Path:
    """Write the report of a model into its directory, on validation facts; return its file."""
    write_page(directory / REPORT, model_report(trained, collection, origin=_origin(directory)))
    return directory / REPORT


def _origin(directory: Path) -> dict[str, str]:
    manifest = read_manifest(directory)
    return {
        "directory": directory.name,
        "trained by": f"kgraft {manifest['kgraft']}",
        "SHA-256 of weights.safetensors": manifest["files"]["weights.safetensors"]["sha256"],
    }
