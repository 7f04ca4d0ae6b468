"""Collections: graphs, the links between them, and a target."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from kgraft.errors import DataError, KgraftWarning, UnknownNameError, counted, describe
from kgraft.graph.knowledge_graph import SPLITS, KnowledgeGraph
from kgraft.linking.identity_links import identity_links, without_known
from kgraft.linking.joint_graph import JointGraph
from kgraft.linking.links import Links
from kgraft.system.tables import html_table
from kgraft.system.terminal import visible

MAX_SOURCES = 256
"""The most graphs of a collection, whose pairs are looked at one by one."""


@dataclass(frozen=True, eq=False)
class Collection:
    """Graphs and the links between them.

    Args:
        name: Its name.
        graphs: The graphs by their names.
        links: Links between them.
        target: The graph to train for, where one is chosen.
        description: A description for people to read.
        joined: The join of its backgrounds by its links, where it is prepared.
    """

    name: str
    graphs: Mapping[str, KnowledgeGraph]
    links: tuple[Links, ...] = ()
    target: str | None = None
    description: str = ""
    joined: JointGraph | None = None

    def __post_init__(self) -> None:
        if self.target is not None and self.target not in self.graphs:
            known = ", ".join(self.graphs)
            raise UnknownNameError(f"no source is called {self.target!r}; there are {known}")
        check_number(len(self.graphs))

    def __repr__(self) -> str:
        target = "" if self.target is None else f", target {self.target}"
        lines = [visible(f"<Collection {self.name}: {counted(len(self.graphs), 'graph')}{target}")]
        lines += map(repr, (*self.graphs.values(), *self.links))
        return "\n  ".join(lines) + ">"

    def _repr_html_(self) -> str:
        graphs = [
            {
                "graph": x.name,
                "entities": len(x.entities),
                "relations": len(x.relations),
                **{split: len(getattr(x, split)) for split in SPLITS},
            }
            for x in self.graphs.values()
        ]
        links = [
            {"links of": x.left, "and": x.right, "kind": x.kind, "links": len(x)}
            for x in self.links
        ]
        caption = f"Collection {self.name}"
        if self.target is not None:
            caption += f", target {self.target}"
        return html_table(pl.DataFrame(graphs), caption) + html_table(pl.DataFrame(links))

    def with_target(self, target: str | None) -> Collection:
        """Return the collection with another target; ``None`` keeps the one it has.

        Raises:
            UnknownNameError: If no source has that name.

        Warns:
            KgraftWarning: If the other target has no link, so that it can only train alone.
        """
        if target is None or target == self.target:
            return self
        changed = replace(self, target=target)
        changed.warn_if_alone()
        return changed

    @property
    def target_graph(self) -> KnowledgeGraph:
        """The graph to train for: the one that is chosen, or the only one.

        Raises:
            UnknownNameError: If none of several is chosen.
        """
        if self.target is None and len(self.graphs) == 1:
            return next(iter(self.graphs.values()))
        if self.target is None:
            known = ", ".join(self.graphs)
            raise UnknownNameError(f"{self.name} names no target; choose one of {known}")
        return self.graphs[self.target]

    def backgrounds(self) -> list[str]:
        """Return the names of all graphs but the target, in their order."""
        return sorted(name for name in self.graphs if name != self.target)

    def warn_if_alone(self, path: Path | None = None, line: int | None = None) -> None:
        """Warn if the target has no link to the other graphs; the place is where it was named."""
        if self.target is None or not self.backgrounds():
            return
        if any(len(x) and x.joins(self.target) for x in self.links):
            return
        warnings.warn(
            describe(
                f"the target {self.target!r} has no links",
                remedy="kgraft graft finds some while it trains, and kgraft align before; or give "
                "them, or train it alone: kgraft train --alone",
                path=path,
                line=line,
            ),
            KgraftWarning,
            stacklevel=3,
        )


def check_number(sources: int, path: Path | None = None) -> None:
    """Refuse more sources than a collection may have.

    Raises:
        DataError: If there are more than ``MAX_SOURCES``.
    """
    if sources > MAX_SOURCES:
        raise DataError(
            f"there are {sources:,} sources, and {MAX_SOURCES} are the most",
            remedy="Make one source of several graphs: train takes a list of files",
            path=path,
        )


def collect(
    graphs: Iterable[KnowledgeGraph],
    links: Sequence[Links] = (),
    *,
    target: str | None = None,
    name: str = "collection",
    description: str = "",
) -> Collection:
    """Make a collection of graphs in memory, with further links that the graphs state themselves.

    Raises:
        DataError: If two graphs have one name, or links join a graph, or a row of one, that is
            not there.
        UnknownNameError: If the target is not among the graphs.

    Warns:
        KgraftWarning: If the target has no link, so that it can only train alone.
    """
    by_name: dict[str, KnowledgeGraph] = {}
    for graph in graphs:
        if graph.name in by_name:
            raise DataError(
                f"two sources are called {graph.name!r}", remedy="Give each a name of its own"
            )
        by_name[graph.name] = graph
    for x in links:
        _check_ends(x, by_name)
    stated = without_known(identity_links(list(by_name.values())).links, links)
    collection = Collection(name, by_name, (*links, *stated), target, description)
    collection.warn_if_alone()
    return collection


def _check_ends(links: Links, graphs: Mapping[str, KnowledgeGraph]) -> None:
    for end, rows in zip((links.left, links.right), links.pairs.T, strict=True):
        if end not in graphs:
            raise DataError(
                f"links join {end!r}, which is no source", remedy="Name one of " + ", ".join(graphs)
            )
        known = graphs[end].entities if links.kind == "entity" else graphs[end].relations
        if rows.size and (rows.min() < 0 or rows.max() >= len(known)):
            raise DataError(
                f"{links.kind} links of {links.left!r} and {links.right!r} have a row of {end!r} "
                f"outside 0 to {len(known) - 1}",
                remedy="Make the links from the graphs that they are given with",
            )
