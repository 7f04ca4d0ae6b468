"""Writer of synthetic collections, which ``read_collection`` reads back."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl
import tomli_w

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.io.named_facts import ROLES
from kgraft.io.read_collection import COLLECTION_FILE
from kgraft.io.write_graph import write_graph
from kgraft.linking.links import Links
from kgraft.system.outputs import check_empty, write_atomically, write_directory
from kgraft_experiments.synthesis.synthesize import Synthetic

RULES_FILE: Final = "rules.json"


def write_synthetic(
    synthetic: Synthetic,
    directory: Path,
    *,
    format: Literal["parquet", "tsv"] = "parquet",  # noqa: A002 (the word of GraphSource)
) -> None:
    """Write a synthetic collection, whole or not at all.

    The directory holds ``collection.toml``, the facts as ``SOURCE-SPLIT.parquet``, labels as
    ``SOURCE-labels.tsv``, links as ``LEFT-RIGHT.tsv``, and ``rules.json``: a list of rules with
    kind, head, body and confidence, each atom being head, relation and tail, where ``?x`` is a
    variable.

    Args:
        synthetic: A collection; its hidden world is not written, ``write_truth`` writes it.
        directory: A new or empty directory.
        format: Format of the facts.

    Raises:
        DataError: If there is something in the directory.
    """
    check_empty(directory)
    collection = synthetic.collection
    with write_directory(directory) as place:
        sources = [_write_source(graph, place, format) for graph in collection.graphs.values()]
        links = [
            _write_links(x, collection.graphs[x.left], collection.graphs[x.right], place)
            for x in collection.links
        ]
        described = {
            "name": collection.name,
            "description": collection.description,
            "target": collection.target,
            "source": sources,
            "links": links,
        }
        (place / COLLECTION_FILE).write_text(tomli_w.dumps(described), encoding="utf-8")
        rules = json.dumps([asdict(rule) for rule in synthetic.rules], indent=1)
        (place / RULES_FILE).write_text(rules + "\n", encoding="utf-8")


def check_truth_file(path: Path) -> None:
    """Refuse a file that ``write_truth`` cannot write.

    Raises:
        DataError: If its name does not end in ``.parquet``.
    """
    if path.suffix != ".parquet":
        raise DataError(
            "the true facts are written as Parquet", remedy="End the name with .parquet", path=path
        )


def write_truth(synthetic: Synthetic, path: Path) -> None:
    """Write all true facts among the target's entities, with columns head, relation and tail."""
    world = synthetic.world
    heads, relations, tails = world.train.T
    columns = (
        world.entities.names.gather(heads),
        world.relations.names.gather(relations),
        world.entities.names.gather(tails),
    )
    with write_atomically(path) as temporary:
        pl.DataFrame(dict(zip(ROLES, columns, strict=True))).write_parquet(temporary)


def _write_source(
    graph: KnowledgeGraph, place: Path, format_: Literal["parquet", "tsv"]
) -> dict[str, Any]:
    """Write a graph's files beside those of others, and return its table of the TOML."""
    own = place / graph.name
    source = write_graph(graph, own, format=format_)
    files = {
        name: path
        for name in ("valid", "test")
        for path in getattr(source, name)  # one file, or none
    }
    files["train"] = source.train[0]
    if source.labels is not None:
        files["labels"] = source.labels
    for name, path in files.items():
        files[name] = path.rename(place / f"{graph.name}-{path.name}")
    own.rmdir()
    names = {name: path.name for name, path in files.items()}
    return {"name": graph.name, "header": False, **names}


def _write_links(
    links: Links, left: KnowledgeGraph, right: KnowledgeGraph, place: Path
) -> dict[str, Any]:
    path = place / f"{links.left}-{links.right}.tsv"
    table = pl.DataFrame(
        {
            "left": left.entities.names.gather(links.pairs[:, 0]),
            "right": right.entities.names.gather(links.pairs[:, 1]),
            "confidence": links.confidence,
        }
    )
    table.write_csv(path, separator="\t")
    return {"left": links.left, "right": links.right, "path": path.name}
