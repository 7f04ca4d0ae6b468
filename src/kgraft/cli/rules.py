"""The command ``rules``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from kgraft.cli.console import print_json, say
from kgraft.cli.options import JsonOption, ModelArgument
from kgraft.errors import counted
from kgraft.system.messages import report_errors
from kgraft.system.terminal import visible


def rules(
    model: ModelArgument,
    relation: Annotated[
        str | None,
        typer.Option("--relation", "-r", help="Relation that they infer; by default any."),
    ] = None,
    k: Annotated[int, typer.Option("--top", "-k", min=1, help="Maximum number of rules.")] = 20,
    n_examples: Annotated[
        int, typer.Option("--examples", min=0, help="Examples of each rule, with their sources.")
    ] = 1,
    as_json: JsonOption = False,
) -> None:
    """Show a model's most confident rules in words, with examples and their sources."""
    with report_errors():
        from dataclasses import asdict

        from kgraft.inference.names import stated
        from kgraft.inference.rules import rules as readable_rules
        from kgraft.model.directory import load_model

        found = readable_rules(load_model(model), relation=relation, k=k, n_examples=n_examples)
        if as_json:
            print_json([asdict(rule) for rule in found])
            return
        for rule in found:
            explains = (f"explains {counted(rule.support, 'fact')}", "dim")
            line = Text.assemble(
                (f"{rule.confidence:.2f}", "bold"), f"  {visible(rule.text)}  ", explains
            )
            say(line)
            for head, *body in rule.examples:
                text = f"      {stated([head])} because {stated(body)}"
                say(text)
