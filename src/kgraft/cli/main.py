"""The verbs of the command line; each is a few lines over the public functions."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import typer

from kgraft.cli.alignment import align, audit, evaluate_links
from kgraft.cli.console import out, print_json, quality_table, use_threads
from kgraft.cli.demo import run_demo
from kgraft.cli.explain import explain, similar
from kgraft.cli.export import export
from kgraft.cli.options import (
    ByOption,
    CollectionArgument,
    DeviceOption,
    EvaluatedArgument,
    EvaluatedOnArgument,
    JsonOption,
    MaskOption,
    SeedsOption,
    SetOption,
    TargetOption,
    TaskOption,
    ThreadsOption,
)
from kgraft.cli.predict import predict
from kgraft.cli.report import report
from kgraft.cli.rules import rules
from kgraft.cli.serve import serve
from kgraft.cli.training import pretrain, retrain, train
from kgraft.errors import KgraftError, UnknownNameError
from kgraft.evaluation.evaluate import PROTOCOLS
from kgraft.evaluation.evaluate import evaluate as run_evaluation
from kgraft.io.read_collection import read_collection
from kgraft.linking.inspection import inspect as look_into
from kgraft.model.directory import load_model
from kgraft.system.messages import speaking
from kgraft_experiments.commands.benchmark import benchmark
from kgraft_experiments.commands.synth import synth

OPTIONS_OF_TASK = {
    "facts": {"target", "split", "protocol", "tie", "by", "by_relation", "device"},
    "alignment": {"seeds", "mask_labels", "changes"},
}
"""The options of ``evaluate`` that only one of its tasks heeds."""

app = typer.Typer(
    help="Graft the knowledge of linked knowledge graphs onto your own.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback(invoke_without_command=True)
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.")
    ] = False,
) -> None:
    if show_version:
        typer.echo(f"kgraft {version('kgraft')}")
        raise typer.Exit


@app.command()
def demo(
    directory: Annotated[
        Path, typer.Option("--out", "-o", help="Directory for teacher and student.")
    ] = Path("kgraft-demo"),
    threads: ThreadsOption = None,
) -> None:
    """See it work: two graphs about the world improve a third, in under a minute."""
    with speaking():
        use_threads(threads)
        run_demo(directory)


@app.command()
def inspect(collection: CollectionArgument, as_json: JsonOption = False) -> None:
    """Show what is in a collection: sizes, links, conflicts, and what the sources share."""
    with speaking():
        found = look_into(read_collection(collection))
        if as_json:
            print_json(found.as_dict())
        else:
            found.render(out)


app.command()(align)
app.command()(audit)
app.command()(train)
app.command()(pretrain)
app.command()(retrain)


@app.command()
def evaluate(
    context: typer.Context,
    model: EvaluatedArgument,
    collection: EvaluatedOnArgument = None,
    task: TaskOption = "facts",
    target: TargetOption = None,
    split: Annotated[
        Literal["valid", "test"], typer.Option("--split", help="Which held-out facts.")
    ] = "test",
    protocol: Annotated[
        Literal["filtered", "mkgc"],
        typer.Option("--protocol", help="filtered: both sides; mkgc: tails, filter train+valid."),
    ] = "filtered",
    tie: Annotated[
        Literal["realistic", "optimistic", "pessimistic"],
        typer.Option("--tie", help="How an answer ranks among candidates of the same score."),
    ] = "realistic",
    by: ByOption = None,
    by_relation: Annotated[bool, typer.Option("--by-relation", help="One row a relation.")] = False,
    seeds: SeedsOption = 0.3,
    mask_labels: MaskOption = False,
    changes: SetOption = None,
    threads: ThreadsOption = None,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Rank the target's held-out facts: MRR and Hits@k, covered and uncovered apart.

    With --task alignment COLLECTION: hold out links, look for them, and measure what is found.
    """
    with speaking():
        _check_task(context, task)
        use_threads(threads)
        if task == "alignment":
            evaluate_links(collection or model, seeds, mask_labels, changes or (), as_json=as_json)
            return
        if collection is None:
            raise UnknownNameError("evaluate takes a model and a collection; give both")
        sides, facts_filter = PROTOCOLS[protocol]
        trained = load_model(Path(model)).on(device)
        measured = run_evaluation(
            trained,
            read_collection(collection, trained.graph.graphs()),
            target=target,
            split=split,
            sides=sides,
            filters=[facts_filter],
            tie=tie,
            by=by,
        )
        rows = measured.by_relation() if by_relation else measured.rows()
        if as_json:
            print_json(rows)
        else:
            way = f"by {by or trained.answers_by}"
            title = f"{measured.graph.name}: {split} facts, {protocol}, {way}, in percent"
            out.print(quality_table(rows, title))


def _check_task(context: typer.Context, task: str) -> None:
    """Refuse options that another task than the one asked for would heed."""
    for option in context.command.params:
        given = context.get_parameter_source(option.name or "")
        for other, heeded in OPTIONS_OF_TASK.items():
            if other != task and option.name in heeded and given and given.name == "COMMANDLINE":
                raise KgraftError(
                    f"{option.opts[0]} says nothing about {task}. "
                    f"Leave it out, or ask for --task {other}."
                )


app.command()(predict)
app.command()(similar)
app.command()(explain)
app.command()(benchmark)
app.command()(synth)
app.command()(rules)
app.command()(report)
app.command()(export)
app.command()(serve)
