"""The manifest of a model directory, and files that are what it says."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kgraft.errors import DataError, ModelDirectoryError
from kgraft.model.tensor_file import TensorFile, read_tensor_file
from kgraft.system.files import checksum, open_regular
from kgraft.system.outputs import is_half_replaced

FORMAT = 10
"""Version of the format, raised by every change of what a directory holds; no other is read."""

MANIFEST = "manifest.json"

MAX_MANIFEST = 1 << 24
"""The most bytes of a manifest."""

READ_ERRORS = (
    AttributeError,
    LookupError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Errors of reading files that are damaged or do not fit together."""


def read_manifest(directory: Path) -> dict[str, Any]:
    """Return a model directory's manifest.

    Raises:
        ModelDirectoryError: If it is missing, unreadable, or of another format.
    """
    path = directory / MANIFEST
    try:
        with open_regular(path) as file:
            # A file of the system's may say that it is empty, and never end.
            size = os.fstat(file.fileno()).st_size
            if size > MAX_MANIFEST:
                raise ValueError(f"it has {size:,} bytes; a manifest has {MAX_MANIFEST:,} at most")
            manifest = json.loads(file.read(size).decode("utf-8"))
        number = int(manifest["format"])
    except FileNotFoundError:
        if is_half_replaced(directory):
            raise ModelDirectoryError(
                f"{directory}: a command was stopped while it put a model here. Start the same "
                "command again, with --resume if it trains."
            ) from None
        raise ModelDirectoryError(
            f"{directory}: there is no {MANIFEST} here. Name the directory that train, pretrain or "
            "retrain has written."
        ) from None
    except PermissionError as error:
        raise unreadable(error) from None
    except (*READ_ERRORS, DataError) as error:
        raise ModelDirectoryError(
            f"{path}: this cannot be read ({error}). Copy or train the model again."
        ) from error
    if number != FORMAT:
        remedy = "Upgrade kgraft" if number > FORMAT else "Train the model again"
        raise ModelDirectoryError(
            f"{directory}: this model has format {number}, written by kgraft "
            f"{manifest.get('kgraft', 'of another version')}; this is kgraft {version('kgraft')}, "
            f"which reads format {FORMAT}. {remedy}."
        )
    return dict(manifest)


def unreadable(error: PermissionError) -> ModelDirectoryError:
    """Return the error of a file that this user may not read."""
    return ModelDirectoryError(
        f"{error.filename}: this user may not read it. Ask for the right to read it."
    )


@contextmanager
def verified_files(directory: Path, checksums: Mapping[str, Any]) -> Iterator[None]:
    """Check files before the block reads them, and that none has changed when it ends.

    Args:
        directory: A model directory.
        checksums: The manifest's checksum of each file; None for one that it lacks.

    Raises:
        ModelDirectoryError: If a file is missing, or was changed or cut off.
        ValueError: If a name is that of no file in the directory itself.
    """
    before = {name: _check_file(directory, name, known) for name, known in checksums.items()}
    try:
        yield
    finally:
        # A change says more than the error that it may have caused.
        for name, state in before.items():
            if _state(directory / name) != state:
                raise _changed(directory / name)


def _check_file(directory: Path, name: str, known: Any) -> tuple[int, int, int]:
    """Check that a file is in the directory and has its checksum; return its state before that."""
    path = directory / name
    if path.parent != directory or name in ("", ".", ".."):
        raise ValueError(f"the manifest names {name!r}, which is no file in this directory")
    state = _state(path)
    if known is None or known["bytes"] != path.stat().st_size or checksum(path) != known:
        raise _changed(path)
    return state


def read_verified_tensors(path: Path, known: Any, **how: Any) -> TensorFile:
    """Read tensors whose bytes, as they are in memory, have the manifest's checksum.

    Args:
        path: The file.
        known: Its checksum in the manifest; None if it is not named there.
        how: Which tensors stay in the file, as in ``read_tensor_file``.

    Raises:
        ModelDirectoryError: If the file is missing, or was changed or cut off.
        ValueError: If it is no safetensors file.
    """
    _, _, size = _state(path)
    if known is None or known["bytes"] != size:
        raise _changed(path)
    try:
        found = read_tensor_file(path, **how)
    except (*READ_ERRORS, DataError):
        # That the file was changed says more than where it first shows.
        if checksum(path) != known:
            raise _changed(path) from None
        raise
    if {"bytes": found.size, "sha256": found.sha256} != known:
        raise _changed(path)
    return found


def _state(path: Path) -> tuple[int, int, int]:
    """Return what changes with a file's content.

    Raises:
        ModelDirectoryError: If there is no such file.
    """
    if not path.is_file():
        raise ModelDirectoryError(f"{path}: this file is missing. Copy or train the model again.")
    about = path.stat()
    return about.st_ino, about.st_mtime_ns, about.st_size


def _changed(path: Path) -> ModelDirectoryError:
    return ModelDirectoryError(
        f"{path}: this file was changed or cut off since it was written. "
        "Copy or train the model again."
    )
