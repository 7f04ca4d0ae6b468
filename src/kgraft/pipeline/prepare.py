"""Preparing: a collection that is larger than memory, read and joined on the disk, once."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from kgraft.graph.knowledge_graph import Triples, no_triples
from kgraft.io.out_of_core import OutOfCore
from kgraft.io.prepared_directory import write_prepared
from kgraft.io.read_collection import read_collection
from kgraft.linking.collection import Collection
from kgraft.linking.join import join
from kgraft.linking.joint_graph import JointGraph
from kgraft.system.arrays import mapped, write_pieces
from kgraft.system.extras import import_extra
from kgraft.system.memory import available
from kgraft.system.outputs import behind_links, write_directory
from kgraft.system.progress import Listener, default_listener

SHARE: Final = 0.4
"""Share of the free memory that DuckDB gets; readers, links and numbers of entities need some."""


def prepare(
    collection: str | Path,
    directory: Path,
    *,
    spill: Path | None = None,
    memory: int | None = None,
    threads: int = 1,
    allow_outside: bool = False,
    listener: Listener | None = None,
) -> dict[str, Any]:
    """Read and join a collection out of core, and write it as a directory of numbers and names.

    The directory may be given in the place of the collection. Names have the numbers, and links are
    merged, as when the collection is read into memory. In memory are the links, a few numbers for
    each entity, and literals; all else is on the disk.

    Args:
        collection: What ``read_collection`` reads.
        directory: Where to write, whole or not at all; what is there is replaced.
        spill: Directory for what does not fit into memory; by default the one of ``directory``.
        memory: Bytes of memory for DuckDB; by default ``SHARE`` of what is free.
        threads: Threads of DuckDB.
        allow_outside: Whether files outside of the collection's directory are read too.
        listener: Receives the progress.

    Returns:
        The manifest of the directory, with counts.

    Raises:
        KgraftError: If the extra ``prepare`` is not installed, or memory or disk do not suffice.
        DataError: As ``read_collection``.
    """
    import_extra("duckdb", extra="prepare")
    listener = listener or default_listener()
    place = spill_of(directory, spill)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        how = OutOfCore(place, memory or int(SHARE * available()), threads, listener)
        found = read_collection(collection, allow_outside=allow_outside, reader=how.read_graph)
        found = replace(found, joined=_joined(found, place, listener))
        with write_directory(directory) as temporary:
            return write_prepared(found, temporary, place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def spill_of(directory: Path, spill: Path | None) -> Path:
    """Return the directory for what does not fit into memory, which one run uses at a time."""
    directory = behind_links(directory)
    return (spill or directory.parent) / f".{directory.name}.spill"


def _joined(collection: Collection, place: Path, listener: Listener) -> JointGraph | None:
    """Join the backgrounds, with their facts in a file."""
    names = collection.backgrounds()
    if not names:
        return None

    def store(pieces: Iterable[Triples], n_rows: int) -> Triples:
        file = place / "joint.npy"
        write_pieces(file, pieces, no_triples(), n_rows)
        return mapped(file)

    listener.begin("joining", 1)
    graphs = [collection.graphs[name] for name in names]
    try:
        return join(graphs, collection.links, store=store)
    finally:
        listener.end()
