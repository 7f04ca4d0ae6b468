"""Read a collection from a TOML file, a graph's file, a directory, or kgraft itself."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import polars as pl

from kgraft.errors import DataError
from kgraft.graph.identities import SameNames
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.io.collection_file import (
    CollectionFile,
    LinkSource,
    line_of,
    parse_collection_file,
    placed,
)
from kgraft.io.dataset_layout import is_layout, layout_links, read_layout
from kgraft.io.file_formats import ENDINGS, OTHER_ENDINGS, format_of, graph_name
from kgraft.io.link_ends import LeftOut, warn_of_left_out
from kgraft.io.openea_layout import is_openea, read_openea, with_attributes_beside
from kgraft.io.outside import check_links, files_of, is_outside, outside
from kgraft.io.prepared_directory import is_prepared, read_prepared
from kgraft.io.read_graph import read_graph
from kgraft.io.read_links import (
    check_redirects,
    read_links,
)
from kgraft.io.source import GraphSource, Split
from kgraft.linking.collection import Collection, check_number, collect
from kgraft.linking.identity_links import identity_links
from kgraft.system.files import content_ending, open_bytes, read_text
from kgraft.system.forks import require_threads

EMBEDDED = ("world",)
"""Collections in the package."""

COLLECTION_FILE = "collection.toml"

GraphReader = Callable[[GraphSource, SameNames | None], KnowledgeGraph]
"""Reads a graph from its files, with further pairs of names that mean the same."""


def read_collection(
    path: str | Path,
    known: Mapping[str, KnowledgeGraph] | None = None,
    *,
    allow_outside: bool = False,
    reader: GraphReader = read_graph,
) -> Collection:
    """Read a collection.

    The files that it names have to be below its directory, also where symbolic links lead; its base
    may be any collection.

    Args:
        path: A TOML file, a directory that holds a ``collection.toml``, a directory in the layout
            of DBP-5L or OpenEA, one that ``kgraft prepare`` has written, or the name of an embedded
            collection, unless a file has that name: ``world``.
            A file of facts is a collection of one graph with the file's name, of which a tenth of
            the facts each is drawn for validation and test (``Split``).
        known: Graphs that the links of a TOML file may name though it does not list them, as the
            sources of a teacher (``teacher.graph.graphs()``); those that are named come along.
        allow_outside: Whether files elsewhere are read too.
        reader: Reads the graphs of a TOML file, or of a file of facts.

    Raises:
        DataError: If something cannot be read; the message names file, line and remedy, and in a
            TOML file the key.

    Warns:
        KgraftWarning: If the target has no link, so that it can only train alone, and of all that
            was left out on reading.
    """
    require_threads()
    return _read(Path(path), known or {}, (), allow_outside, reader)


def _read(
    place: Path,
    known: Mapping[str, KnowledgeGraph],
    above: tuple[str, ...],
    allow_outside: bool,
    reader: GraphReader,
) -> Collection:
    """Read a collection, which is the base of those in the files ``above``, the nearest last."""
    if not _exists(place) and str(place) in EMBEDDED:
        place, allow_outside = Path(str(files("kgraft") / "data" / str(place))), True
    if not _exists(place):
        raise DataError(
            "there is no such file or directory",
            remedy="Name a collection.toml, a file of facts, a directory in the layout of DBP-5L "
            "or OpenEA, or " + ", ".join(EMBEDDED),
            path=place,
        )
    if _is_graph(place):
        graph = reader(GraphSource(name=graph_name(place), train=(place,), split=Split()), None)
        return collect([graph], name=graph.name)
    if place.is_file():
        return _read_toml(place, known, above, allow_outside, reader)
    if (place / COLLECTION_FILE).is_file():
        return _read_toml(place / COLLECTION_FILE, known, above, allow_outside, reader)
    return _read_directory(place, allow_outside)


def _read_directory(place: Path, allow_outside: bool) -> Collection:
    """Read a directory without a TOML file."""
    if is_prepared(place):
        if not allow_outside:
            check_links((x for x in place.glob("*") if x.is_file()), place)
        return read_prepared(place)
    if is_layout(place):
        if not allow_outside:
            check_links(place.glob("**/*.t[sx][vt]"), place)
        return _read_dbp5l(place)
    if is_openea(place):
        if not allow_outside:
            check_links((x for x in place.glob("**/*") if x.is_file()), place)
        return read_openea(place)
    raise DataError(
        f"this directory holds no {COLLECTION_FILE}, no kg/XX-train.tsv, and "
        "no rel_triples_1 and rel_triples_2",
        remedy="Name a collection.toml, a file of facts, or a directory in the layout of DBP-5L or "
        "OpenEA",
        path=place,
    )


def _is_graph(place: Path) -> bool:
    """Return True for a file of facts, False for a collection's, which may have no ending.

    Raises:
        DataError: If the ending is that of a format that is not read.
    """
    ending = content_ending(place)
    if ending in OTHER_ENDINGS and _exists(place) and place.is_file():
        format_of(place)
    if ending not in ENDINGS or not _exists(place) or place.is_dir():
        return False
    if ending:
        return True
    with open_bytes(place) as stream:
        begin = stream.read(1 << 16)
    return re.search(rb"^\s*(\[\[\s*(source|links)|base\s*=)", begin, re.MULTILINE) is None


def _read_dbp5l(directory: Path) -> Collection:
    graphs = read_layout(directory)
    links = [
        read_links(path, graphs[left], graphs[right], ids=True)
        for left, right, path in layout_links(directory)
    ]
    return collect(graphs.values(), links, name=directory.resolve().name)


def _read_toml(
    path: Path,
    known: Mapping[str, KnowledgeGraph],
    above: tuple[str, ...],
    allow_outside: bool,
    reader: GraphReader,
) -> Collection:
    text = read_text(path).replace("\r\n", "\n")
    described = parse_collection_file(path, text)
    check_number(len(described.source), path)
    sources_of = {n: with_attributes_beside(x, path.parent) for n, x in described.source.items()}
    described = described.model_copy(update={"source": sources_of})
    if not allow_outside:
        _check_places(path, text, described)
    base = _read_base(path, text, described, known, above, allow_outside, reader)
    if not described.base_links:
        base = replace(base, graphs={x.name: _silent(x) for x in base.graphs.values()})
    _check_names(path, text, described, known, base)
    sources = [placed(source, path.parent) for source in described.source.values()]
    inside = [link for link in described.links.values() if link.is_inside]
    between = [link for link in described.links.values() if not link.is_inside]
    left_out: list[LeftOut] = []
    for source in sources:
        _check_fetched(source, path)
    graphs = dict(base.graphs) | _read_graphs(sources, inside, path.parent, left_out, reader)
    linked = {end for link in between for end in (link.left, link.right)}
    linked |= _linked_by_identity(graphs, known)
    graphs |= {name: known[name] for name in known if name in linked - graphs.keys()}
    links = [link.read(path.parent, graphs, left_out) for link in between]
    warn_of_left_out(left_out)
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
        collection.warn_if_alone(path, line_of(text, "target"))
    return collection


def _read_base(
    path: Path,
    text: str,
    described: CollectionFile,
    known: Mapping[str, KnowledgeGraph],
    above: tuple[str, ...],
    allow_outside: bool,
    reader: GraphReader,
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
        place = described.base if str(described.base) in EMBEDDED else place
        return _read(place, known, within, allow_outside, reader)
    if {os.path.realpath(x) for x in (place, place / COLLECTION_FILE)} & {*within}:
        raise DataError(
            f"base: {described.base} is this collection, or adds to it",
            remedy="Name a collection that does without this one",
            path=path,
            line=line_of(text, "base"),
        )
    return _read(place, known, within, allow_outside, reader)


def _exists(place: Path) -> bool:
    with suppress(OSError):  # As of a name that is too long.
        return place.exists()
    return False


def _read_graphs(
    sources: Sequence[GraphSource],
    inside: Sequence[LinkSource],
    directory: Path,
    left_out: list[LeftOut],
    reader: GraphReader,
) -> dict[str, KnowledgeGraph]:
    """Read graphs, with the redirects inside of each; add those to unknown names to a list."""
    graphs = {}
    for source in sources:
        own = [(x, x.read_redirects(directory)) for x in inside if x.left == source.name]
        kinds = {x.kind: [pairs for y, pairs in own if y.kind == x.kind] for x, _ in own}
        further = {kind: pl.concat(pairs) for kind, pairs in kinds.items()}
        graph = graphs[source.name] = reader(source, further)
        for x, pairs in own:
            path = directory / str(x.path)
            left_out.append(check_redirects(path, pairs, graph, x.kind, x.unknown))
    return graphs


def sources_to_fetch(path: Path, *, allow_outside: bool = False) -> list[GraphSource]:
    """Return the sources of a collection's file that have an endpoint, with their whole paths.

    Raises:
        DataError: As of ``read_collection``, or if there are none.
    """
    path = path / COLLECTION_FILE if path.is_dir() else path
    text = read_text(path).replace("\r\n", "\n")
    described = parse_collection_file(path, text)
    if not allow_outside:
        _check_places(path, text, described)
    found = [placed(x, path.parent) for x in described.source.values() if x.endpoint is not None]
    if not found:
        raise DataError(
            "no source has an endpoint",
            remedy='Give a [[source]] endpoint = "https://...", or fetch by its address: '
            "kgraft fetch https://... -o FILE.nt",
            path=path,
        )
    return found


def _check_fetched(source: GraphSource, collection: Path) -> None:
    """Check that what an endpoint gives is there."""
    if source.endpoint is not None and not _exists(source.train[0]):
        raise DataError(
            f"this file of {source.name!r} has not been fetched from {source.endpoint} yet",
            remedy=f"kgraft fetch {collection}",
            path=source.train[0],
        )


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


def _check_places(path: Path, text: str, described: CollectionFile) -> None:
    """Check that all files are below the directory of the collection's file."""
    named: list[tuple[str, int | None, Path]] = []
    named += [("source", n, file) for n, x in described.source.items() for file in files_of(x)]
    named += [("links", n, x.path) for n, x in described.links.items() if x.path is not None]
    if described.base is not None and _is_graph(path.parent / described.base):
        named.append(("base", None, described.base))  # A file of facts, no collection.
    for table, number, file in named:
        if is_outside(path.parent / file, path.parent):
            key = table if number is None else f"{table}.{number}"
            problem = f"{key}: {file} lies outside of this collection's directory"
            raise outside(problem, path, line_of(text, table, number))


def _check_names(
    path: Path,
    text: str,
    described: CollectionFile,
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
                line=line_of(text, "source", number),
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
                    line=line_of(text, "links", number),
                )
    if described.target is not None and described.target not in names:
        raise DataError(
            f"target: no source is called {described.target!r}",
            remedy="Name one of " + ", ".join(names),
            path=path,
            line=line_of(text, "target"),
        )
