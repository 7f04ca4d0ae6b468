"""The command ``predict``: one query, or a file of queries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kgraft.cli.console import out, print_json, say, table, writing
from kgraft.cli.options import (
    AnnotationOption,
    BaseOption,
    ByOption,
    FactFileOption,
    JsonOption,
    ModelArgument,
    NamesOption,
    NewFactsOption,
    NewLinksOption,
    NewTextsOption,
)
from kgraft.errors import KgraftError, counted
from kgraft.system.messages import lost_output_allowed, report_errors
from kgraft.system.terminal import Terminal

if TYPE_CHECKING:
    from rich.table import Table

    from kgraft.inference.fact_writers import FactForm
    from kgraft.inference.predict import Prediction, Predictor, Query

AT_ONCE = 2048
"""Queries of a file that are answered before their answers are written."""

QueriesOption = Annotated[
    Path | None,
    typer.Option(
        "--queries",
        help="TSV file of queries, with columns head, relation and tail, one or none empty.",
    ),
]


def predict(
    model: ModelArgument,
    head: Annotated[str | None, typer.Option("--head", help="Name or label.")] = None,
    relation: Annotated[str | None, typer.Option("--relation", "-r", help="Name.")] = None,
    tail: Annotated[str | None, typer.Option("--tail", "-t", help="Name or label.")] = None,
    queries: QueriesOption = None,
    facts: NewFactsOption = None,
    links: NewLinksOption = None,
    texts: NewTextsOption = None,
    file: FactFileOption = None,
    base: BaseOption = None,
    annotation: AnnotationOption = "rdf12",
    source: NamesOption = None,
    k: Annotated[int, typer.Option("--top", "-k", min=1, help="Maximum number of answers.")] = 10,
    by: ByOption = None,
    typed: Annotated[
        bool,
        typer.Option("--typed", help="Answer only with entities observed with the relation."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Answer (h, r, ?), (?, r, t) or (h, ?, t): give two of --head, --relation, --tail.

    With all three, say how probable the fact is. Or answer a file of such queries (--queries).
    """
    with report_errors():
        from kgraft.inference.predict import Predictor, Query
        from kgraft.inference.prediction_files import form_of, read_queries
        from kgraft.model.directory import load_model

        if any((head, relation, tail)) and queries is not None:
            raise KgraftError("one query and --queries exclude each other. Give one of them.")
        asked = [] if queries else [Query(head, relation, tail)]
        predictor = with_new_facts(Predictor(load_model(model), source, by), facts, links, texts)
        if queries is not None:
            asked = read_queries(queries, predictor)
        if file is not None:
            settings = {"top": k, "by": predictor.by, "typed": typed, "queries": queries}
            form = form_of(predictor, model, settings, base=base, annotation=annotation)
            _write(predictor, asked, file, form, k=k, typed=typed)
            return
        answers = predictor.answer(asked, k, typed=typed)
        if as_json:
            found = [[_plain(answer) for answer in x] for x in answers]
            print_json(found if queries else found[0])
            return
        for query, predictions in zip(asked, answers, strict=True):
            out.print(_table(predictions, _title(query) if queries else None))


def with_new_facts(
    predictor: Predictor, facts: Path | None, links: Path | None, texts: Path | None
) -> Predictor:
    """Return a predictor with what files tell folded into its model, and say how much that is."""
    if facts is None and links is None and texts is None:
        return predictor
    if facts is None and texts is None:
        raise KgraftError(
            "--links are those of new entities, whose facts are missing. Add --facts or --texts."
        )
    from kgraft.inference.fact_files import with_files

    predictor, lines = with_files(predictor, facts, links, texts)
    for line in lines:
        Terminal(stderr=True).print(line, highlight=False, soft_wrap=True)
    return predictor


def _write(
    predictor: Predictor, asked: list[Query], file: Path, form: FactForm, *, k: int, typed: bool
) -> None:
    from kgraft.inference.prediction_files import as_frame, predictions_file
    from kgraft.system.progress import default_listener

    listener, count = default_listener(), 0
    with writing(file), predictions_file(file, form=form) as append:
        listener.begin("predict", len(asked))
        for start in range(0, len(asked), AT_ONCE):
            block = asked[start : start + AT_ONCE]
            facts = as_frame(block, predictor.answer(block, k, typed=typed))
            append(facts)
            count += len(facts)
            listener.advance(len(block))
        listener.end()
    with lost_output_allowed():
        say(f"{counted(count, 'answer')} to {counted(len(asked), 'query')} are in {file}")


def _plain(prediction: Prediction) -> dict[str, object]:
    return {**vars(prediction), "known": prediction.known}


def _title(query: Query) -> str:
    return ", ".join("?" if x is None else x for x in (query.head, query.relation, query.tail))


def _table(found: list[Prediction], title: str | None) -> Table:
    likely = any(prediction.probability is not None for prediction in found)
    figures = ("probability", "if asked") if likely else ()
    against = any(prediction.contradicts for prediction in found)
    names = ("", "answer", *figures, "score", "known from", *(["contradicted"] if against else []))
    shown = table(*names, title=title, figures=("", *figures, "score"))
    for place, x in enumerate(found, start=1):
        values = (x.probability, x.probability_if_asked) if likely else ()
        cells = ["" if value is None else f"{value:.3f}" for value in values]
        cells += [f"{x.score:.3f}", ", ".join(x.stated_by), *([x.contradicts] if against else [])]
        shown.add_row(str(place), x.label, *cells)
    return shown
