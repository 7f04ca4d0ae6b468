"""A collection: the graphs, the links between them, and the target, read from one place."""

from __future__ import annotations

import re
import tomllib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from kgraft.config import explain
from kgraft.errors import DataError, KgraftWarning, UnknownNameError, describe
from kgraft.files import open_bytes
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

        Warns:
            KgraftWarning: If the other target has no link, so that it can only train alone.
        """
        if target is None or target == self.target:
            return self
        changed = replace(self, target=target)
        changed._warn_if_alone()
        return changed

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

    def _warn_if_alone(self, path: Path | None = None, line: int | None = None) -> None:
        if self.target is None or any(len(x) and x.joins(self.target) for x in self.links):
            return
        warnings.warn(
            describe(
                f"the target {self.target!r} has no links",
                remedy="It trains alone; give links to another source for more",
                path=path,
                line=line,
            ),
            KgraftWarning,
            stacklevel=3,
        )


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
    collection = Collection(name, by_name, tuple(links), target, description)
    collection._warn_if_alone()
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


def read_collection(path: str | Path) -> Collection:
    """Read a collection.

    Args:
        path: A TOML file, a directory that holds a ``collection.toml``, a directory in the DBP-5L
            layout, or the name of an embedded collection, unless a file has that name: ``world``.

    Raises:
        DataError: If something cannot be read; the message names file, line and remedy, and in a
            TOML file the key.

    Warns:
        KgraftWarning: If the target has no link, so that it can only train alone, and of all that
            was left out on reading.
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


def _numbered(tables: Any) -> Any:
    """Number tables from 1, as people count them, so that errors name them so."""
    if not isinstance(tables, list):
        raise ValueError("write it as tables in two brackets, as [[source]] or [[links]]")
    return dict(enumerate(tables, start=1))


_Table = TypeVar("_Table")
_Numbered = Annotated[dict[int, _Table], BeforeValidator(_numbered)]


class _CollectionFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    description: str = ""
    target: str | None = None
    source: _Numbered[GraphSource] = Field(min_length=1)
    links: _Numbered[_LinkSource] = Field(default_factory=dict)


def _read_toml(path: Path) -> Collection:
    text = _text(path)
    described = _described(path, text)
    _check_names(path, text, described)
    sources = [_placed(source, path.parent) for source in described.source.values()]
    graphs = {source.name: read_graph(source) for source in sources}
    collection = collect(
        graphs.values(),
        [link.read(path.parent, graphs) for link in described.links.values()],
        name=described.name or path.parent.resolve().name,
        description=described.description,
    )
    collection = replace(collection, target=described.target)
    collection._warn_if_alone(path, _line_of(text, "target"))
    return collection


def _text(path: Path) -> str:
    with open_bytes(path) as stream:
        content = stream.read()
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise DataError(
            "the line is not UTF-8",
            remedy="Convert the file to UTF-8, for example with iconv",
            path=path,
            line=content.count(b"\n", 0, error.start) + 1,
        ) from error


def _described(path: Path, text: str) -> _CollectionFile:
    try:
        return _CollectionFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at (?:line (\d+), .*|end of document)\)$", str(error))
        what = str(error)[: place.start()] if place else str(error)
        raise DataError(
            f"not well-formed TOML ({what[:1].lower()}{what[1:]})",
            remedy="Texts stand in quotes, tables as [[source]] and [[links]]",
            path=path,
            line=int(place[1]) if place and place[1] else text.count("\n") + 1,
        ) from error
    except ValidationError as error:
        key, *rest = error.errors()[0]["loc"]
        raise DataError(
            explain(error),
            remedy="Mend these keys; tables of one name are counted from 1",
            path=path,
            line=_line_of(text, str(key), *[x for x in rest[:1] if isinstance(x, int)]),
        ) from error


def _check_names(path: Path, text: str, described: _CollectionFile) -> None:
    """Check that sources have distinct names, and that links and target name some of them."""
    names: list[str] = []
    for number, source in described.source.items():
        if source.name in names:
            raise DataError(
                f"source.{number}.name: two sources are called {source.name!r}",
                remedy="Give each a name of its own",
                path=path,
                line=_line_of(text, "source", number),
            )
        names.append(source.name)
    remedy = "Name one of " + ", ".join(names)
    for number, link in described.links.items():
        for end in ("left", "right"):
            if (name := getattr(link, end)) not in names:
                raise DataError(
                    f"links.{number}.{end}: no source is called {name!r}",
                    remedy=remedy,
                    path=path,
                    line=_line_of(text, "links", number),
                )
    if described.target is not None and described.target not in names:
        raise DataError(
            f"target: no source is called {described.target!r}",
            remedy=remedy,
            path=path,
            line=_line_of(text, "target"),
        )


def _line_of(text: str, key: str, number: int | None = None) -> int | None:
    """Return the line of a key, or of the ``number``-th ``[[key]]``; None if there is no such."""
    # tomllib keeps no positions; it is the start of a line by which people write both.
    name = re.escape(key)
    start = rf"{name}\s*=|\[\s*{name}\s*\]" if number is None else rf"\[\[\s*{name}\s*\]\]"
    lines = [n for n, line in enumerate(text.split("\n"), 1) if re.match(rf"\s*(?:{start})", line)]
    place = (number or 1) - 1
    return lines[place] if place < len(lines) else None


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
