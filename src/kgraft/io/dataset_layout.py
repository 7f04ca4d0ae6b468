"""Directories in the layout of DBP-5L: graphs of numbered entities that share their relations.

::

    entity/XX.tsv                 line i + 1: the name of entity i, perhaps a tab and a text
    kg/XX-train.tsv               head, relation, tail as numbers; -val or -valid, -test
    relations.txt                 line i + 1: the name of relation i of every graph
    seed_alignlinks/XX-YY.tsv     an entity of XX and the same entity of YY, as numbers

There are as many graphs as training files. All else may be missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from kgraft.errors import DataError
from kgraft.graph.assemble import FactRows, assemble
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.interchange import numbered_vocabulary
from kgraft.io.iris import labels_of_iris
from kgraft.io.name_lists import NameList, read_names
from kgraft.io.named_facts import ROLES
from kgraft.io.tabular import LINE, read_columns, whole_numbers

LINKS_DIRECTORY: Final = "seed_alignlinks"

_TRAIN: Final = "-train"
_ENDINGS: Final = {"train": ("-train",), "valid": ("-val", "-valid"), "test": ("-test",)}


def is_layout(directory: Path) -> bool:
    """Return True for a directory with at least one ``kg/XX-train.tsv``."""
    return bool(_graph_names(directory))


def read_layout(directory: Path) -> dict[str, KnowledgeGraph]:
    """Read every graph of a directory in this layout.

    An entity's name is its line in the entity file; a repeated name gets its row as a suffix,
    ``name#row``. Without an entity file, entities are called ``XX:0``, ``XX:1``, …
    up to the largest id in the graph's facts and links, and without ``relations.txt`` relations
    are called ``0``, ``1``, …. Labels are the entity file's second column, else the readable
    part of names that are IRIs.

    Returns:
        Graphs by name, in the order of names; all have one relation vocabulary.

    Raises:
        DataError: With file, line and remedy: no training file, a table that cannot be read, an
            id that is not a whole number or is out of range.

    Warns:
        KgraftWarning: When a graph's train repeats its held-out facts.
    """
    names = _graph_names(directory)
    if not names:
        raise DataError(
            "there is no kg/XX-train.tsv in this directory",
            remedy="Name a directory in the DBP-5L layout",
            path=directory,
        )
    relation_file = directory / "relations.txt"
    relations = read_names(relation_file).vocabulary if relation_file.exists() else None
    entities = {
        name: read_names(file) if (file := directory / "entity" / f"{name}.tsv").exists() else None
        for name in names
    }
    splits = {name: _read_facts(directory, name, entities[name], relations) for name in names}
    if relations is None:
        ids = [rows.triples[:, 1] for pieces in splits.values() for rows in _flat(pieces)]
        relations = numbered_vocabulary(ids)
    graphs = {}
    for name in names:
        listed = entities[name]
        if listed is None:
            vocabulary, labels = _numbered_entities(directory, name, splits[name]), None
        else:
            vocabulary, labels = listed.vocabulary, listed.labels
            labels = labels if labels is not None else labels_of_iris(vocabulary.names)
            labels = labels if labels.null_count() < len(labels) else None
        # The graphs of a data set stay as they were published, statements of sameness too.
        graphs[name] = assemble(
            name,
            vocabulary,
            relations,
            splits[name],
            labels=labels,
            fixed=True,
            identities="facts",
        )
    return graphs


def layout_links(directory: Path) -> list[tuple[str, str, Path]]:
    """Return the link files: graph of the first column, graph of the second, file.

    Raises:
        DataError: If a file's name does not name two graphs of the directory, or two files join
            the same two graphs.
    """
    names = _graph_names(directory)
    found: dict[frozenset[str], Path] = {}
    links = []
    for path in sorted((directory / LINKS_DIRECTORY).glob("*.tsv")):
        left, right = _pair(path, names)
        earlier = found.setdefault(frozenset((left, right)), path)
        if earlier != path:
            raise DataError(
                f"{earlier.name} already links {left!r} and {right!r}",
                remedy="Keep one file for each pair of graphs",
                path=path,
            )
        links.append((left, right, path))
    return links


def _graph_names(directory: Path) -> list[str]:
    files = (directory / "kg").glob(f"*{_TRAIN}.tsv")
    return sorted(file.stem.removesuffix(_TRAIN) for file in files)


def _pair(path: Path, names: list[str]) -> tuple[str, str]:
    # Graph names may hold hyphens, so the known names decide where the file name splits.
    parts = path.stem.split("-")
    pairs = [("-".join(parts[:i]), "-".join(parts[i:])) for i in range(1, len(parts))]
    known = [(left, right) for left, right in pairs if left in names and right in names]
    if len(known) != 1 or known[0][0] == known[0][1]:
        raise DataError(
            f"the file's name does not name two of the graphs {', '.join(names)}",
            remedy="Call it XX-YY.tsv after the graphs that it links",
            path=path,
        )
    return known[0]


def _read_facts(
    directory: Path, name: str, entities: NameList | None, relations: Vocabulary | None
) -> dict[str, list[FactRows]]:
    splits = {}
    for split, endings in _ENDINGS.items():
        files = [directory / "kg" / f"{name}{ending}.tsv" for ending in endings]
        splits[split] = [
            _read_fact_file(path, entities, relations) for path in files if path.exists()
        ]
    return splits


def _read_fact_file(
    path: Path, entities: NameList | None, relations: Vocabulary | None
) -> FactRows:
    facts = read_columns(path, ROLES, header=False)
    n_entities = len(entities.vocabulary) if entities else None
    limits = (n_entities, len(relations) if relations else None, n_entities)
    columns = [
        whole_numbers(facts[role], path=path, role=role, limit=limit, lines=facts[LINE])
        for role, limit in zip(ROLES, limits, strict=True)
    ]
    return FactRows(np.stack(columns, axis=1), path, facts[LINE])


def _numbered_entities(directory: Path, name: str, splits: dict[str, list[FactRows]]) -> Vocabulary:
    ids = [rows.triples[:, [0, 2]].ravel() for rows in _flat(splits)]
    for left, right, path in layout_links(directory):
        if name in (left, right):
            links = read_columns(path, ("left", "right"), optional=("confidence",))
            side = "left" if name == left else "right"
            ids.append(
                whole_numbers(links[side], path=path, role=f"entity of {name}", lines=links[LINE])
            )
    return numbered_vocabulary(ids, f"{name}:")


def _flat(splits: dict[str, list[FactRows]]) -> list[FactRows]:
    return [rows for pieces in splits.values() for rows in pieces]
