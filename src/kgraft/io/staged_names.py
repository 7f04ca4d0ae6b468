"""Entity names that are numbered out of core: hashes in place of rows, the names in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from kgraft.graph.vocabulary import Rows, Vocabulary, forms_of
from kgraft.io.named_facts import NameTable
from kgraft.system.arrays import move_or_copy
from kgraft.system.threads import thread_map

R = TypeVar("R")

SCHEMA: Final = pa.schema(
    [
        ("hash", pa.int64()),
        ("low", pa.uint32()),
        ("high", pa.uint32()),
        ("name", pa.large_string()),
    ]
)
"""A name of a batch, its hash, and bounds of its second hash."""

NAMES: Final = pa.schema([("name", pa.large_string())])
"""A file of names in the order of their rows."""

SMALL: Final = 1_000_000
"""Names that are all read, and kept, where one is asked for."""


def hashes(names: pl.Series, seed: int) -> pl.Series:
    """Return a hash of each name, UInt64."""
    return names.hash(seed)


class StagedNames(NameTable):
    """Gives names a hash in place of a row, until all are read and ``number`` has their order.

    A batch's names are written to a file, each once. Should two names have one hash, their second
    hashes differ, and all is read again with another seed.

    Args:
        file: The file of names, which is written.
        seed: Seed of the hashes.
    """

    def __init__(self, file: Path, seed: int) -> None:
        super().__init__()
        self._seed = seed
        self._writer = pq.ParquetWriter(
            file, SCHEMA, use_dictionary=False, compression={"name": "zstd"}
        )

    def rows(self, *columns: pl.Series) -> list[Rows]:
        """Return the hashes of names, and write each name to the file."""
        names = pl.concat([column.rename("name") for column in columns])
        found = hashes(names, self._seed).to_numpy().view(np.int64)
        check = hashes(names, self._seed + 1).cast(pl.UInt32, wrap_numerical=True)
        each = (
            pl.DataFrame({"hash": found, "check": check, "name": names})
            .group_by("hash")
            .agg(pl.col("name").first(), low=pl.col("check").min(), high=pl.col("check").max())
        )
        self._writer.write_table(each.select(SCHEMA.names).to_arrow().cast(SCHEMA))
        return list(found.reshape(len(columns), -1))

    def in_order(self) -> Rows:
        """Return the row of each name that is numbered, in whose order they are already."""
        return np.arange(len(self._numbered))

    def is_numbered(self, names: Vocabulary) -> None:
        """Take over the names in the order of their rows."""
        self._numbered = names

    def vocabulary(self) -> Vocabulary:
        """Return all names in row order, once they are numbered."""
        return self._numbered

    def close(self) -> None:
        """Write the end of the file."""
        self._writer.close()


class StoredVocabulary(Vocabulary):
    """Names in a Parquet file, read when they are asked for.

    Args:
        file: The file.
        size: Number of names.
        groups: The file's row groups that hold the names; by default all.
    """

    def __init__(self, file: Path, size: int, groups: range | None = None) -> None:
        object.__setattr__(self, "file", file)
        object.__setattr__(self, "_size", size)
        object.__setattr__(self, "_groups", groups)

    file: Path
    _size: int
    _groups: range | None

    def __len__(self) -> int:
        return self._size

    def move(self, file: Path, spill: Path) -> None:
        """Move the names' file if it is in ``spill``, or copy it from elsewhere."""
        move_or_copy(self.file, file, spill)
        object.__setattr__(self, "file", file)

    @cached_property
    def names(self) -> pl.Series:
        """All names."""
        return pl.concat([pl.Series("name", dtype=pl.String), *self.pieces()])

    def pieces(self) -> Iterator[pl.Series]:
        """Yield all names in row order, reading the file piece by piece."""
        with pq.ParquetFile(self.file) as file:
            for place in self._own_groups(file.metadata):
                names = file.read_row_group(place, columns=["name"], use_threads=False)["name"]
                yield pl.Series("name", names, dtype=pl.String)

    def _own_groups(self, about: pq.FileMetaData) -> range:
        return range(about.num_row_groups) if self._groups is None else self._groups

    def rows(self, names: pl.Series) -> Rows:
        """Return the row of each name, or -1, reading the file piece by piece."""
        if "names" in vars(self):
            return super().rows(names)
        asked = pl.DataFrame({"name": names.cast(pl.String)})
        wanted = asked["name"].unique().implode()

        def among(begin: int, piece: pa.ChunkedArray) -> pl.DataFrame:
            places = pl.Series("row", pl.Series(piece).is_in(wanted).arg_true(), dtype=pl.Int64)
            return pl.DataFrame({"name": _taken(piece, places.to_numpy()), "row": places + begin})

        known = [pl.DataFrame(schema={"name": pl.String, "row": pl.Int64})]
        known += self._over_pieces(among)
        found = asked.join(pl.concat(known), on="name", how="left", maintain_order="left")
        return found["row"].fill_null(-1).to_numpy().astype(np.int64)

    def gather(self, rows: Rows) -> pl.Series:
        """Return the names of many rows, reading the file piece by piece."""
        if "names" in vars(self):
            return super().gather(rows)
        wanted, place = np.unique(rows, return_inverse=True)

        def among(begin: int, piece: pa.ChunkedArray) -> pl.Series:
            first, end = np.searchsorted(wanted, [begin, begin + len(piece)])
            return _taken(piece, wanted[first:end] - begin)

        found = [pl.Series("name", dtype=pl.String), *self._over_pieces(among, wanted)]
        return pl.concat(found).gather(place)

    def name(self, row: int) -> str:
        """Return the name of one row; of a small file all names are kept then."""
        if len(self) <= SMALL:
            return super().name(row)
        return str(self.gather(np.array([row]))[0])

    def count_matching(self, pattern: str, *, literal: bool = False) -> int:
        """Return the number of names that contain a match of a pattern, or a literal text."""

        def among(_: int, piece: pa.ChunkedArray) -> int:
            return int(pl.Series(piece).str.contains(pattern, literal=literal).sum())

        return sum(self._over_pieces(among))

    def _row_of_forms(self, asked: pl.Series) -> pl.DataFrame:
        """Return columns form and row, of those asked for, that one name alone has."""
        wanted = asked.unique().implode()

        def among(begin: int, piece: pa.ChunkedArray) -> pl.DataFrame:
            found = forms_of(pl.Series(piece), begin).filter(pl.col("form").is_in(wanted))
            # Through Arrow: a selection would keep all forms in memory.
            return pl.DataFrame(found.to_arrow(compat_level=pl.CompatLevel.oldest()))

        known = [pl.DataFrame(schema={"form": pl.String, "row": pl.Int64})]
        known += self._over_pieces(among)
        return pl.concat(known).filter(~pl.col("form").is_duplicated())

    def _over_pieces(
        self, work: Callable[[int, pa.ChunkedArray], R], rows: Rows | None = None
    ) -> list[R]:
        """Return what ``work`` makes of each piece of the file: its first row, and its names.

        Args:
            work: The work.
            rows: Rows in order; pieces without one are left out.
        """
        about = pq.read_metadata(self.file)
        groups = self._own_groups(about)
        sizes = [about.row_group(place).num_rows for place in groups]
        begins = np.cumsum([0, *sizes])
        pieces = np.arange(len(sizes))
        if rows is not None:
            pieces = np.unique(np.searchsorted(begins, rows, side="right") - 1)

        def of_piece(place: int) -> R:
            with pq.ParquetFile(self.file) as file:
                names = file.read_row_group(groups[place], columns=["name"], use_threads=False)
            return work(int(begins[place]), names["name"])

        with thread_map() as over_threads:
            return list(over_threads(of_piece, pieces.tolist()))


def _taken(names: pa.ChunkedArray, rows: Rows) -> pl.Series:
    """Return some names as a series that does not keep the others in memory."""
    return pl.Series("name", names.take(pa.array(rows)), dtype=pl.String)
