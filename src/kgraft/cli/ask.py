"""The command ``ask``: SPARQL, and questions in words, over a graph that lacks facts."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kgraft.cli.console import out, print_json, table
from kgraft.cli.options import JsonOption, ModelArgument, NamesOption
from kgraft.errors import DataError
from kgraft.system.messages import report_errors
from kgraft.system.terminal import Terminal

if TYPE_CHECKING:
    from rich.table import Table

    from kgraft.querying.answers import Answers


def ask(
    model: ModelArgument,
    query: Annotated[
        str,
        typer.Argument(
            metavar="QUERY",
            help="SPARQL, a question in words, a file of either, or - for standard input.",
            show_default=False,
        ),
    ],
    limit: Annotated[
        int, typer.Option("--limit", "-k", min=1, help="Answers, where the query sets no LIMIT.")
    ] = 10,
    source: NamesOption = None,
    learned: Annotated[
        Path | None,
        typer.Option(
            "--learned",
            help="What 'kgraft questions' has written; by default what it left in the model's "
            "directory, or else relations are recognized by their names.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a pattern of facts, stated or not, with probabilities: by SPARQL, or in words.

    SELECT, ASK and COUNT; UNION, FILTER NOT EXISTS, MINUS, VALUES. Names are written :Name,
    "a name with spaces" or <an IRI>. A question in words has the name of one entity.
    """
    with report_errors():
        from kgraft.model.directory import load_model
        from kgraft.querying.path_ranker import LearnedPaths
        from kgraft.querying.questions import QuestionAnswers, ask, is_question, learned_beside

        text = _text(query)
        known = None
        if is_question(text):
            known = LearnedPaths.read(learned) if learned else learned_beside(model)
        answers = ask(load_model(model), text, limit=limit, source=source, learned=known)
        if isinstance(answers, QuestionAnswers):
            _note(answers.reading)
        if as_json:
            print_json([asdict(answer) for answer in answers])
            return
        out.print(_table(answers))
        if answers.bounded:
            _note("The search was bounded: there may be further answers that are as probable.")


def _note(text: str) -> None:
    Terminal(stderr=True).print(text, highlight=False, soft_wrap=True)


def _text(query: str) -> str:
    """Return the text of a query, which may be in a file."""
    if query == "-":
        return sys.stdin.read().removeprefix("\ufeff")
    if "{" in query:
        return query
    from kgraft.querying.questions import is_question
    from kgraft.system.files import read_text

    try:
        return read_text(Path(query))
    except (DataError, ValueError) as error:
        if is_question(query):
            return query
        reason = getattr(error, "problem", error)
        raise DataError(
            "the query is neither SPARQL, which has a pattern in braces, nor a question, which has "
            f"several words, nor a file ({reason})",
            remedy="Write SELECT ?x WHERE { ?x :relation :Entity }, or the path of a file",
        ) from None


def _table(answers: Answers) -> Table:
    """Return the answers with the facts that each rests on."""
    if answers and answers[0].probability is None:
        shown = table(*answers.variables, "stated", figures=(*answers.variables, "stated"))
        for x in answers:
            shown.add_row(*(f"{value:.1f}" for value in x.bindings.values()), str(x.stated))
        return shown
    shown = table("", *answers.variables, "probability", "fact", "", figures=("probability",))
    for place, x in enumerate(answers, start=1):
        cells = [
            str(place),
            *(x.labels[name] for name in answers.variables),
            f"{x.probability:.3f}",
        ]
        for hop in x.hops or [None]:
            shown.add_row(*cells, *(("", "") if hop is None else (hop.fact, hop.reason)))
            cells = [""] * len(cells)
    return shown
