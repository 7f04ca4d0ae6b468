"""The command ``predict``: one query, a file of queries, or all facts that a graph lacks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kgraft.cli.console import out, print_json, say, table, writing
from kgraft.cli.options import ByOption, JsonOption, ModelArgument, NamesOption
from kgraft.errors import KgraftError, counted
from kgraft.system.messages import lost_output_allowed, report_errors

if TYPE_CHECKING:
    from rich.table import Table

    from kgraft.inference.predict import Prediction, Predictor, Query

AT_ONCE = 2048
"""Queries of a file that are answered before their answers are written."""

QueriesOption = Annotated[
    Path | None,
    typer.Option(
        "--queries", help="TSV file of queries, with columns head, relation and tail, one empty."
    ),
]
KnownOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--known", help="File of more facts for --complete to leave out, in any format; repeatable."
    ),
]


def predict(
    model: ModelArgument,
    head: Annotated[str | None, typer.Option("--head", help="Name or label.")] = None,
    relation: Annotated[str | None, typer.Option("--relation", "-r", help="Name.")] = None,
    tail: Annotated[str | None, typer.Option("--tail", "-t", help="Name or label.")] = None,
    queries: QueriesOption = None,
    everything: Annotated[
        bool, typer.Option("--complete", help="Find the most probable facts that the graph lacks.")
    ] = False,
    min_probability: Annotated[
        float,
        typer.Option("--least", min=0, max=1, help="Minimum for --complete."),
    ] = 0.5,
    known: KnownOption = None,
    file: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write the facts to a .parquet, .tsv or .nt file."),
    ] = None,
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

    Or answer a file of such queries (--queries), or find all missing facts (--complete).
    """
    with report_errors():
        from kgraft.inference.predict import Predictor, Query
        from kgraft.inference.prediction_files import read_queries
        from kgraft.model.directory import load_model

        if any((head, relation, tail)) + (queries is not None) + everything > 1:
            raise KgraftError(
                "one query, --queries and --complete exclude each other. Give one of them."
            )
        if known and not everything:
            raise KgraftError("--known is for --complete. Add --complete, or leave it out.")
        if everything and file is None:
            raise KgraftError("--complete finds many facts. Name a file for them with --out.")
        asked = [] if queries or everything else [Query(head, relation, tail)]
        predictor = Predictor(load_model(model), source, by)
        if queries is not None:
            asked = read_queries(queries, predictor)
        if file is not None:
            if everything:
                _complete(predictor, file, known, k=k, typed=typed, min_probability=min_probability)
            else:
                _write(predictor, asked, file, k=k, typed=typed)
            return
        answers = predictor.answer(asked, k, typed=typed)
        if as_json:
            found = [[_plain(answer) for answer in x] for x in answers]
            print_json(found if queries else found[0])
            return
        for query, predictions in zip(asked, answers, strict=True):
            out.print(_table(predictions, _title(query) if queries else None))


def _complete(predictor: Predictor, file: Path, known: list[Path] | None, **asked: Any) -> None:
    from kgraft.inference.complete import complete
    from kgraft.inference.prediction_files import predictions_file
    from kgraft.io.read_graph import read_graph
    from kgraft.io.source import GraphSource

    name, min_probability = predictor.names.source, asked["min_probability"]
    if known:
        graph = read_graph(GraphSource(name=name, train=tuple(known)))
        asked["known"] = graph
        usable = len(predictor.names.part.known(graph, graph.train))
        say(f"{usable:,} of {len(graph.train):,} known facts are about names of {name}")
    count = 0
    with writing(file), predictions_file(file) as append:
        for facts in complete(predictor, **asked):
            append(facts)
            count += len(facts)
    likely = f" with a probability of {min_probability:g} or more" if min_probability else ""
    with lost_output_allowed():
        say(f"{count:,} facts that {name} does not state{likely} are in {file}")


def _write(predictor: Predictor, asked: list[Query], file: Path, *, k: int, typed: bool) -> None:
    from kgraft.inference.prediction_files import as_frame, predictions_file
    from kgraft.system.progress import default_listener

    listener, count = default_listener(), 0
    with writing(file), predictions_file(file) as append:
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
    names = ("", "answer", *(["probability"] if likely else []), "score", "known from")
    shown = table(*names, title=title, figures=("", "probability", "score"))
    for place, prediction in enumerate(found, start=1):
        probability = (
            [f"{prediction.probability:.3f}"] if prediction.probability is not None else []
        )
        known = ", ".join(prediction.stated_by)
        shown.add_row(str(place), prediction.label, *probability, f"{prediction.score:.3f}", known)
    return shown
