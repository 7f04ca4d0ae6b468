"""A vector index of the entities, with the relations to ask it by."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kgraft.exporting.selection import Selection
from kgraft.system.extras import import_extra


def write_usearch(selection: Selection, directory: Path) -> None:
    """Write ``entities.usearch``, whose keys are rows of ``entities.parquet``, and relations.

    The index holds float32 and goes by inner products, as scores do.
    """
    usearch = import_extra("usearch.index", extra="usearch")
    table = selection.entities
    index = usearch.Index(ndim=table.vectors.shape[1], metric="ip", dtype="f32")
    for part in selection.batches(table, "usearch"):
        index.add(np.arange(part.start, part.stop), table.vectors[part])
    index.save(str(directory / "entities.usearch"))
    table.about.write_parquet(directory / "entities.parquet")
    selection.relations.frame.write_parquet(directory / "relations.parquet")
