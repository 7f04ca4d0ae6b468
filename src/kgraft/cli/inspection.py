"""Tables and sentences of an inspection, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from kgraft.errors import counted
from kgraft.linking.inspection import Inspection, LinkReport
from kgraft.linking.joint_graph import LinkConflict
from kgraft.system.terminal import visible

CONFLICTS_SHOWN = 10
CORRESPONDENCES_SHOWN = 20


def show(found: Inspection, console: Console) -> None:
    """Print an inspection's tables and sentences."""
    console.print(
        f"{found.name}: {counted(len(found.sources), 'source')}, "
        f"{counted(found.joint_entities, 'entity')} and "
        + counted(found.joint_relations, "relation")
        + (" when joined" if len(found.sources) > 1 else "")
        + (f"; the target is {found.target}" if found.target else ""),
        markup=False,
        highlight=False,
    )
    console.print(_source_table(found))
    if found.links:
        console.print(_link_table(found))
    for line in remarks(found):
        console.print(line, markup=False, highlight=False)


def _source_table(found: Inspection) -> Table:
    table = Table(Column("source", overflow="fold"))
    for name in ("entities", "relations", "train", "valid", "test", "linked", "covered"):
        table.add_column(name, justify="right", no_wrap=True)
    for x in found.sources:
        counts = (x.entities, x.relations, x.train, x.valid, x.test)
        shares = (x.linked_share, x.covered_share)
        table.add_row(
            Text(visible(x.name)),
            *(f"{count:,}" for count in counts),
            *("-" if share is None else f"{100 * share:.1f}%" for share in shares),
        )
    return table


def _link_table(found: Inspection) -> Table:
    table = Table(*(Column(x, overflow="fold") for x in ("links between", "and")))
    for name in ("entities", "relations"):
        table.add_column(name, justify="right")
    for x in found.links:
        ends = Text(visible(x.left)), Text(visible(x.right))
        table.add_row(*ends, f"{x.entities:,}", f"{x.relations:,}")
    return table


def remarks(found: Inspection) -> Iterator[str]:
    """Yield what is to be said of a collection beside its tables."""
    yield (
        "linked: share of entities with a link; covered: share of test facts that another "
        "source's training facts state."
    )
    for source in found.sources:
        if oddities := source.oddities():
            yield f"{source.name} has {'; '.join(oddities)}."
    own = [x for x in found.correspondences if x.left == found.target]
    if own:
        yield (
            f"relations of {found.target} that correspond to those of other sources, by what both "
            f"state: {len(own):,} (training and coverage count them as one; "
            "relations.use = false in its settings leaves them apart)."
        )
    for pair in own[:CORRESPONDENCES_SHOWN]:
        yield f"  {pair.in_words()}"
    if len(own) > CORRESPONDENCES_SHOWN:
        more = len(own) - CORRESPONDENCES_SHOWN
        yield f"  and {more:,} more (--json lists them all)"
    yield f"links left out because of conflicts: {len(found.conflicts):,}."
    for conflict in found.conflicts[:CONFLICTS_SHOWN]:
        yield f"  {in_words(conflict)}"
    if len(found.conflicts) > CONFLICTS_SHOWN:
        yield f"  and {len(found.conflicts) - CONFLICTS_SHOWN:,} more (--json lists them all)"
    for x in found.links:
        yield from _unlinked(x)
        if x.example is not None:
            owner, name = x.example
            yield (
                f"links between {x.left} and {x.right} to entities without facts: "
                f"{x.without_facts:,}, as {name} of {owner}; such a link brings nothing. If "
                f"the name redirects to another, add [[links]] of {owner} with itfound."
            )


def _unlinked(x: LinkReport) -> Iterator[str]:
    """Yield sentences about names that two sources share, but no link joins."""
    in_both = f"in both {x.left} and {x.right} that no link joins"
    remedy = 'if the names mean the same, add [[links]] with match = "name"'
    if x.shared_names:
        yield f"names of entities {in_both}: {x.shared_names:,}; {remedy}."
    spelt = f'{in_both}, but for their spelling: %s; {remedy}%s and spelling = "normal".'
    if x.similar_names:
        yield "names of entities " + spelt % (f"{x.similar_names:,}", "")
    if x.similar_relations:
        yield "names of relations " + spelt % (f"{x.similar_relations:,}", ', kind = "relation"')


def in_words(conflict: LinkConflict) -> str:
    """Describe a conflict: the link, the entities that it would join, and the reason."""
    one, other = conflict.kept_apart
    left, right = (f"{source}:{name}" for source, name in (conflict.left, conflict.right))
    why = (
        "better supported links decide against it"
        if conflict.reason == "confidence"
        else "it contradicts links as sure as itself, which were left out too"
    )
    if one == other:
        return f"{left} = {right} (confidence {conflict.confidence:g}): {why}"
    return (
        f"{left} = {right} (confidence {conflict.confidence:g}) would join {one} and {other}, two "
        f"of {conflict.source}: {why}"
    )
