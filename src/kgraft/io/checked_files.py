"""The files of a prepared directory, each checked when it is read for the first time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.errors import DataError
from kgraft.system.arrays import mapped, over_pieces
from kgraft.system.files import checksum_of_pieces
from kgraft.system.threads import thread_map

AGAIN: Final = "Prepare the collection again"
"""The remedy for a damaged directory."""


def checksums(directory: Path) -> dict[str, Any]:
    """Return the checksum of each file of a directory, by name."""
    with thread_map() as over_threads:
        return {x.name: checksum_of_pieces(x, over_threads) for x in sorted(directory.iterdir())}


class CheckedFiles:
    """The files of a prepared directory, each checked when it is first asked for.

    Args:
        directory: Where they are.
        known: The manifest's checksum of each.

    Raises:
        DataError: If one is missing, or of another size.
    """

    def __init__(self, directory: Path, known: Mapping[str, Any]) -> None:
        self.directory = directory
        self._known = dict(known)
        self._checked: set[str] = set()
        for name, about in self._known.items():
            path = directory / name
            if path.parent != directory or not path.is_file():
                raise DataError("this file is missing", remedy=AGAIN, path=path)
            if about["bytes"] != path.stat().st_size:
                raise _changed(path)

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def path(self, name: str) -> Path:
        """Return the path of a file.

        Raises:
            DataError: If the file was changed since it was written.
        """
        path = self.directory / name
        if name not in self._checked:
            with thread_map() as over_threads:
                if checksum_of_pieces(path, over_threads) != self._known[name]:
                    raise _changed(path)
            self._checked.add(name)
        return path

    def table(self, name: str) -> pl.DataFrame:
        """Return the table of a file."""
        return pl.read_parquet(self.path(name), glob=False)

    def rows(self, name: str, *sizes: int, kind: type[np.integer[Any]] = np.int64) -> NDArray[Any]:
        """Return a mapped array of rows, one number a row or a column for each table.

        Args:
            name: The file.
            sizes: The size of the table of each column.
            kind: The type of the numbers.

        Raises:
            ValueError: If it is another array, or a row is none of its table.
        """
        found, width = mapped(self.path(name)), (len(sizes),) if len(sizes) > 1 else ()
        if found.dtype != kind or found.shape[1:] != width:
            raise ValueError(f"{name} holds another array")
        limits = np.array(sizes, dtype=np.uint64)

        def is_within(piece: NDArray[Any]) -> bool:
            # A number below 0 is a large one without a sign.
            return bool((piece.view(f"u{piece.itemsize}") < limits).all())

        if not all(over_pieces(is_within, found)):
            raise ValueError(f"{name} has a row beyond the end of its table")
        return found


def _changed(path: Path) -> DataError:
    found = "this file was changed or cut off since it was written"
    return DataError(found, remedy=AGAIN, path=path)
