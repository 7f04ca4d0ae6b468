"""Prepared directories: a collection in numbers, joined, whose facts are read through memory maps.

======================  ====================================================================
manifest.json           format, sources, links, counts, and size and checksum of the other files
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

A source is read when it is asked for, and a file is checked when it is read for the first time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from kgraft.errors import DataError
from kgraft.graph.identities import Identities
from kgraft.graph.knowledge_graph import SPLITS, KnowledgeGraph
from kgraft.io.checked_files import AGAIN, CheckedFiles, checksums
from kgraft.io.staged_names import StoredVocabulary
from kgraft.linking.collection import Collection
from kgraft.linking.joint_graph import JointGraph, JointSource, LinkConflict
from kgraft.linking.links import Links
from kgraft.system.arrays import mapped, move_or_write
from kgraft.system.files import read_text

FORMAT: Final = 2
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
        "files": checksums(directory),
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False)
    (directory / MANIFEST).write_text(text, encoding="utf-8")
    return manifest


def read_prepared(directory: Path) -> Collection:
    """Read a prepared collection: sources are read when they are asked for, and facts stay on disk.

    Raises:
        DataError: If a file is missing, or was changed or cut off; or of another format.
    """
    with _in_words(directory):
        manifest = json.loads(read_text(directory / MANIFEST))
        if manifest["format"] != FORMAT:
            raise DataError(
                f"this has format {manifest['format']}, and kgraft {version('kgraft')} reads "
                f"format {FORMAT}",
                remedy=AGAIN,
                path=directory,
            )
        files = CheckedFiles(directory, manifest["files"])
        return Collection(
            manifest["name"],
            _Graphs(files, manifest["sources"]),
            tuple(_read_links(files, n, x) for n, x in enumerate(manifest["links"])),
            manifest["target"],
            manifest["description"],
            joined=_read_joint(files, manifest),
        )


@contextmanager
def _in_words(directory: Path) -> Iterator[None]:
    """Say in words what is wrong with files that are read in the block."""
    try:
        yield
    except READ_ERRORS as error:
        raise DataError(
            f"the files of this prepared collection do not fit together ({error})",
            remedy=AGAIN,
            path=directory,
        ) from error


class _Graphs(Mapping[str, KnowledgeGraph]):
    """The sources of a prepared directory by name, each read when it is first asked for.

    Args:
        files: The directory's files.
        about: What the manifest says of each source.
    """

    def __init__(self, files: CheckedFiles, about: Sequence[Mapping[str, Any]]) -> None:
        self._files = files
        self._about = {x["name"]: (number, x) for number, x in enumerate(about)}
        self._read: dict[str, KnowledgeGraph] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._about)

    def __len__(self) -> int:
        return len(self._about)

    def __contains__(self, name: object) -> bool:
        return name in self._about

    def __getitem__(self, name: str) -> KnowledgeGraph:
        """Return a source.

        Raises:
            DataError: If one of its files was changed, or does not fit to the others.
        """
        if name not in self._read:
            with _in_words(self._files.directory):
                self._read[name] = _read_graph(self._files, *self._about[name])
        return self._read[name]


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


def _read_graph(files: CheckedFiles, number: int, about: Mapping[str, Any]) -> KnowledgeGraph:
    ends = about["entities"], about["relations"], about["entities"]
    confidences = {
        split: mapped(files.path(file))
        for split in SPLITS
        if (file := f"{number}-{split}-confidence.npy") in files
    }
    identities = None
    if "identities" in about:
        parts = ("", "-entities", "-relations")
        pairs, *further = (files.table(f"{number}-identities{x}.parquet") for x in parts)
        identities = Identities(pairs, further[0], further[1], **about["identities"])
    attributes = f"{number}-attributes.parquet"
    return KnowledgeGraph(
        about["name"],
        _read_names(files, number, "entities", about),
        _read_names(files, number, "relations", about),
        **{split: files.rows(f"{number}-{split}.npy", *ends) for split in _FACTS},
        labels=_read_labels(files, number),
        attributes=files.table(attributes) if attributes in files else None,
        duplicates=about["duplicates_left_out"],
        identities=identities,
        confidence=confidences,
        license=about["license"],
    )


def _read_names(
    files: CheckedFiles, number: int, kind: str, about: Mapping[str, Any]
) -> StoredVocabulary:
    file = files.path(f"{number}-{kind}.parquet")
    if pq.read_metadata(file).num_rows != about[kind]:
        raise ValueError(f"{file.name} has another number of names")
    return StoredVocabulary(file, about[kind])


def _read_labels(files: CheckedFiles, number: int) -> pl.Series | None:
    file = files.path(f"{number}-entities.parquet")
    if "label" not in pl.read_parquet_schema(file):
        return None
    return pl.read_parquet(file, columns=["label"], glob=False)["label"]


# ------------------------------------------------------------------------------------------- links


def _write_links(links: Links, directory: Path, number: int) -> dict[str, Any]:
    left, right = links.pairs.T
    frame = pl.DataFrame({"left": left, "right": right, "confidence": links.confidence})
    frame.write_parquet(directory / f"links-{number}.parquet")
    about = {x: getattr(links, x) for x in ("left", "right", "kind", "provenance")}
    return {**about, "links": len(links)}


def _read_links(files: CheckedFiles, number: int, about: Mapping[str, Any]) -> Links:
    frame = files.table(f"links-{number}.parquet")
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


def _read_joint(files: CheckedFiles, manifest: Mapping[str, Any]) -> JointGraph | None:
    if (about := manifest["joint"]) is None:
        return None
    known = {x["name"]: (number, x) for number, x in enumerate(manifest["sources"])}
    parts, known_false = {}, {}
    n_entities, n_relations = about["entities"], about["relations"]
    for place, name in enumerate(about["sources"]):
        number, source = known[name]
        parts[name] = JointSource(
            _read_names(files, number, "entities", source),
            _read_names(files, number, "relations", source),
            files.rows(f"joint-{place}-entities.npy", n_entities),
            files.rows(f"joint-{place}-relations.npy", n_relations),
            _read_labels(files, number),
            source["license"],
        )
        if source["facts"]["known_false"]:
            ends = source["entities"], source["relations"], source["entities"]
            false = files.rows(f"{number}-known_false.npy", *ends)
            known_false[name] = parts[name].joint(false)
    conflicts = json.loads(read_text(files.path("joint-conflicts.json")))
    has_confidence = "joint-confidence.npy" in files
    return JointGraph(
        parts,
        n_entities,
        n_relations,
        files.rows("joint-facts.npy", n_entities, n_relations, n_entities),
        files.rows("joint-sources.npy", len(parts), kind=np.int16),
        tuple(_conflict(x) for x in conflicts),
        mapped(files.path("joint-confidence.npy")) if has_confidence else None,
        known_false,
    )


def _conflict(about: dict[str, Any]) -> LinkConflict:
    pairs = {x: tuple(about[x]) for x in ("left", "right", "kept_apart")}
    return LinkConflict(**{**about, **pairs})
