"""The verb ``predict``: one question, a file of them, or all facts that a graph lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from kgraft.cli.console import out, print_json
from kgraft.cli.options import ByOption, JsonOption, ModelArgument, NamesOption
from kgraft.errors import KgraftError
from kgraft.inference.complete import complete
from kgraft.inference.predict import Prediction, Predictor, Query
from kgraft.inference.prediction_files import as_frame, predictions_file, read_queries
from kgraft.model.directory import load_model
from kgraft.system.messages import speaking
from kgraft.system.progress import default_listener

AT_ONCE = 2048
"""Questions of a file that are answered before their answers are written."""


def predict(
    model: ModelArgument,
    head: Annotated[str | None, typer.Option("--head", "-h", help="Name or label.")] = None,
    relation: Annotated[str | None, typer.Option("--relation", "-r", help="Name.")] = None,
    tail: Annotated[str | None, typer.Option("--tail", "-t", help="Name or label.")] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            "--queries", help="A TSV file: head, relation and tail below these names, one empty."
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--complete", help="The most plausible facts that the graph lacks.")
    ] = False,
    least: Annotated[
        float, typer.Option("--least", min=0, max=1, help="Their least probability.")
    ] = 0.5,
    file: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write the facts to a .parquet, .tsv or .nt file."),
    ] = None,
    source: NamesOption = None,
    k: Annotated[int, typer.Option("--top", "-k", min=1, help="The most answers.")] = 10,
    by: ByOption = None,
    typed: Annotated[
        bool,
        typer.Option("--typed", help="Answer by what the relation has been observed with."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Answer (h, r, ?), (?, r, t) or (h, ?, t): give two of --head, --relation, --tail.

    Or answer a file of such questions (--queries), or look for all that is missing (--complete).
    """
    with speaking():
        given = [head, relation, tail]
        if any(given) + (queries is not None) + everything > 1:
            raise KgraftError(
                "one question, --queries and --complete exclude each other. Give one of them."
            )
        if everything and file is None:
            raise KgraftError("--complete finds many facts. Say by --out where they go.")
        asked = [] if queries or everything else [Query(*given)]
        predictor = Predictor(load_model(model), source, by)
        if queries is not None:
            asked = read_queries(queries, predictor)
        if file is not None:
            if everything:
                _complete(predictor, file, k=k, least=least, typed=typed)
            else:
                _write(predictor, asked, file, k=k, typed=typed)
            return
        answers = predictor.answer(asked, k, typed=typed)
        if as_json:
            found = [[_plain(answer) for answer in x] for x in answers]
            print_json(found if queries else found[0])
            return
        for query, predictions in zip(asked, answers, strict=True):
            out.print(_table(predictions, _in_words(query) if queries else None))


def _complete(predictor: Predictor, file: Path, *, k: int, least: float, typed: bool) -> None:
    count = 0
    with predictions_file(file) as append:
        for facts in complete(predictor, k=k, min_probability=least, typed=typed):
            append(facts)
            count += len(facts)
    likely = f" with a probability of {least:g} or more" if least else ""
    out.print(
        f"{count:,} facts that {predictor.names.source} does not state{likely} are in {file}",
        highlight=False,
        soft_wrap=True,
    )


def _write(predictor: Predictor, asked: list[Query], file: Path, *, k: int, typed: bool) -> None:
    bar, count = default_listener(), 0
    with predictions_file(file) as append:
        bar.begin("predict", len(asked))
        for start in range(0, len(asked), AT_ONCE):
            block = asked[start : start + AT_ONCE]
            facts = as_frame(block, predictor.answer(block, k, typed=typed))
            append(facts)
            count += len(facts)
            bar.advance(len(block))
        bar.end()
    out.print(
        f"{count:,} answers to {len(asked):,} questions are in {file}",
        highlight=False,
        soft_wrap=True,
    )


def _plain(prediction: Prediction) -> dict[str, object]:
    return {**vars(prediction), "known": prediction.known}


def _in_words(query: Query) -> str:
    return ", ".join("?" if x is None else x for x in (query.head, query.relation, query.tail))


def _table(found: list[Prediction], title: str | None) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("", justify="right")
    table.add_column("answer")
    likely = any(prediction.probability is not None for prediction in found)
    if likely:
        table.add_column("probability", justify="right")
    table.add_column("score", justify="right")
    table.add_column("known from")
    for place, prediction in enumerate(found, start=1):
        chance = [f"{prediction.probability:.3f}"] if prediction.probability is not None else []
        known = ", ".join(prediction.stated_by)
        table.add_row(str(place), prediction.label, *chance, f"{prediction.score:.3f}", known)
    return table
