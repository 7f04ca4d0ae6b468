"""The command ``complete``: the facts that a graph lacks, each with a probability."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kgraft.cli.console import say, writing
from kgraft.cli.options import (
    AnnotationOption,
    BaseOption,
    ModelArgument,
    NewFactsOption,
    NewLinksOption,
    NewTextsOption,
)
from kgraft.cli.predict import with_new_facts
from kgraft.errors import DataError, counted
from kgraft.system.messages import lost_output_allowed, report_errors

if TYPE_CHECKING:
    from kgraft.inference.fact_writers import FactForm
    from kgraft.inference.predict import Predictor

LISTS = {
    "stated": "another source states them",
    "inferred": "no source states them",
    "contradiction": "the graph states another answer",
}


def complete(
    model: ModelArgument,
    file: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="The facts: a .parquet, .tsv, .nt or .ttl file, or .csv to accept or refuse them.",
        ),
    ],
    min_probability: Annotated[
        float, typer.Option("--least", min=0, max=1, help="Minimum probability of a fact.")
    ] = 0.5,
    contradictions: Annotated[
        bool,
        typer.Option(
            "--contradictions",
            help="Include facts that contradict another answer, where there is one as a rule.",
        ),
    ] = False,
    known: Annotated[
        list[Path] | None,
        typer.Option(help="File of more known facts to leave out, in any format; repeatable."),
    ] = None,
    accepted: Annotated[
        list[Path] | None,
        typer.Option(
            help="Reviewed .csv file: write the facts that it accepts, and look for none; "
            "repeatable."
        ),
    ] = None,
    k: Annotated[
        int, typer.Option("--top", "-k", min=1, help="Maximum number of answers to a query.")
    ] = 50,
    facts: NewFactsOption = None,
    links: NewLinksOption = None,
    texts: NewTextsOption = None,
    base: BaseOption = None,
    annotation: AnnotationOption = "rdf12",
) -> None:
    """Find the facts that the graph lacks, each with the probability that it is true."""
    with report_errors():
        from kgraft.inference.predict import Predictor
        from kgraft.inference.prediction_files import form_of
        from kgraft.model.directory import load_model

        _keep_decisions(file)
        predictor = with_new_facts(Predictor(load_model(model)), facts, links, texts)
        settings = {"top": k, "least": min_probability, "contradictions": contradictions}
        form = form_of(predictor, model, settings, base=base, annotation=annotation)
        if accepted:
            _write_accepted(accepted, file, form)
            return
        asked: dict[str, Any] = {"k": k, "min_probability": min_probability}
        if known:
            asked["known"] = _known_facts(predictor, known)
        _write_found(predictor, asked, file, form, contradictions=contradictions)


def _write_found(
    predictor: Predictor, asked: dict[str, Any], file: Path, form: FactForm, *, contradictions: bool
) -> None:
    """Look for facts, and write them."""
    from kgraft.inference.complete import COLUMNS
    from kgraft.inference.complete import complete as complete_graph
    from kgraft.inference.prediction_files import predictions_file

    counts = Counter[str]()
    with writing(file), predictions_file(file, COLUMNS, form) as append:
        for found in complete_graph(predictor, contradictions=True, **asked):
            counts.update(found["list"])
            append(found if contradictions else found.filter(found["list"] != "contradiction"))
    with lost_output_allowed():
        for line in _lines(predictor, counts, contradictions=contradictions):
            say(line)
        say(f"They are in {file}, relation by relation, the most probable first")


def _keep_decisions(file: Path) -> None:
    """Refuse to write over a review in which something is decided."""
    from kgraft.io.decisions import decisions_in

    if made := decisions_in(file):
        raise DataError(
            f"{counted(made, 'decision')} would be lost",
            remedy="Name another file: the next training needs this one too (--decisions)",
            path=file,
        )


def _write_accepted(reviews: list[Path], file: Path, form: FactForm) -> None:
    """Write the facts that reviews accept, each once."""
    import polars as pl

    from kgraft.inference.prediction_files import predictions_file
    from kgraft.io.decisions import DECISION, read_decisions
    from kgraft.io.named_facts import ROLES

    decided = pl.concat([read_decisions(review) for review in reviews])
    kept = decided.filter(pl.col(DECISION) == "accept").select(ROLES)
    kept = kept.unique(maintain_order=True)
    with writing(file), predictions_file(file, dict.fromkeys(ROLES, pl.String), form) as append:
        append(kept)
    with lost_output_allowed():
        say(f"{counted(len(kept), 'accepted fact')} of {' and '.join(map(str, reviews))}: {file}")


def _known_facts(predictor: Predictor, files: list[Path]) -> Any:
    from kgraft.io.read_graph import read_graph
    from kgraft.io.source import GraphSource

    name = predictor.names.source
    graph = read_graph(GraphSource(name=name, train=tuple(files)))
    usable = len(predictor.names.part.known(graph, graph.train))
    say(f"{usable:,} of {len(graph.train):,} known facts are about names of {name}")
    return graph


def _lines(predictor: Any, counts: Counter[str], *, contradictions: bool) -> list[str]:
    """Return the counts of each list, and what the probabilities rest on."""
    name, judge = predictor.names.source, predictor.judge
    shown = sum(counts.values()) - (0 if contradictions else counts["contradiction"])
    lines = [f"{shown:,} facts that {name} does not state"]
    for kind, words in LISTS.items():
        left_out = kind == "contradiction" and not contradictions and counts[kind]
        more = ", left out (--contradictions)" if left_out else ""
        lines.append(f"  {counts[kind]:,} {kind}: {words}{more}")
    used = sorted(set(predictor.names.part.relation_rows.tolist()))
    lines.append(judge.fitted.completeness.in_words(name, used))
    return lines
