"""The command ``questions``: what questions in words mean, learned from examples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kgraft.cli.console import say, writing
from kgraft.cli.options import ModelArgument, NamesOption
from kgraft.errors import KgraftError, counted
from kgraft.system.messages import report_errors


def questions(
    model: ModelArgument,
    pairs: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS",
            help="TSV file with the columns question, path (as borders/languages) or answers (with "
            "| between), and perhaps entity.",
            show_default=False,
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Where to; by default into the model's directory, for 'kgraft ask'."
        ),
    ] = None,
    encoder: Annotated[
        str,
        typer.Option("--encoder", help="tfidf, or sentence-transformers:MODEL or model2vec:MODEL."),
    ] = "tfidf",
    source: NamesOption = None,
) -> None:
    """Learn from examples which paths of relations questions mean, for 'kgraft ask'."""
    with report_errors():
        from kgraft.model.directory import load_model
        from kgraft.querying.questions import FILE, learn_questions

        if file is None and not model.is_dir():
            raise KgraftError("the model is in no directory here. Name a file with --out.")
        place = file or model / FILE
        learned = learn_questions(load_model(model), pairs, encoder=encoder, source=source)
        with writing(place):
            learned.save(place)
        paths = counted(len(learned.paths), "path")
        say(f"{paths} learned from {counted(learned.questions, 'question')}, in {place}")
