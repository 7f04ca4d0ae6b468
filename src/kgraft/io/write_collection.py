"""Write a commented ``collection.toml`` from files of graphs and of links."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import permutations
from pathlib import Path
from typing import Any, get_args

import tomli_w

from kgraft.errors import DataError, counted
from kgraft.graph.knowledge_graph import SPLITS, KnowledgeGraph
from kgraft.graph.spelling import Spelling
from kgraft.io.attributes import OWN_NAME
from kgraft.io.delimiters import delimiter_of
from kgraft.io.fact_confidence import is_confidence
from kgraft.io.file_formats import ENDINGS, TABLES, graph_name
from kgraft.io.link_ends import Unknown
from kgraft.io.named_facts import ROLES
from kgraft.io.outside import is_outside
from kgraft.io.read_collection import read_collection
from kgraft.io.read_graph import read_graph
from kgraft.io.read_links import links_by_name, read_links
from kgraft.io.source import GraphSource
from kgraft.io.sssom import names_mappings
from kgraft.io.tabular import first_rows
from kgraft.linking.collection import Collection
from kgraft.linking.identity_links import identity_links
from kgraft.linking.links import LinkKind, Links
from kgraft.system.files import content_ending
from kgraft.system.outputs import write_atomically

_SPLITS = {"train": "train", "valid": "valid", "val": "valid", "dev": "valid", "test": "test"}
_OF_A_SPLIT = re.compile(rf"(?:(.*)[-_.])?({'|'.join(_SPLITS)})", re.IGNORECASE)

_HEAD = """\
# A collection of kgraft: graphs, links between them, and the graph to complete. Paths begin here.
"""
_OUTSIDE = "# Files outside of this directory are read with --allow-outside.\n"
_DRAWN = '  # facts to hold out; or valid = "..." and test = "..."'
_NORMAL = "  # names match that differ in percent-encoding, https or www., NFC or NFD, spaces"
_HEADER = "  # the first line names columns, in words of its own; false: it is a fact"
_LINKING = '  # its statements of sameness link it with other graphs; "facts" keeps them as facts'
_SKIPPED = '  # leaves out links to names that a graph does not have; "error" refuses them'


def write_collection(
    path: Path, files: Sequence[Path], links: Sequence[Path] = (), *, target: str | None = None
) -> Collection:
    """Write a collection file, and return what it reads.

    Each file is a graph called as the file is; ``NAME-train``, ``NAME-valid`` and ``NAME-test`` are
    one. Files of links join the two graphs whose names they hold most; those among ``files`` are
    told by SSSOM's columns, by two columns, or by a third one of confidences.

    Args:
        path: A new file that ends in ``.toml``; paths in it are relative to its directory.
        files: Files of facts, and of links.
        links: Further files of links.
        target: Name of the graph to complete; by default the first.

    Raises:
        DataError: If ``path`` exists, a file cannot be read, two graphs have one name, links join
            no two graphs, or no graph is called ``target``.
    """
    if path.exists() or path.is_symlink():
        raise DataError(
            "there is something here already", remedy="Name another file, or delete it", path=path
        )
    if path.suffix.lower() != ".toml":
        raise DataError("a collection's file ends in .toml", remedy="Name it so", path=path)
    links = [*(file for file in files if _holds_links(file)), *links]
    sources = _sources([file for file in files if file not in links])
    if not sources:
        raise DataError("these files hold no facts", remedy="Give a file of facts", path=files[0])
    target = next(iter(sources)) if target is None else target
    if target not in sources:
        raise DataError(
            f"no graph is called {target!r}", remedy="Name one of " + ", ".join(sources)
        )
    graphs = {}
    for name, source in sources.items():
        sources[name], graphs[name] = _read(source)
    above = _OUTSIDE if names_outside(path, [*files, *links]) else ""
    parts = [_HEAD + above + _line("target", target) + "  # the graph to complete\n"]
    for name, source in sources.items():
        links_itself = graphs[name].identities is not None
        parts.append(
            _source_table(source, path, is_target=name == target, links_itself=links_itself)
        )
    parts += [_links_table(file, graphs, path) for file in links]
    if not links:
        parts += _suggestions(target, graphs)
    with write_atomically(path) as temporary:
        temporary.write_text("\n".join(parts), encoding="utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # The command that uses the collection warns again.
            return read_collection(temporary, allow_outside=True)


def names_outside(path: Path, files: Sequence[Path]) -> bool:
    """Return True if a collection at ``path`` names files outside of its directory."""
    return any(is_outside(file, path.parent) for file in files)


def _holds_links(file: Path) -> bool:
    """Return True for a table of mappings, of two columns, or of two and a confidence."""
    syntax = ENDINGS.get(content_ending(file), "")
    if syntax not in TABLES:
        return False
    if names_mappings(file):
        return True
    sign, after = delimiter_of(file, syntax, 2)
    rows = [cells for _, cells in first_rows(file, sign, 20, after)]
    body = rows[1:] or rows  # The first may be a header.
    if {len(cells) for cells in body} == {2}:
        return True
    return all(len(cells) == 3 and is_confidence(cells[2]) for cells in body) and bool(body)


def _sources(files: Sequence[Path]) -> dict[str, GraphSource]:
    """Return a source for each graph, its files by split, and its attributes by their number."""
    attributes = [file for file in files if OWN_NAME.fullmatch(file.name)]
    files = [file for file in files if file not in attributes]
    found: dict[tuple[Path, str], dict[str, list[Path]]] = {}
    for file in files:
        name, split = graph_name(file), "train"
        if match := _OF_A_SPLIT.fullmatch(name):
            name, split = match[1] or file.resolve().parent.name, _SPLITS[match[2].lower()]
        found.setdefault((file.parent, name), {}).setdefault(split, []).append(file)
    sources: dict[str, GraphSource] = {}
    for (_, name), splits in found.items():
        first = next(iter(splits.values()))[0]
        if "train" not in splits:
            raise DataError(
                f"{name!r} has held-out facts only", remedy="Give its training file too", path=first
            )
        if name in sources:
            raise DataError(
                f"two graphs are called {name!r}",
                remedy="Rename one of the files: a graph is called as its file is",
                path=first,
            )
        sources[name] = GraphSource(name=name, **splits)
    for file in attributes:
        own = [x for x in sources.values() if _number(x.train[0]) == _number(file)]
        if len(own) != 1:
            raise DataError(
                "no graph has these attributes by its number",
                remedy="Call them after the file of facts, as attr_triples_1 for rel_triples_1",
                path=file,
            )
        more = {"attributes": (*own[0].attributes, file)}
        sources[own[0].name] = own[0].model_copy(update=more)
    return sources


def _number(file: Path) -> str:
    return re.sub(r"\D", "", graph_name(file))


def _read(source: GraphSource) -> tuple[GraphSource, KnowledgeGraph]:
    """Read a graph, and return it with its source, in which is said what reading warns of."""
    linking = {"identities": "links"}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        graph = read_graph(source.model_copy(update=linking))
    if any("looks like a header" in str(x.message) for x in caught):
        source = source.model_copy(update={"columns": ROLES, "header": True})
        return source, read_graph(source.model_copy(update=linking))
    for x in caught:
        warnings.warn(x.message, stacklevel=2)
    return source, graph


def _source_table(source: GraphSource, path: Path, *, is_target: bool, links_itself: bool) -> str:
    keys = (*SPLITS, "attributes")
    files = {x: [relative_path(file, path) for file in getattr(source, x)] for x in keys}
    lines = ["[[source]]", _line("name", source.name)]
    lines += [_line(x, y[0] if len(y) == 1 else y) for x, y in files.items() if y]
    if is_target and not (source.valid or source.test):
        lines.append("split = { valid = 0.1, test = 0.1, seed = 0 }" + _DRAWN)
    if source.header:
        lines += [_line("columns", list(source.columns)), _line("header", source.header) + _HEADER]
    if links_itself:
        lines.append(_line("identities", "links") + _LINKING)
    lines.append('# labels = "labels.tsv"  # two columns: a name and its readable label')
    return "\n".join(lines) + "\n"


def _links_table(file: Path, graphs: Mapping[str, KnowledgeGraph], path: Path) -> str:
    """Return the table of a file of links, between the two graphs that it joins best."""
    best: Links | None = None
    failed: DataError | None = None
    for left, right in permutations(graphs.values(), 2):
        for kind in get_args(LinkKind):
            found, error = _try_links(file, left, right, kind)
            failed = failed or error
            if found is not None and (best is None or len(found) > len(best)):
                best = found
    if best is None or not len(best):
        raise failed or DataError(
            "these links join no two of the graphs",
            remedy="Give the files of both graphs, with the names that the links have",
            path=file,
        )
    lines = ["[[links]]", _line("left", best.left), _line("right", best.right)]
    lines.append(_line("path", relative_path(file, path)) + f"  # {counted(len(best), 'link')}")
    if best.kind == "relation":
        lines.append(_line("kind", best.kind) + "  # the names are of relations")
    ends = graphs[best.left], graphs[best.right]
    exact, _ = _try_links(file, *ends, best.kind, spelling="exact")
    spelling: Spelling = "exact" if exact is not None and len(exact) == len(best) else "normal"
    if spelling == "normal":
        lines.append(_line("spelling", spelling) + _NORMAL)
    if _try_links(file, *ends, best.kind, unknown="error", spelling=spelling)[0] is None:
        lines.append('unknown = "skip"' + _SKIPPED)
    return "\n".join(lines) + "\n"


def _try_links(
    file: Path,
    left: KnowledgeGraph,
    right: KnowledgeGraph,
    kind: LinkKind,
    *,
    unknown: Unknown = "skip",
    spelling: Spelling = "normal",
) -> tuple[Links | None, DataError | None]:
    """Return a file's links between two graphs, or the error of reading them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            links = read_links(file, left, right, kind=kind, unknown=unknown, spelling=spelling)
            return links, None
        except DataError as error:
            return None, error


def _suggestions(target: str, graphs: Mapping[str, KnowledgeGraph]) -> list[str]:
    """Return commented tables that link the target's names with the same ones of other graphs."""
    found = []
    stated = identity_links(list(graphs.values())).links
    for name in graphs:
        if name == target:
            continue
        if n := sum(len(x) for x in stated if x.kind == "entity" and x.between(target, name)):
            are = "is" if n == 1 else "are"
            found.append(
                f"# {counted(n, 'link')} of {target} and {name} {are} stated in their facts.\n"
            )
            continue
        n = len(links_by_name(graphs[target], graphs[name], spelling="normal"))
        is_exact = n == len(links_by_name(graphs[target], graphs[name]))
        lines = [
            f"{n:,} entities of {target} have a name of {name}. If they are the same, link them:"
            if n
            else f"Without links {target} learns nothing from {name}; graft or align finds some:",
            *("[[links]]", _line("left", target), _line("right", name)),
            'match = "name"' if n else 'path = "links.tsv"',
            *([] if is_exact else ['spelling = "normal"']),
        ]
        found.append("".join(f"# {line}\n" for line in lines))
    return found


def _line(key: str, value: Any) -> str:
    if isinstance(value, list):
        return f"{key} = [{', '.join(_line('_', x).partition(' = ')[2] for x in value)}]"
    return tomli_w.dumps({key: value}).strip()


def relative_path(file: Path, path: Path) -> str:
    """Return a file's path from the directory of ``path``, the way through links followed."""
    place = Path(os.path.realpath(file.parent)) / file.name
    with suppress(ValueError):  # Another drive of Windows.
        return Path(os.path.relpath(place, os.path.realpath(path.parent))).as_posix()
    return place.as_posix()
