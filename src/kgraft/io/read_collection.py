"""Read a collection from a TOML file, a graph's file, a directory, or kgraft itself."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import polars as pl
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.spelling import Spelling
from kgraft.io.dataset_layout import is_layout, layout_links, read_layout
from kgraft.io.link_ends import Unknown
from kgraft.io.read_graph import ENDINGS, read_graph
from kgraft.io.read_links import (
    LinkFormat,
    check_redirects,
    links_by_name,
    read_links,
    read_redirects,
)
from kgraft.io.source import GraphSource, Malformed, Split
from kgraft.linking.collection import Collection, collect
from kgraft.linking.identity_links import identity_links
from kgraft.linking.links import LinkKind, Links
from kgraft.system.files import compression_of, content_ending, read_text
from kgraft.system.forks import require_threads
from kgraft.toml_settings import explain, parse_toml

EMBEDDED = ("world",)
"""Collections in the package."""

COLLECTION_FILE = "collection.toml"


def read_collection(
    path: str | Path, known: Mapping[str, KnowledgeGraph] | None = None
) -> Collection:
    """Read a collection.

    Args:
        path: A TOML file, a directory that holds a ``collection.toml``, a directory in the DBP-5L
            layout, or the name of an embedded collection, unless a file has that name: ``world``.
            A file of facts is a collection of one graph with the file's name, of which a tenth of
            the facts each is drawn for validation and test (``Split``).
        known: Graphs that the links of a TOML file may name though it does not list them, as the
            sources of a teacher (``teacher.graph.graphs()``); those that are named come along.

    Raises:
        DataError: If something cannot be read; the message names file, line and remedy, and in a
            TOML file the key.

    Warns:
        KgraftWarning: If the target has no link, so that it can only train alone, and of all that
            was left out on reading.
    """
    require_threads()
    return _read(Path(path), known or {}, ())


def _read(place: Path, known: Mapping[str, KnowledgeGraph], above: tuple[str, ...]) -> Collection:
    """Read a collection, which is the base of those in the files ``above``, the nearest last."""
    if not _exists(place) and str(place) in EMBEDDED:
        place = Path(str(files("kgraft") / "data" / str(place)))
    if not _exists(place):
        raise DataError(
            "there is no such file or directory",
            remedy="Name a collection.toml, a file of facts, a directory in the DBP-5L layout, or "
            + ", ".join(EMBEDDED),
            path=place,
        )
    if content_ending(place) in ENDINGS and not place.is_dir():
        graph = read_graph(GraphSource(name=graph_name(place), train=(place,), split=Split()))
        return collect([graph], name=graph.name)
    if place.is_file():
        return _read_toml(place, known, above)
    if (place / COLLECTION_FILE).is_file():
        return _read_toml(place / COLLECTION_FILE, known, above)
    if is_layout(place):
        return _read_directory(place)
    raise DataError(
        f"this directory holds neither a {COLLECTION_FILE} nor kg/XX-train.tsv",
        remedy="Name a collection.toml, a file of facts, or a directory in the DBP-5L layout",
        path=place,
    )


def graph_name(file: Path) -> str:
    """Return a file's name without its ending and one of compression."""
    return Path(file.stem).stem if compression_of(file) else file.stem


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
    unknown: Unknown = "error"
    malformed: Malformed = "error"
    spelling: Spelling = "exact"

    @model_validator(mode="after")
    def _one_origin(self) -> _LinkSource:
        if (self.path is None) == (self.match is None):
            raise ValueError("give either path or match")
        if self.is_inside and (self.path is None or self.ids):
            raise ValueError(
                f"links of {self.left!r} with itself are redirects: give a path to pairs of names"
            )
        return self

    @property
    def is_inside(self) -> bool:
        """True for links of a source with itself: redirects."""
        return self.left == self.right

    def read_redirects(self, directory: Path) -> pl.DataFrame:
        assert self.path is not None  # noqa: S101 (checked above)
        return read_redirects(
            directory / self.path, kind=self.kind, format=self.format, malformed=self.malformed
        )

    def read(self, directory: Path, graphs: Mapping[str, KnowledgeGraph]) -> Links:
        left, right = graphs[self.left], graphs[self.right]
        if self.path is None:
            return links_by_name(
                left,
                right,
                kind=self.kind,
                confidence=self.confidence,
                spelling=self.spelling,
            )
        return read_links(
            directory / self.path,
            left,
            right,
            kind=self.kind,
            format=self.format,
            ids=self.ids,
            confidence=self.confidence,
            unknown=self.unknown,
            malformed=self.malformed,
            spelling=self.spelling,
        )


def _numbered(tables: Any) -> Any:
    """Number tables from 1, for error messages."""
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
    base: Path | None = None
    base_links: bool = True
    source: _Numbered[GraphSource] = Field(default_factory=dict)
    links: _Numbered[_LinkSource] = Field(default_factory=dict)


def _read_toml(
    path: Path, known: Mapping[str, KnowledgeGraph], above: tuple[str, ...]
) -> Collection:
    text = read_text(path).replace("\r\n", "\n")
    described = _described(path, text)
    base = _read_base(path, text, described, known, above)
    if not described.base_links:
        base = replace(base, graphs={x.name: _silent(x) for x in base.graphs.values()})
    _check_names(path, text, described, known, base)
    sources = [_placed(source, path.parent) for source in described.source.values()]
    inside = [link for link in described.links.values() if link.is_inside]
    between = [link for link in described.links.values() if not link.is_inside]
    graphs = dict(base.graphs) | _read_graphs(sources, inside, path.parent)
    linked = {end for link in between for end in (link.left, link.right)}
    linked |= _linked_by_identity(graphs, known)
    graphs |= {name: known[name] for name in known if name in linked - graphs.keys()}
    links = [link.read(path.parent, graphs) for link in between]
    if described.base_links:
        links = [*base.links, *links]
    collection = collect(
        graphs.values(),
        links,
        name=described.name or base.name or path.parent.resolve().name,
        description=described.description or base.description,
    )
    target = described.target or base.target
    if target is None and len(sources) == 1 and len(graphs) > 1 and described.base is None:
        target = sources[0].name  # The others are of the teacher that the links name.
    collection = replace(collection, target=target)
    if not above:
        collection.warn_if_alone(path, _line_of(text, "target"))
    return collection


def _read_base(
    path: Path,
    text: str,
    described: _CollectionFile,
    known: Mapping[str, KnowledgeGraph],
    above: tuple[str, ...],
) -> Collection:
    """Return the collection that a file adds to, or an empty one."""
    if described.base is None:
        if described.source:
            return Collection("", {})
        raise DataError(
            "there is no source",
            remedy="Give tables [[source]], or name another collection as base",
            path=path,
        )
    place, within = path.parent / described.base, (*above, os.path.realpath(path))
    if not _exists(place):
        return _read(described.base if str(described.base) in EMBEDDED else place, known, within)
    if {os.path.realpath(x) for x in (place, place / COLLECTION_FILE)} & {*within}:
        raise DataError(
            f"base: {described.base} is this collection, or adds to it",
            remedy="Name a collection that does without this one",
            path=path,
            line=_line_of(text, "base"),
        )
    return _read(place, known, within)


def _exists(place: Path) -> bool:
    with suppress(OSError):  # As of a name that is too long.
        return place.exists()
    return False


def _read_graphs(
    sources: Sequence[GraphSource], inside: Sequence[_LinkSource], directory: Path
) -> dict[str, KnowledgeGraph]:
    """Read graphs, with the redirects inside of each."""
    graphs = {}
    for source in sources:
        own = [(x, x.read_redirects(directory)) for x in inside if x.left == source.name]
        kinds = {x.kind: [pairs for y, pairs in own if y.kind == x.kind] for x, _ in own}
        further = {kind: pl.concat(pairs) for kind, pairs in kinds.items()}
        graph = graphs[source.name] = read_graph(source, further)
        for x, pairs in own:
            check_redirects(directory / str(x.path), pairs, graph, x.kind, x.unknown)
    return graphs


def _silent(graph: KnowledgeGraph) -> KnowledgeGraph:
    """Return a graph without the links that it states itself."""
    if graph.identities is None:
        return graph
    return replace(graph, identities=replace(graph.identities, pairs=graph.identities.pairs[:0]))


def _linked_by_identity(
    graphs: Mapping[str, KnowledgeGraph], known: Mapping[str, KnowledgeGraph]
) -> set[str]:
    """Return the graphs that statements of sameness link, those that are only known among them."""
    more = (graph for name, graph in known.items() if name not in graphs)
    links = identity_links([*graphs.values(), *more]).links
    return {name for x in links for name in (x.left, x.right)}


def _described(path: Path, text: str) -> _CollectionFile:
    try:
        tables = parse_toml(text)
    except ValueError as error:
        place = re.search(r" \(at (?:line (\d+), .*|end of document)\)$", str(error))
        what = str(error)[: place.start()] if place else str(error)
        raise DataError(
            f"not well-formed TOML ({what[:1].lower()}{what[1:]})",
            remedy="Texts stand in quotes, tables as [[source]] and [[links]]",
            path=path,
            line=int(place[1]) if place and place[1] else text.count("\n") + 1,
        ) from error
    try:
        return _CollectionFile.model_validate(tables)
    except ValidationError as error:
        key, *rest = error.errors()[0]["loc"]
        raise DataError(
            explain(error),
            remedy="Mend these keys; tables of one name are counted from 1",
            path=path,
            line=_line_of(text, str(key), *[x for x in rest[:1] if isinstance(x, int)]),
        ) from error


def _check_names(
    path: Path,
    text: str,
    described: _CollectionFile,
    known: Mapping[str, KnowledgeGraph],
    base: Collection,
) -> None:
    """Check that sources have distinct names, and that links and target name some of them."""
    names = [*base.graphs]
    for number, source in described.source.items():
        if source.name in names:
            raise DataError(
                f"source.{number}.name: two sources are called {source.name!r}",
                remedy="Give each a name of its own",
                path=path,
                line=_line_of(text, "source", number),
            )
        names.append(source.name)
    own = dict.fromkeys(source.name for source in described.source.values())
    for number, link in described.links.items():
        linkable = own if link.is_inside else dict.fromkeys([*names, *known])
        remedy = "Name one of " + ", ".join(linkable)
        for end in ("left", "right"):
            if (name := getattr(link, end)) not in linkable:
                raise DataError(
                    f"links.{number}.{end}: no source is called {name!r}",
                    remedy=remedy,
                    path=path,
                    line=_line_of(text, "links", number),
                )
    if described.target is not None and described.target not in names:
        raise DataError(
            f"target: no source is called {described.target!r}",
            remedy="Name one of " + ", ".join(names),
            path=path,
            line=_line_of(text, "target"),
        )


def _line_of(text: str, key: str, number: int | None = None) -> int | None:
    """Return the line of a key, or of the ``number``-th ``[[key]]``; None if there is no such."""
    # tomllib keeps no positions, and neither does tomlkit.
    name = re.escape(key)
    start = rf"{name}\s*=|\[\s*{name}\s*\]" if number is None else rf"\[\[\s*{name}\s*\]\]"
    lines = [n for n, line in enumerate(text.split("\n"), 1) if re.match(rf"\s*(?:{start})", line)]
    place = (number or 1) - 1
    return lines[place] if place < len(lines) else None


def _placed(source: GraphSource, directory: Path) -> GraphSource:
    """Return the source with paths relative to the collection file's directory."""
    changes: dict[str, Path | tuple[Path, ...]] = {}
    for name in ("train", "valid", "test", "entities", "relations", "labels"):
        value: Path | tuple[Path, ...] | None = getattr(source, name)
        if isinstance(value, tuple):
            changes[name] = tuple(directory / path for path in value)
        elif value is not None:
            changes[name] = directory / value
    return source.model_copy(update=changes)
