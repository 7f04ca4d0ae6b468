"""The verbs ``similar`` and ``explain``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from kgraft.cli.console import in_words, out, print_json
from kgraft.cli.options import ByOption, JsonOption, ModelArgument, NamesOption
from kgraft.inference.explain import explain as explain_fact
from kgraft.inference.explanation import Explanation
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
        for line in _lines(found):
            out.print(line, highlight=False, soft_wrap=True)


def _lines(found: Explanation) -> Iterator[str]:
    head, relation, tail = found.labels
    likely = "" if found.probability is None else f"probability {found.probability:.3f}, "
    yield f"{relation}({head}, {tail})"
    yield (
        f"  {likely}score {found.score:.3f} by {found.by}, "
        f"rank {found.rank:,} of {found.candidates:,} candidates"
    )
    if found.stated_by:
        yield "Copied from a linked source that states it:" if found.copied else "Stated by:"
        yield from (f"  {x.source}: {x.head} {x.relation} {x.tail}" for x in found.stated_by)
    if others := [x for x in found.supports if x not in found.stated_by]:
        yield "Facts of linked sources that support it:"
        yield from (f"  {x.source}: {x.labels[1]}({x.labels[0]}, {x.labels[2]})" for x in others)
    if found.rules:
        yield "Rules that infer it, and the score without each:"
    for rule in found.rules:
        yield f"  {rule.confidence:.2f}  {rule.rule}  ({rule.score_without:.3f})"
        if rule.facts:
            yield f"        because {in_words(rule.facts)}"
    if found.paths:
        yield "Paths that ask for the same, by the vectors:"
        yield from (f"  {path.weight:.2f}  {in_words(path.facts)}" for path in found.paths)
    if found.similar:
        yield "The most similar known facts:"
        yield from (f"  {x.similarity:.2f}  {in_words([x.fact])}" for x in found.similar)
    if (left := found.without) is not None:
        likely = "" if left.probability is None else f"probability {left.probability:.3f}, "
        yield f"Without the fact that supports it most ({left.text}):"
        yield f"  {likely}score {left.score:.3f}, rank {left.rank:,}"
    elif found.by == "vectors":
        yield (
            "Vectors have learned from all facts at once: without one of them, only re-training "
            "can tell what the score would be. Answers by both (--by both) also tell what each "
            "rule and statement adds, where the model has rules."
        )
