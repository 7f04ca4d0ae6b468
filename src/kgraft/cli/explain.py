"""The verbs ``similar`` and ``explain``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from kgraft.cli.console import out, print_json
from kgraft.cli.options import ByOption, JsonOption, ModelArgument, NamesOption
from kgraft.inference.explain import explain as explain_fact
from kgraft.inference.similar import similar as similar_entities
from kgraft.model.directory import load_model
from kgraft.system.messages import speaking


def similar(
    model: ModelArgument,
    entity: Annotated[
        str, typer.Argument(metavar="ENTITY", help="Name or label.", show_default=False)
    ],
    source: NamesOption = None,
    k: Annotated[int, typer.Option("--top", "-k", min=1, help="The most entities.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Show the entities whose vectors are the most like an entity's."""
    with speaking():
        found = similar_entities(load_model(model), entity, source=source, k=k)
        if as_json:
            print_json([asdict(neighbour) for neighbour in found])
            return
        table = Table("", "entity", "similarity", "in")
        for place, x in enumerate(found, start=1):
            table.add_row(str(place), x.label, f"{x.similarity:.3f}", ", ".join(x.sources))
        out.print(table)


def explain(
    model: ModelArgument,
    head: Annotated[str, typer.Argument(metavar="HEAD", help="Name or label.", show_default=False)],
    relation: Annotated[str, typer.Argument(metavar="RELATION", help="Name.", show_default=False)],
    tail: Annotated[str, typer.Argument(metavar="TAIL", help="Name or label.", show_default=False)],
    source: NamesOption = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain a fact: who states it, what rules infer it from, and what is like it."""
    with speaking():
        found = explain_fact(load_model(model), head, relation, tail, source=source, by=by)
        if as_json:
            print_json(asdict(found))
            return
        for line in str(found).splitlines():
            out.print(line, highlight=False, soft_wrap=True)
