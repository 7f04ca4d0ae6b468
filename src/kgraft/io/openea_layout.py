"""Directories in the layout of OpenEA: two graphs, their attributes, and links between them.

::

    rel_triples_1, rel_triples_2      head, relation, tail
    attr_triples_1, attr_triples_2    entity, attribute, literal
    ent_links                         an entity of the first graph and the same one of the second
    721_5fold/1/train_links, ...      the links in parts, read where there is no ent_links

Attributes and links may be missing (Sun et al., VLDB, 2020).
"""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Final

import polars as pl

from kgraft.errors import KgraftWarning, describe
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.read_graph import read_graph
from kgraft.io.read_links import read_links
from kgraft.io.source import GraphSource
from kgraft.io.tabular import read_columns
from kgraft.linking.collection import Collection, collect

_NUMBERS: Final = ("1", "2")
_PARTS: Final = ("train_links", "valid_links", "test_links")


def is_openea(directory: Path) -> bool:
    """Return True for a directory with the facts of two graphs."""
    return all((directory / f"rel_triples_{number}").is_file() for number in _NUMBERS)


def read_openea(directory: Path) -> Collection:
    """Read the graphs and links of a directory in this layout.

    In a directory such as ``EN_FR_15K`` the graphs are called ``EN`` and ``FR``, elsewhere ``1``
    and ``2``. An entity belongs to a graph if its facts, its attributes or the links name it.

    Raises:
        DataError: With file, line and remedy, for a file that cannot be read.
    """
    files = _link_files(directory)
    tables = [read_columns(path, ("left", "right"), optional=("confidence",)) for path in files]
    graphs = [
        _read_graph(directory, name, number, [table[side] for table in tables])
        for name, number, side in zip(_names(directory), _NUMBERS, ("left", "right"), strict=True)
    ]
    links = [read_links(path, graphs[0], graphs[1], format="tsv") for path in files]
    return collect(graphs, links, name=directory.resolve().name)


def _names(directory: Path) -> tuple[str, str]:
    found = re.match(r"([A-Za-z]+)[_-]([A-Za-z]+)(?![A-Za-z])", directory.resolve().name)
    return (found[1], found[2]) if found and found[1] != found[2] else ("1", "2")


def _link_files(directory: Path) -> list[Path]:
    whole = directory / "ent_links"
    if whole.is_file():
        return [whole]
    folds = sorted(directory.glob("*fold/*/"))
    return [path for name in _PARTS if folds and (path := folds[0] / name).is_file()]


def _read_graph(directory: Path, name: str, number: str, linked: list[pl.Series]) -> KnowledgeGraph:
    attributes = directory / f"attr_triples_{number}"
    source = GraphSource(
        name=name,
        train=(directory / f"rel_triples_{number}",),
        attributes=(attributes,) if attributes.is_file() else (),
    )
    graph = read_graph(source)
    known = graph.entities.names
    names = pl.concat([known.clear(), *(column.rename(known.name) for column in linked)])
    names = names.unique(maintain_order=True)
    new = names.filter(graph.rows(names) < 0)
    labels = graph.labels
    if labels is not None:
        labels = labels.extend_constant(None, len(new))
    return replace(graph, entities=Vocabulary(pl.concat([known, new])), labels=labels)


def with_attributes_beside(source: GraphSource, directory: Path) -> GraphSource:
    """Return a source with the ``attr_triples_N`` that is beside its ``rel_triples_N``.

    Warns:
        KgraftWarning: If there is one; none is added to a source that gives ``attributes`` itself.
    """
    if "attributes" in source.model_fields_set:
        return source
    files = [x for x in source.train if re.fullmatch(r"rel_triples_[12]", x.name)]
    beside = [x.with_name(x.name.replace("rel", "attr", 1)) for x in files]
    found = [x for x in beside if x not in source.train and (directory / x).is_file()]
    for file in found:
        problem = f"read as the attributes of {source.name!r}, since OpenEA has them so"
        remedy = "Name it in attributes to silence this, or say attributes = [] to leave it out"
        path = directory / file
        warnings.warn(describe(problem, remedy=remedy, path=path), KgraftWarning, stacklevel=4)
    return source.model_copy(update={"attributes": tuple(found)}) if found else source
