"""Both ends of a file's links: rows of their names, and advice where a graph has no such name."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.errors import DataError, KgraftWarning, describe
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.spelling import Spelling, differences
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.link_statements import many
from kgraft.io.tabular import LINE, whole_numbers
from kgraft.linking.links import LinkKind

Unknown = Literal["error", "skip"]
"""Treatment of links to unknown names."""

_FILES_SHOWN: Final = 3
_RARE: Final = 1000
"""Links for each with an unknown name, beyond which no better setting is looked for."""

_SIDES: Final = ("left", "right")
_NUMBER: Final = r"^\d+(\.0)?$"


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Links of a file to names that a graph does not have.

    Args:
        path: The file.
        kind: Kind of the links.
        total: Number of all links of the file.
        links: Int64 ``link``, counted from 0, String ``name``, the first that is unknown, and Int64
            ``line``, which may be null.
        remedy: The change by which most of them would match; None if none would.
    """

    path: Path
    kind: LinkKind
    total: int
    links: pl.DataFrame
    remedy: str | None = None


def warn_of_left_out(found: Sequence[LeftOut]) -> None:
    """Warn once of the links that were left out of one file or several.

    A file that is read for several pairs of graphs is to hold links of each: of it, those count
    that were left out for all.

    Warns:
        KgraftWarning: If there are any.
    """
    by_file: dict[tuple[Path, int], LeftOut] = {}
    for x in found:
        own = by_file.setdefault((x.path, x.total), x)
        links = own.links.join(x.links, on="link", how="semi", maintain_order="left")
        by_file[x.path, x.total] = replace(own, links=links, remedy=own.remedy or x.remedy)
    left = sorted((x for x in by_file.values() if len(x.links)), key=lambda x: -len(x.links))
    if not left:
        return
    first, *others = left
    whose = many(first.kind) if all(x.kind == first.kind for x in others) else "names"
    count, total = sum(len(x.links) for x in left), sum(x.total for x in left)
    where, line = f", as {first.links['name'][0]!r}, and were left out", first.links[LINE][0]
    if others:
        shown = [
            f"{len(x.links)} of {x.total} in {x.path}, as {x.links['name'][0]!r}"
            for x in left[:_FILES_SHOWN]
        ]
        more = f"; and of {len(left) - len(shown)} more files" * (len(left) > len(shown))
        where = f", and were left out: {'; '.join(shown)}{more}"
    warnings.warn(
        describe(
            f"{count} of {total} links name {whose} that their graph does not have{where}",
            remedy=first.remedy or "Give all facts and attributes, of the version that is linked",
            path=None if others else first.path,
            line=None if others else line,
        ),
        KgraftWarning,
        stacklevel=3,
    )


def vocabulary(graph: KnowledgeGraph, kind: LinkKind) -> Vocabulary:
    """Return the names that links of a kind join."""
    return graph.entities if kind == "entity" else graph.relations


class LinkEnds:
    """The two vocabularies that a file's links join.

    Args:
        path: The file.
        kind: Kind of the links.
        left: The graph of the first name.
        right: The graph of the second name.
        spelling: Comparison of names.
        either_order: The names of a link may be in the other order.
    """

    def __init__(
        self,
        path: Path,
        kind: LinkKind,
        left: KnowledgeGraph,
        right: KnowledgeGraph,
        *,
        spelling: Spelling = "exact",
        either_order: bool = False,
    ) -> None:
        self._path = path
        self._kind: LinkKind = kind
        self._graphs = (left, right)
        self._names = [vocabulary(graph, kind) for graph in self._graphs]
        self._spelling: Spelling = spelling
        self._either_order = either_order

    def know(self, names: pl.Series) -> pl.Series:
        """Mask the names that either graph has, Boolean ``(n,)``."""
        left, right = (graph.rows(names, self._kind) >= 0 for graph in self._graphs)
        return pl.Series(left | right)

    def numbered(self, frame: pl.DataFrame) -> NDArray[np.int64]:
        """Return pairs ``(n, 2)`` of row numbers."""
        columns = [
            whole_numbers(
                frame[side],
                path=self._path,
                role=f"{self._kind} of {graph.name}",
                limit=len(names),
                lines=frame[LINE],
            )
            for side, graph, names in zip(_SIDES, self._graphs, self._names, strict=True)
        ]
        # A listed name may mean another one.
        rows = [
            graph.rows(names.gather(column), self._kind)
            for graph, names, column in zip(self._graphs, self._names, columns, strict=True)
        ]
        return np.stack(rows, axis=1)

    def named(self, frame: pl.DataFrame) -> NDArray[np.int64]:
        """Return pairs ``(n, 2)`` of rows, -1 for an unknown name."""
        pairs = self._found(frame["left"], frame["right"])
        unsure = np.flatnonzero((pairs < 0).any(axis=1))
        if self._either_order and len(unsure):
            turned = self._found(frame["right"][unsure], frame["left"][unsure])
            better = (turned >= 0).sum(axis=1) > (pairs[unsure] >= 0).sum(axis=1)
            pairs[unsure[better]] = turned[better]
        return pairs

    def _found(self, *names: pl.Series) -> NDArray[np.int64]:
        rows = [
            graph.rows(column, self._kind, self._spelling)
            for graph, column in zip(self._graphs, names, strict=True)
        ]
        return np.stack(rows, axis=1)

    def left_out(self, frame: pl.DataFrame, pairs: NDArray[np.int64], unknown: Unknown) -> LeftOut:
        """Return the links to unknown names, or raise an error for the first one."""
        wrong = np.flatnonzero((pairs < 0).any(axis=1))
        if not len(wrong):
            rows = pl.DataFrame(schema={"link": pl.Int64, "name": pl.String, LINE: pl.Int64})
            return LeftOut(self._path, self._kind, len(pairs), rows)
        given = frame[wrong]
        is_rare = unknown == "skip" and len(wrong) * _RARE < len(pairs)
        remedy = None if is_rare else self._remedy(given)
        is_left = pl.Series(pairs[wrong, 0] < 0)
        names = given.select(pl.when(is_left).then("left").otherwise("right")).to_series()
        if unknown == "error":
            graph = self._graphs[0 if is_left[0] else 1]
            raise DataError(
                f"{graph.name!r} has no {self._kind} {names[0]!r}",
                remedy=(remedy or "Mend the name, give the facts or attributes that it has")
                + ', or set unknown = "skip" to leave such links out',
                path=self._path,
                line=given[LINE][0],
            )
        rows = pl.DataFrame({"link": wrong, "name": names, LINE: given[LINE]})
        return LeftOut(self._path, self._kind, len(pairs), rows, remedy)

    def _remedy(self, frame: pl.DataFrame) -> str | None:
        """Return the change by which most of some links with unknown names would match."""
        similar = self._matched_by(frame, spelling="normal")
        other: LinkKind = "relation" if self._kind == "entity" else "entity"
        remedies = [
            (
                similar,
                f'Set spelling = "normal", which ignores {self._difference(frame, similar)}',
            ),
            (
                self._matched_by(frame.rename({"left": "right", "right": "left"})),
                "Exchange left and right",
            ),
            (self._matched_by(frame, kind=other), f'Set kind = "{other}"'),
        ]
        matched, remedy = max(remedies, key=lambda remedy: int(remedy[0].sum()))
        if matched.any():
            return f"{remedy}: links match then, {matched.sum()} of these {len(frame)}"
        return self._contrast(frame)

    def _matched_by(
        self, frame: pl.DataFrame, *, kind: LinkKind | None = None, spelling: Spelling | None = None
    ) -> pl.Series:
        """Mask the links whose names are known under another setting, Boolean ``(n,)``."""
        ends = LinkEnds(
            self._path,
            kind or self._kind,
            *self._graphs,
            spelling=spelling or self._spelling,
            either_order=self._either_order,
        )
        return pl.Series(ends.named(frame).min(axis=1) >= 0)

    def _difference(self, frame: pl.DataFrame, similar: pl.Series) -> str:
        """Return how a name of the first similar link differs from the one that a graph has."""
        for left, right in frame.filter(similar).select(_SIDES).head(1).rows():
            pairs = [(left, right), (right, left)] if self._either_order else [(left, right)]
            for pair in pairs:
                names = [pl.Series([name]) for name in pair]
                for known, name in zip(self._names, names, strict=True):
                    row = int(known.rows_by_form(name)[0])
                    if row >= 0 and known.name(row) != name[0]:
                        found = differences(name[0], known.name(row))
                        return f"{' and '.join(found)} as in {known.name(row)!r}"
        return ""

    def _contrast(self, frame: pl.DataFrame) -> str | None:
        """Return advice where all names of a side are of another kind than those of its graph."""
        for side, graph, known in zip(_SIDES, self._graphs, self._names, strict=True):
            names = pl.concat([frame[x] for x in _SIDES]) if self._either_order else frame[side]
            if names.str.contains(_NUMBER).all() and not known.count_matching(_NUMBER):
                return f"Set ids = true if these are row numbers, as {graph.name!r} has names"
            are_iris = names.str.contains("://", literal=True)
            known_iris = known.count_matching("://", literal=True)
            if (are_iris.all() and not known_iris) or (
                known_iris == len(known) and not are_iris.any()
            ):
                return f"Write them as {graph.name!r} has them, such as {known.name(0)!r}"
        return None
