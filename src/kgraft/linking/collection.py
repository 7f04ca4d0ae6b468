"""A collection: the graphs, the links between them, and the target, read from one place."""

from __future__ import annotations

import tomllib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kgraft.config import explain
from kgraft.errors import DataError, KgraftWarning, UnknownNameError, describe
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.layout import is_layout, layout_links, read_layout
from kgraft.graph.read import read_graph
from kgraft.graph.source import GraphSource
from kgraft.linking.links import LinkKind, Links
from kgraft.linking.read_links import LinkFormat, links_by_name, read_links

EMBEDDED = ("world",)
"""Collections that come with kgraft."""

COLLECTION_FILE = "collection.toml"


@dataclass(frozen=True, eq=False)
class Collection:
    """Graphs and the links between them.

    Args:
        name: What people call it.
        graphs: The graphs by their names.
        links: Links between them.
        target: The graph that a student is for, where one is chosen.
        description: What it is, for people to read.
    """

    name: str
    graphs: Mapping[str, KnowledgeGraph]
    links: tuple[Links, ...] = ()
    target: str | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if self.target is not None and self.target not in self.graphs:
            known = ", ".join(self.graphs)
            raise UnknownNameError(f"no source is called {self.target!r}; there are {known}")

    def with_target(self, target: str | None) -> Collection:
        """Return the collection with another target; ``None`` keeps the one it has.

        Raises:
            UnknownNameError: If no source has that name.
        """
        return self if target is None else replace(self, target=target)

    @property
    def target_graph(self) -> KnowledgeGraph:
        """The graph that a student is for.

        Raises:
            UnknownNameError: If none is chosen.
        """
        if self.target is None:
            known = ", ".join(self.graphs)
            raise UnknownNameError(f"{self.name} names no target; choose one of {known}")
        return self.graphs[self.target]

    def backgrounds(self) -> list[str]:
        """Return the names of all graphs but the target."""
        return [name for name in self.graphs if name != self.target]


def collect(
    graphs: Iterable[KnowledgeGraph],
    links: Sequence[Links] = (),
    *,
    target: str | None = None,
    name: str = "collection",
    description: str = "",
) -> Collection:
    """Make a collection of graphs in memory.

    Raises:
        DataError: If two graphs have one name, or links join a graph that is not there.
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
        for end in (x.left, x.right):
            if end not in by_name:
                raise DataError(
                    f"links join {end!r}, which is no source",
                    remedy="Name one of " + ", ".join(by_name),
                )
    collection = Collection(name, by_name, tuple(links), target, description)
    if target is not None and not any(len(x) and x.joins(target) for x in links):
        warnings.warn(
            describe(
                f"the target {target!r} has no links",
                remedy="It trains alone; give links to another source for more",
            ),
            KgraftWarning,
            stacklevel=2,
        )
    return collection


def read_collection(path: str | Path) -> Collection:
    """Read a collection.

    Args:
        path: A TOML file, a directory that holds a ``collection.toml``, a directory in the DBP-5L
            layout, or the name of an embedded collection: ``world``.

    Raises:
        DataError: If something cannot be read; the message names file, line or key, and remedy.
    """
    place = Path(path)
    if not place.exists() and str(path) in EMBEDDED:
        place = Path(str(files("kgraft") / "data" / str(path)))
    if not place.exists():
        raise DataError(
            "there is no such file or directory",
            remedy="Name a collection.toml, a directory in the DBP-5L layout, or "
            + ", ".join(EMBEDDED),
            path=place,
        )
    if place.is_file():
        return _read_toml(place)
    if (place / COLLECTION_FILE).is_file():
        return _read_toml(place / COLLECTION_FILE)
    if is_layout(place):
        return _read_directory(place)
    raise DataError(
        f"this directory holds neither a {COLLECTION_FILE} nor kg/XX-train.tsv",
        remedy="Name a collection.toml, or a directory in the DBP-5L layout",
        path=place,
    )


def _read_directory(directory: Path) -> Collection:
    graphs = read_layout(directory)
    links = [
        read_links(path, graphs[left], graphs[right], ids=True)
        for left, right, path in layout_links(directory)
    ]
    return collect(graphs.values(), links, name=directory.resolve().name)


class _LinkSource(BaseModel):
    """One ``[[links]]`` table: links from a file, or between entities of the same name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    left: str
    right: str
    path: Path | None = None
    match: Literal["name"] | None = None
    kind: LinkKind = "entity"
    format: LinkFormat = "auto"
    ids: bool = False
    confidence: float = Field(1.0, gt=0, le=1)
    unknown: Literal["error", "skip"] = "error"

    @model_validator(mode="after")
    def _one_origin(self) -> _LinkSource:
        if (self.path is None) == (self.match is None):
            raise ValueError("give either path or match")
        if self.left == self.right:
            raise ValueError(f"links join two sources, not {self.left!r} with itself")
        return self

    def read(self, directory: Path, graphs: Mapping[str, KnowledgeGraph]) -> Links:
        left, right = graphs[self.left], graphs[self.right]
        if self.path is None:
            return links_by_name(left, right, kind=self.kind, confidence=self.confidence)
        return read_links(
            directory / self.path,
            left,
            right,
            kind=self.kind,
            format=self.format,
            ids=self.ids,
            confidence=self.confidence,
            unknown=self.unknown,
        )


class _CollectionFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    description: str = ""
    target: str | None = None
    source: tuple[GraphSource, ...] = Field(min_length=1)
    links: tuple[_LinkSource, ...] = ()


def _read_toml(path: Path) -> Collection:
    described = _checked(path, _parsed(path))
    names = [source.name for source in described.source]
    for name in names:
        if names.count(name) > 1:
            raise DataError(
                f"two sources are called {name!r}", remedy="Give each its own name", path=path
            )
    for number, link in enumerate(described.links, start=1):
        for end in (link.left, link.right):
            if end not in names:
                raise DataError(
                    f"links {number} join {end!r}, which is no source",
                    remedy="Name one of " + ", ".join(names),
                    path=path,
                )
    if described.target is not None and described.target not in names:
        raise DataError(
            f"the target {described.target!r} is no source",
            remedy="Name one of " + ", ".join(names),
            path=path,
        )
    graphs = {source.name: read_graph(_placed(source, path.parent)) for source in described.source}
    links = [link.read(path.parent, graphs) for link in described.links]
    return collect(
        graphs.values(),
        links,
        target=described.target,
        name=described.name or path.parent.resolve().name,
        description=described.description,
    )


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(
            f"this is no readable TOML ({error})",
            remedy="Mend that place; the README shows a collection",
            path=path,
        ) from error


def _checked(path: Path, values: dict[str, Any]) -> _CollectionFile:
    try:
        return _CollectionFile.model_validate(values)
    except ValidationError as error:
        raise DataError(
            explain(error), remedy="Mend these keys; the README shows a collection", path=path
        ) from error


def _placed(source: GraphSource, directory: Path) -> GraphSource:
    """Return the source with its paths taken from the directory of the collection file."""

    def many(paths: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(directory / path for path in paths)

    def one(path: Path | None) -> Path | None:
        return None if path is None else directory / path

    changes = {name: many(getattr(source, name)) for name in ("train", "valid", "test")}
    files_of_names = {
        name: one(getattr(source, name)) for name in ("entities", "relations", "labels")
    }
    return source.model_copy(update={**changes, **files_of_names})
