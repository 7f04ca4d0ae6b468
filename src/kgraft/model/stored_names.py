"""The entity names of a large teacher, left in its directory's table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from kgraft.graph.vocabulary import Rows, Vocabulary
from kgraft.io.staged_names import SMALL, StoredVocabulary, hashes

GROUP_ROWS = 1 << 20
"""Maximum number of rows of a row group, which is read at once."""

GROUP_BYTES = 1 << 30
"""Maximum number of bytes of its names."""

Names = tuple[Vocabulary, Rows, pl.Series | None]
"""A source's names, the row of each, and the labels if there are any."""


def stored_entities(path: Path, sources: Sequence[str]) -> dict[str, Names] | None:
    """Return the names of each source as a vocabulary that reads the table when it is asked.

    Args:
        path: The table, as ``write_joint_graph`` writes it.
        sources: The sources.

    Returns:
        ``None`` for a table that is small or that is to be read whole and checked: where a row
        group has names of several sources or could become large in memory, or names are repeated.
    """
    with pq.ParquetFile(path) as file:
        about, schema = file.metadata, file.schema_arrow
        if about.num_rows <= SMALL or not _is_as_written(schema):
            return None
        owners = [_owner(about.row_group(place), schema) for place in range(about.num_row_groups)]
    groups, found = _groups_by_owner(owners), dict[str, Names]()
    if groups is None or not groups.keys() <= {*sources}:
        return None
    for source in sources:
        places = groups.get(source, range(0))
        size = sum(about.row_group(place).num_rows for place in places)
        names = StoredVocabulary(path, size, places)
        if not _are_distinct(names):
            return None
        found[source] = names, *_rows_and_labels(path, places)
    return found


def _is_as_written(schema: pa.Schema) -> bool:
    texts = (pa.string(), pa.large_string())
    kinds = {"source": texts, "name": texts, "label": texts, "row": (pa.int64(),)}
    return set(schema.names) == set(kinds) and all(schema.field(x).type in kinds[x] for x in kinds)


def _owner(group: pq.RowGroupMetaData, schema: pa.Schema) -> str | None:
    """Return the only source of a row group, "" for an empty one, and None where it is unsafe."""
    columns = {group.column(x).path_in_schema: group.column(x) for x in range(len(schema))}
    source, name, row = (columns[x] for x in ("source", "name", "row"))
    plain = not any("DICT" in x or "DELTA" in x for x in name.encodings)
    small = group.num_rows <= GROUP_ROWS and name.total_uncompressed_size <= GROUP_BYTES
    known = [x.statistics for x in (source, name, row)]
    if not group.num_rows:
        return ""
    if not (plain and small) or any(x is None or x.null_count for x in known):
        return None
    one = known[0].has_min_max and known[0].min == known[0].max
    return str(known[0].min) if one else None


def _groups_by_owner(owners: Sequence[str | None]) -> dict[str, range] | None:
    """Return each source's row groups, which have to be adjacent; else None."""
    if None in owners:
        return None
    found = dict[str, range]()
    for owner, places in groupby(range(len(owners)), key=lambda place: owners[place] or ""):
        own = [*places]
        if owner in found:
            return None
        found[owner] = range(own[0], own[-1] + 1)
    found.pop("", None)
    return found


def _are_distinct(names: StoredVocabulary) -> bool:
    """Return True if no two names have one hash."""
    found = [hashes(piece, 0).to_numpy() for piece in names.pieces()]
    every = np.concatenate(found) if found else np.empty(0)
    every.sort()
    return not (every[1:] == every[:-1]).any()


def _rows_and_labels(path: Path, groups: range) -> tuple[Rows, pl.Series | None]:
    with pq.ParquetFile(path) as file:
        table = file.read_row_groups([*groups], columns=["row", "label"], use_threads=False)
    labels = pl.Series("label", table["label"], dtype=pl.String)
    has_labels = labels.null_count() < len(labels)
    return table["row"].to_numpy(), labels if has_labels else None
