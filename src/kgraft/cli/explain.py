"""The commands ``similar`` and ``explain``."""

from __future__ import annotations

from typing import Annotated

import typer

from kgraft.cli.console import out, print_json, say, table
from kgraft.cli.options import ByOption, JsonOption, ModelArgument, NamesOption
from kgraft.system.messages import report_errors


def similar(
    model: ModelArgument,
    entity: Annotated[
        str, typer.Argument(metavar="ENTITY", help="Name or label.", show_default=False)
    ],
    source: NamesOption = None,
    k: Annotated[int, typer.Option("--top", "-k", min=1, help="Maximum number of entities.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Show the entities whose vectors are the most similar to an entity's."""
    with report_errors():
        from dataclasses import asdict

        from kgraft.inference.similar import similar as similar_entities
        from kgraft.model.directory import load_model

        found = similar_entities(load_model(model), entity, source=source, k=k)
        if as_json:
            print_json([asdict(neighbour) for neighbour in found])
            return
        shown = table("", "entity", "similarity", "in", figures=("", "similarity"))
        for place, x in enumerate(found, start=1):
            shown.add_row(str(place), x.label, f"{x.similarity:.3f}", ", ".join(x.sources))
        out.print(shown)


def explain(
    model: ModelArgument,
    head: Annotated[str, typer.Argument(metavar="HEAD", help="Name or label.", show_default=False)],
    relation: Annotated[str, typer.Argument(metavar="RELATION", help="Name.", show_default=False)],
    tail: Annotated[str, typer.Argument(metavar="TAIL", help="Name or label.", show_default=False)],
    source: NamesOption = None,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain a fact: the sources that state it, rules that infer it, and similar facts."""
    with report_errors():
        from dataclasses import asdict

        from kgraft.inference.explain import explain as explain_fact
        from kgraft.model.directory import load_model

        found = explain_fact(load_model(model), head, relation, tail, source=source, by=by)
        if as_json:
            print_json(asdict(found))
            return
        for line in str(found).split("\n"):
            say(line)
