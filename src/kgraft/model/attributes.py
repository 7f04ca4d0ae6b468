"""Attributes of a teacher's sources, kept beside the model for aligning and read only then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from kgraft.errors import ModelDirectoryError
from kgraft.graph.knowledge_graph import ATTRIBUTE_SCHEMA, KnowledgeGraph
from kgraft.io.columnar import read_table
from kgraft.model.manifest import verified_files

ATTRIBUTES: Final = "attributes.parquet"
"""File of the attributes that aligning can use, where there are some."""

LONGEST: Final = 500
"""Characters of a value that is kept; longer ones are texts, which two graphs seldom share."""

MAX_ENTITIES: Final = 50
"""Entities of a source with a value, for it to be kept; commoner ones tell no entity apart."""

Attributes = Mapping[str, pl.DataFrame]
"""By source, the columns of ``ATTRIBUTE_SCHEMA`` with rows of the source's own entities."""


def useful_attributes(graphs: Iterable[KnowledgeGraph]) -> dict[str, pl.DataFrame]:
    """Return the attributes of graphs that aligning can use: short values of few entities."""
    found = {}
    for graph in graphs:
        if graph.attributes is None:
            continue
        value = pl.col("value")
        kept = graph.attributes.filter(
            value.str.len_chars() <= LONGEST,
            pl.col("entity").n_unique().over("value") <= MAX_ENTITIES,
        )
        if len(kept):
            found[graph.name] = kept
    return found


def write_attributes(attributes: Attributes, directory: Path) -> None:
    """Write attributes as a table of a model directory, if there are any."""
    named = [x.select(pl.lit(name).alias("source"), pl.all()) for name, x in attributes.items()]
    if named:
        pl.concat(named).write_parquet(directory / ATTRIBUTES)


def read_attributes(
    directory: Path, checksum: Any, sizes: Mapping[str, int]
) -> dict[str, pl.DataFrame]:
    """Read what ``write_attributes`` has written.

    Args:
        directory: The model directory.
        checksum: That of the file in the manifest.
        sizes: Number of entities of each source.

    Raises:
        ModelDirectoryError: If the file is missing, damaged or changed since it was written, or
            does not fit the model.
    """
    path, schema = directory / ATTRIBUTES, {"source": pl.String, **ATTRIBUTE_SCHEMA}
    with verified_files(directory, {ATTRIBUTES: checksum}):
        table = read_table(path)
    if dict(table.schema) != schema or table["source"].is_in(list(sizes)).not_().any():
        raise _unfit(path)
    by_source = table.partition_by("source", as_dict=True, include_key=False)
    found = {str(name): rows for (name,), rows in by_source.items()}
    for name, rows in found.items():
        if not rows["entity"].is_between(0, sizes[name] - 1).fill_null(value=False).all():
            raise _unfit(path)
    return found


def _unfit(path: Path) -> ModelDirectoryError:
    return ModelDirectoryError(
        f"{path}: these attributes do not fit the model. Copy or train the model again."
    )
