"""The rule for a collection's files: below its directory, unless its user allows more."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from kgraft.errors import DataError
from kgraft.io.source import GraphSource

ALLOW = "--allow-outside (in Python allow_outside=True)"
"""The option that allows more."""


def is_outside(file: Path, directory: Path) -> bool:
    """Return True for a file that is not below a directory, as symbolic links lead."""
    if "\0" in str(file):
        return False  # The reader says what is wrong with such a name.
    return not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(directory))


def check_links(files: Iterable[Path], directory: Path) -> None:
    """Refuse a file that leads outside of the directory that was read.

    Raises:
        DataError: If there is one.
    """
    for file in files:
        if is_outside(file, directory):
            raise outside(f"this link leads outside of {directory}", file)


def outside(problem: str, path: Path, line: int | None = None) -> DataError:
    """Return the error of a file outside of its collection's directory."""
    return DataError(
        problem,
        remedy=f"Move it there or, if you trust this collection, give {ALLOW}",
        path=path,
        line=line,
    )


def files_of(source: GraphSource) -> list[Path]:
    """Return all files that a source names."""
    lists = (source.entities, source.relations, source.labels)
    found = [*source.train, *source.valid, *source.test, *source.negatives, *source.attributes]
    return found + [path for path in lists if path is not None]
