"""Prepared directories: a collection in numbers, joined, whose facts are read through memory maps.

======================  ====================================================================
manifest.json           format, sources, links, counts, and size and SHA-256 of the other files
N-entities.parquet      name, and label where there are some: the entities of source ``N``
N-relations.parquet     name
N-train.npy             head, relation, tail: rows of these, int64; likewise ``valid``, ``test``
                        and ``known_false``
N-SPLIT-confidence.npy  float64, of splits in which some are below 1
N-attributes.parquet    columns of ``ATTRIBUTE_SCHEMA``, where there are some
N-identities.parquet    and ``-entities``, ``-relations``: statements of sameness
links-N.parquet         left, right, confidence
joint-facts.npy         head, relation, tail: training facts of all sources but the target, joined
joint-sources.npy       the number of each one's source, int16; ``joint-confidence.npy`` if given
joint-N-entities.npy    joint row of each entity of source ``N``; ``-relations`` likewise
joint-conflicts.json    links that were left out
======================  ====================================================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kgraft.errors import DataError
from kgraft.graph.identities import Identities
from kgraft.graph.knowledge_graph import SPLITS, KnowledgeGraph
from kgraft.graph.vocabulary import Vocabulary
from kgraft.io.staged_names import StoredVocabulary
from kgraft.linking.collection import Collection
from kgraft.linking.joint_graph import JointGraph, JointSource, LinkConflict
from kgraft.linking.links import Links
from kgraft.system.arrays import mapped, move_or_write, pieces_of
from kgraft.system.files import checksum, read_text

FORMAT: Final = 1
"""Version of the format; no other is read."""

MANIFEST: Final = "manifest.json"
KIND: Final = "prepared collection"

READ_ERRORS: Final = (KeyError, TypeError, ValueError, OSError, pl.exceptions.PolarsError)

_FACTS: Final = (*SPLITS, "known_false")


def is_prepared(place: Path) -> bool:
    """Return True for a directory with the manifest of a prepared collection."""
    path = place / MANIFEST
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return f'"kind": "{KIND}"'.encode() in file.read(200)


def write_prepared(collection: Collection, directory: Path, spill: Path) -> dict[str, Any]:
    """Write a collection into an empty directory.

    Args:
        collection: The collection.
        directory: Where to.
        spill: Directory whose files of arrays and names may be moved there.

    Returns:
        The manifest.
    """
    sources = [
        _write_graph(x, directory, n, spill) for n, x in enumerate(collection.graphs.values())
    ]
    links = [_write_links(x, directory, n) for n, x in enumerate(collection.links)]
    joint = None if collection.joined is None else _write_joint(collection.joined, directory, spill)
    manifest = {
        "kind": KIND,
        "format": FORMAT,
        "kgraft": version("kgraft"),
        "name": collection.name,
        "description": collection.description,
        "target": collection.target,
        "sources": sources,
        "links": links,
        "joint": joint,
        "files": {path.name: checksum(path) for path in sorted(directory.iterdir())},
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False)
    (directory / MANIFEST).write_text(text, encoding="utf-8")
    return manifest


def read_prepared(directory: Path) -> Collection:
    """Read a prepared collection: facts stay in their files, and so do names until asked for.

    Raises:
        DataError: If a file is missing, or was changed or cut off; or of another format.
    """
    try:
        manifest = json.loads(read_text(directory / MANIFEST))
        if manifest["format"] != FORMAT:
            raise DataError(
                f"this has format {manifest['format']}, and kgraft {version('kgraft')} reads "
                f"format {FORMAT}",
                remedy="Prepare the collection again",
                path=directory,
            )
        _check_files(directory, manifest["files"])
        graphs = [_read_graph(directory, n, x, manifest) for n, x in enumerate(manifest["sources"])]
        by_name = {x.name: x for x in graphs}
        return Collection(
            manifest["name"],
            by_name,
            tuple(_read_links(directory, n, x) for n, x in enumerate(manifest["links"])),
            manifest["target"],
            manifest["description"],
            joined=_read_joint(directory, manifest, by_name),
        )
    except READ_ERRORS as error:
        raise DataError(
            f"the files of this prepared collection do not fit together ({error})",
            remedy="Prepare the collection again",
            path=directory,
        ) from error


def _check_files(directory: Path, files: Mapping[str, Any]) -> None:
    again = "Prepare the collection again"
    for name, known in files.items():
        path = directory / name
        if path.parent != directory or not path.is_file():
            raise DataError("this file is missing", remedy=again, path=path)
        if known["bytes"] != path.stat().st_size or checksum(path) != known:
            raise DataError(
                "this file was changed or cut off since it was written", remedy=again, path=path
            )


def _rows(path: Path, *sizes: int, kind: type[np.integer[Any]] = np.int64) -> NDArray[Any]:
    """Return a mapped array of rows, one number a row or a column for each table.

    Args:
        path: The file.
        sizes: The size of the table of each column.
        kind: The type of the numbers.

    Raises:
        ValueError: If it is another array, or a row is none of its table.
    """
    found, width = mapped(path), (len(sizes),) if len(sizes) > 1 else ()
    if found.dtype != kind or found.shape[1:] != width:
        raise ValueError(f"{path.name} holds another array")
    for piece in pieces_of(found):
        if ((piece < 0) | (piece >= np.array(sizes))).any():
            raise ValueError(f"{path.name} has a row beyond the end of its table")
    return found


# ------------------------------------------------------------------------------------------ graphs


def _write_graph(
    graph: KnowledgeGraph, directory: Path, number: int, spill: Path
) -> dict[str, Any]:
    def place(name: str) -> Path:
        return directory / f"{number}-{name}"

    entities = graph.entities
    if graph.labels is None and isinstance(entities, StoredVocabulary):
        entities.move(place("entities.parquet"), spill)
    else:
        labels = {} if graph.labels is None else {"label": graph.labels}
        pl.DataFrame({"name": entities.names, **labels}).write_parquet(place("entities.parquet"))
    pl.DataFrame({"name": graph.relations.names}).write_parquet(place("relations.parquet"))
    for split in _FACTS:
        move_or_write(getattr(graph, split), place(f"{split}.npy"), spill)
    for split, confidence in graph.confidence.items():
        move_or_write(confidence, place(f"{split}-confidence.npy"), spill)
    if graph.attributes is not None:
        graph.attributes.write_parquet(place("attributes.parquet"))
    about: dict[str, Any] = {
        "name": graph.name,
        "license": graph.license,
        "entities": len(graph.entities),
        "relations": len(graph.relations),
        "facts": {split: len(getattr(graph, split)) for split in _FACTS},
        "duplicates_left_out": graph.duplicates,
    }
    if (stated := graph.identities) is not None:
        stated.pairs.write_parquet(place("identities.parquet"))
        stated.entities.write_parquet(place("identities-entities.parquet"))
        stated.relations.write_parquet(place("identities-relations.parquet"))
        about["identities"] = {x: getattr(stated, x) for x in ("stated", "merged", "spelling")}
    return about


def _read_graph(
    directory: Path, number: int, about: Mapping[str, Any], manifest: Mapping[str, Any]
) -> KnowledgeGraph:
    def table(name: str) -> pl.DataFrame:
        return pl.read_parquet(directory / f"{number}-{name}.parquet", glob=False)

    def vocabulary(kind: str) -> Vocabulary:
        file = directory / f"{number}-{kind}.parquet"
        if pq.read_metadata(file).num_rows != about[kind]:
            raise ValueError(f"{file.name} has another number of names")
        return StoredVocabulary(file, about[kind])

    ends = about["entities"], about["relations"], about["entities"]
    has_labels = "label" in pl.read_parquet_schema(directory / f"{number}-entities.parquet")
    has_attributes = f"{number}-attributes.parquet" in manifest["files"]
    confidences = {
        split: mapped(directory / file)
        for split in SPLITS
        if (file := f"{number}-{split}-confidence.npy") in manifest["files"]
    }
    identities = None
    if "identities" in about:
        pairs, *further = (table(f"identities{x}") for x in ("", "-entities", "-relations"))
        identities = Identities(pairs, further[0], further[1], **about["identities"])
    return KnowledgeGraph(
        about["name"],
        vocabulary("entities"),
        vocabulary("relations"),
        **{split: _rows(directory / f"{number}-{split}.npy", *ends) for split in _FACTS},
        labels=table("entities")["label"] if has_labels else None,
        attributes=table("attributes") if has_attributes else None,
        duplicates=about["duplicates_left_out"],
        identities=identities,
        confidence=confidences,
        license=about["license"],
    )


# ------------------------------------------------------------------------------------------- links


def _write_links(links: Links, directory: Path, number: int) -> dict[str, Any]:
    left, right = links.pairs.T
    frame = pl.DataFrame({"left": left, "right": right, "confidence": links.confidence})
    frame.write_parquet(directory / f"links-{number}.parquet")
    about = {x: getattr(links, x) for x in ("left", "right", "kind", "provenance")}
    return {**about, "links": len(links)}


def _read_links(directory: Path, number: int, about: Mapping[str, Any]) -> Links:
    frame = pl.read_parquet(directory / f"links-{number}.parquet", glob=False)
    return Links(
        about["left"],
        about["right"],
        frame.select("left", "right").to_numpy(order="c"),
        frame["confidence"].to_numpy(),
        about["kind"],
        about["provenance"],
    )


# ------------------------------------------------------------------------------------------- joint


def _write_joint(graph: JointGraph, directory: Path, spill: Path) -> dict[str, Any]:
    move_or_write(graph.triples, directory / "joint-facts.npy", spill)
    move_or_write(graph.triple_sources, directory / "joint-sources.npy", spill)
    if graph.confidence is not None:
        move_or_write(graph.confidence, directory / "joint-confidence.npy", spill)
    for number, part in enumerate(graph.parts.values()):
        move_or_write(part.entity_rows, directory / f"joint-{number}-entities.npy", spill)
        move_or_write(part.relation_rows, directory / f"joint-{number}-relations.npy", spill)
    conflicts = json.dumps([asdict(x) for x in graph.conflicts], ensure_ascii=False)
    (directory / "joint-conflicts.json").write_text(conflicts, encoding="utf-8")
    return {
        "sources": list(graph.sources),
        "entities": graph.n_entities,
        "relations": graph.n_relations,
        "facts": len(graph.triples),
        "links_left_out": len(graph.conflicts),
    }


def _read_joint(
    directory: Path, manifest: Mapping[str, Any], graphs: Mapping[str, KnowledgeGraph]
) -> JointGraph | None:
    if (about := manifest["joint"]) is None:
        return None
    parts, n_entities, n_relations = {}, about["entities"], about["relations"]
    for number, name in enumerate(about["sources"]):
        graph = graphs[name]
        parts[name] = JointSource(
            graph.entities,
            graph.relations,
            _rows(directory / f"joint-{number}-entities.npy", n_entities),
            _rows(directory / f"joint-{number}-relations.npy", n_relations),
            graph.labels,
            graph.license,
        )
    has_confidence = "joint-confidence.npy" in manifest["files"]
    conflicts = json.loads((directory / "joint-conflicts.json").read_text(encoding="utf-8"))
    return JointGraph(
        parts,
        n_entities,
        n_relations,
        _rows(directory / "joint-facts.npy", n_entities, n_relations, n_entities),
        _rows(directory / "joint-sources.npy", len(parts), kind=np.int16),
        tuple(_conflict(x) for x in conflicts),
        mapped(directory / "joint-confidence.npy") if has_confidence else None,
        {
            name: part.joint(graphs[name].known_false)
            for name, part in parts.items()
            if len(graphs[name].known_false)
        },
    )


def _conflict(about: dict[str, Any]) -> LinkConflict:
    pairs = {x: tuple(about[x]) for x in ("left", "right", "kept_apart")}
    return LinkConflict(**{**about, **pairs})
