"""The command ``evaluate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kgraft.cli.console import out, print_json, quality_table, say, use_threads
from kgraft.cli.options import (
    AllowOutsideOption,
    ByOption,
    CollectionArgument,
    DeviceOption,
    IncludeTrainedOption,
    JsonOption,
    ModelArgument,
    TargetOption,
    ThreadsOption,
)
from kgraft.system.messages import report_errors

if TYPE_CHECKING:
    from kgraft.evaluation.evaluate import Evaluation


def evaluate(
    model: ModelArgument,
    collection: CollectionArgument,
    target: TargetOption = None,
    split: Annotated[
        Literal["valid", "test"], typer.Option("--split", help="Held-out facts to rank.")
    ] = "test",
    protocol: Annotated[
        Literal["filtered", "mkgc", "sources"],
        typer.Option(
            "--protocol",
            help="filtered: heads and tails, all known facts filtered; mkgc: tails, facts of train "
            "and valid filtered; sources: as filtered, and what other sources state is no wrong "
            "answer.",
        ),
    ] = "filtered",
    tie: Annotated[
        Literal["realistic", "optimistic", "pessimistic"],
        typer.Option("--tie", help="Rank of an answer among candidates of the same score."),
    ] = "realistic",
    by: ByOption = None,
    by_relation: Annotated[
        bool, typer.Option("--by-relation", help="Show one row per relation.")
    ] = False,
    include_trained: IncludeTrainedOption = False,
    allow_outside: AllowOutsideOption = False,
    threads: ThreadsOption = None,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Rank the target's held-out facts: MRR and Hits@k, covered and uncovered facts apart.

    Covered facts are stated by another source too, uncovered ones by none. Unseen facts have an
    entity or a relation without a training fact, and are shown apart where there are some.
    """
    with report_errors():
        from kgraft.evaluation.evaluate import PROTOCOLS
        from kgraft.evaluation.evaluate import evaluate as evaluate_model
        from kgraft.io.read_collection import read_collection
        from kgraft.model.directory import load_model

        use_threads(threads)
        sides, facts_filter = PROTOCOLS[protocol]
        trained = load_model(model).on(device)
        measured = evaluate_model(
            trained,
            read_collection(collection, trained.graph.graphs(), allow_outside=allow_outside),
            target=target,
            split=split,
            sides=sides,
            filters=[facts_filter],
            tie=tie,
            by=by,
            include_trained=include_trained,
        )
        rows = measured.by_relation() if by_relation else measured.rows()
        if as_json:
            print_json(rows)
        else:
            title = (
                f"{measured.graph.name}: {split} facts, {protocol}, by {by or trained.answers_by}"
            )
            out.print(quality_table(rows, f"{title}, in percent"))
            _tell_unseen(measured)


def _tell_unseen(measured: Evaluation) -> None:
    if measured.n_unseen:
        say(
            f"unseen: {measured.n_unseen:,} of {len(measured.facts):,} facts, with an entity or a "
            "relation of which the model was trained on no fact, so that their rank is arbitrary."
        )
