"""The command ``kgraft``: its options, and its commands by what they are for.

Modules of commands import what they need when a command runs, so that ``kgraft --help``, completion
and a mistyped command need not wait for PyTorch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from kgraft.cli import teacher

COMMANDS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Start": {
        "demo": ("kgraft.cli.demo:demo", "kgraft demo"),
        "fetch": (
            "kgraft.cli.fetch:fetch",
            "kgraft fetch https://example.org/sparql -o theirs.nt",
        ),
        "init": ("kgraft.cli.init:init", "kgraft init mine.tsv other.nt same.tsv"),
        "inspect": ("kgraft.cli.inspect:inspect", "kgraft inspect collection.toml"),
        "prepare": ("kgraft.cli.prepare:prepare", "kgraft prepare collection.toml -o prepared"),
        "settings": ("kgraft.cli.settings:settings", "kgraft settings --command train > my.toml"),
    },
    "Train": {
        "graft": ("kgraft.cli.graft:graft", "kgraft graft mine.ttl --onto teacher -o student"),
        "pretrain": ("kgraft.cli.pretrain:pretrain", "kgraft pretrain collection.toml -o teacher"),
        "retrain": (
            "kgraft.cli.training:retrain",
            "kgraft retrain collection.toml --teacher teacher -o student --set model.width=100",
        ),
        "retrain-many": (
            "kgraft.cli.retrain_many:retrain_many",
            "kgraft retrain-many targets.toml --teacher teacher -o students --workers 2",
        ),
        "train": ("kgraft.cli.training:train", "kgraft train collection.toml --alone -o model"),
    },
    "Use a model": {
        "predict": (
            "kgraft.cli.predict:predict",
            'kgraft predict student --head "Blue Lamp" --relation madeOf',
        ),
        "ask": (
            "kgraft.cli.ask:ask",
            "kgraft ask student 'SELECT ?x WHERE { ?x :borders :Syria ; :languages :Arabic }'",
        ),
        "questions": (
            "kgraft.cli.questions:questions",
            "kgraft questions student examples.tsv",
        ),
        "complete": (
            "kgraft.cli.complete:complete",
            "kgraft complete student -o new.parquet --least 0.9",
        ),
        "explain": (
            "kgraft.cli.explain:explain",
            'kgraft explain student "Blue Lamp" madeOf glass',
        ),
        "check": ("kgraft.cli.check:check", "kgraft check student -o suspects.tsv"),
        "similar": ("kgraft.cli.explain:similar", 'kgraft similar student "Blue Lamp"'),
        "rules": ("kgraft.cli.rules:rules", "kgraft rules student --relation madeOf"),
        "evaluate": (
            "kgraft.cli.evaluate:evaluate",
            "kgraft evaluate student collection.toml --by-relation",
        ),
    },
    "Links": {
        "align": ("kgraft.cli.alignment:align", "kgraft align collection.toml -o found"),
        "audit": ("kgraft.cli.alignment:audit", "kgraft audit collection.toml -o clean"),
        "evaluate-links": (
            "kgraft_experiments.commands.evaluate_links:evaluate_links",
            "kgraft evaluate-links collection.toml --given 0.3",
        ),
    },
    "Share": {
        "report": ("kgraft.cli.report:report", "kgraft report student collection.toml"),
        "export": ("kgraft.cli.export:export", "kgraft export student -o vectors.parquet"),
        "serve": ("kgraft.cli.serve:serve", "kgraft serve student --port 8000"),
        "mcp": ("kgraft.cli.mcp:mcp", "kgraft mcp student"),
    },
    "Experiments": {
        "benchmark": (
            "kgraft_experiments.commands.benchmark:benchmark",
            "kgraft benchmark collection.toml -o results --widths 64,200",
        ),
        "tune": (
            "kgraft_experiments.commands.tune:tune",
            "kgraft tune collection.toml --teacher teacher -o tuned --trials 30",
        ),
        "synth": (
            "kgraft_experiments.commands.synth:synth",
            "kgraft synth -o made --set target.entities=500",
        ),
    },
}
"""The function of each command, by its panel and name, and an example of its use."""

EXIT_STATUS = (
    "Exit status: 0 done; 1 failed, the message says why; 2 wrong usage; 130 stopped by Ctrl-C "
    "and 143 by SIGTERM, the message says how to go on."
)


class _Group(TyperGroup):
    """A group whose flags, also those of Typer, are false by default, not None.

    Typer loads pydantic to convert None, also for a command that does not exist. The arguments are
    kept, for commands that start themselves in other processes.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.obj = [*args]
        for parameter in self.get_params(ctx):
            parameter.default = parameter.default or False
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Group,
    help="Graft the knowledge of linked knowledge graphs onto your own.",
    epilog=EXIT_STATUS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"kgraft {version('kgraft')}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show results, warnings and errors only.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log also what helps to find a fault.")
    ] = False,
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    if quiet and verbose:
        raise typer.BadParameter("give one of them", param_hint="--quiet, --verbose")
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    context.with_resource(_logging(level))


@contextmanager
def _logging(level: int) -> Iterator[None]:
    """Let the logger ``kgraft`` write to standard error from a level on."""
    logger, handler = logging.getLogger("kgraft"), logging.StreamHandler()
    earlier = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    try:
        yield
    finally:
        logger.setLevel(earlier[0])
        logger.propagate = earlier[1]
        logger.removeHandler(handler)


for _panel, _commands in COMMANDS.items():
    for _name, (_place, _example) in _commands.items():
        _module, _, _function = _place.partition(":")
        app.command(_name, rich_help_panel=_panel, epilog=f"Example: {_example}")(
            getattr(import_module(_module), _function)
        )
app.add_typer(teacher.app, name="teacher", rich_help_panel="Train")
