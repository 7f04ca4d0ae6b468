"""The command ``check``: stated facts that are probably wrong."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from kgraft.cli.console import out, print_json, say, table, use_threads, writing
from kgraft.cli.options import JsonOption, ModelArgument, ThreadsOption
from kgraft.system.messages import lost_output_allowed, report_errors

SHOWN = 20
"""Facts that are shown where no number is given."""


def check(
    model: ModelArgument,
    file: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write the facts to a .parquet, .tsv or .json file."),
    ] = None,
    k: Annotated[
        int | None,
        typer.Option(
            "--top",
            "-k",
            min=1,
            help=f"Maximum number of facts; by default {SHOWN}, or all in a file.",
        ),
    ] = None,
    min_probability: Annotated[
        float, typer.Option("--least", min=0, max=1, help="Minimum probability to be wrong.")
    ] = 0.0,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rank the stated facts of a model's graph by how probably they are wrong, and say why."""
    with report_errors():
        from dataclasses import asdict

        from kgraft.inference.check import check as check_facts
        from kgraft.inference.suspect_files import check_ending, write_suspects
        from kgraft.model.directory import load_model

        if file is not None:
            check_ending(file)
        use_threads(threads)
        limit = k if k or file else SHOWN
        with nullcontext() if file is None else writing(file):
            found = check_facts(load_model(model), k=limit, min_probability=min_probability)
            if file is not None:
                write_suspects(found, file)
        if file is not None:
            with lost_output_allowed():
                say(f"{len(found):,} facts, the most probably wrong first, are in {file}")
        elif as_json:
            print_json([asdict(fact) for fact in found])
        else:
            shown = table("", "fact", "wrong", "evidence", figures=("", "wrong"))
            for place, fact in enumerate(found, start=1):
                head, relation, tail = fact.labels
                name, share = f"{relation}({head}, {tail})", f"{fact.error_probability:.2f}"
                shown.add_row(str(place), name, share, "; ".join(fact.evidence))
            out.print(shown)
