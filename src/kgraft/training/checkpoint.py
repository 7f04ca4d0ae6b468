"""Checkpoints: tensors with a description in one file, written whole, verified when read."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from kgraft.errors import DataError, KgraftWarning, describe
from kgraft.graph.vocabulary import Vocabulary
from kgraft.model.tensor_file import read_tensor_file
from kgraft.system.arrays import pieces_of
from kgraft.system.outputs import write_atomically

TIME_SHARE = 0.05
"""The largest share of a run's time that saving it may take."""

Tensors = Mapping[str, Tensor]


class Fingerprint:
    """A SHA-256 digest over texts, arrays, tensors and columns of names, in the order added.

    Attributes:
        collection: Digest of the collection alone, where the fingerprint is that of a run's inputs.
    """

    collection: str = ""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(
        self, *values: str | NDArray[Any] | Tensor | pl.Series | Vocabulary | None
    ) -> Fingerprint:
        """Add values, and return the fingerprint itself."""
        for value in values:
            if isinstance(value, Tensor):
                value = as_array(value)
            if isinstance(value, Vocabulary):
                self._add_texts(value.pieces, len(value))
            elif isinstance(value, pl.Series):
                self._add_texts(partial(iter, [value]), len(value))
            elif isinstance(value, np.ndarray):
                # Whole numbers are the same ones, whatever their size.
                kind = np.int64 if value.dtype.kind == "i" else value.dtype
                self._digest.update(f"{np.dtype(kind)}{value.shape}".encode())
                for piece in pieces_of(value) if value.ndim else [value]:
                    self._digest.update(np.ascontiguousarray(piece, dtype=kind).data)
            else:
                self._digest.update(f"{type(value).__name__}{len(value or '')}{value}".encode())
        return self

    def _add_texts(self, pieces: Callable[[], Iterable[pl.Series]], n_texts: int) -> None:
        """Add texts, which are read twice: their lengths come first."""
        self._digest.update(f"texts{n_texts}".encode())
        for piece in pieces():
            lengths = piece.cast(pl.String).str.len_bytes().fill_null(-1).cast(pl.Int64)
            self._digest.update(lengths.to_numpy().tobytes())
        for piece in pieces():
            joined = piece.cast(pl.String).fill_null("").str.join("")
            self._digest.update((joined.item() if len(joined) else "").encode())

    def __str__(self) -> str:
        return self._digest.hexdigest()


def as_array(tensor: Tensor) -> NDArray[Any]:
    """Return a tensor's memory; as integers if it is bfloat16, which NumPy lacks."""
    own = tensor.detach()
    return (own.view(torch.int16) if own.dtype == torch.bfloat16 else own).numpy()


def write_tensors(
    path: Path, tensors: Tensors, about: Mapping[str, Any], *, fingerprint: str
) -> None:
    """Write tensors and a JSON description to a file, whole or not at all.

    Args:
        path: The file.
        tensors: Tensors by name.
        about: The description.
        fingerprint: Identifies the run that the file belongs to.

    Raises:
        OSError: If it cannot be written; an earlier file stays.
    """
    kept = {name: value.contiguous().cpu() for name, value in tensors.items()}
    described = {**about, "fingerprint": fingerprint}
    whole = json.dumps({**described, "digest": _digest(described, kept)})
    with write_atomically(path, apart=True) as temporary:
        try:
            save_file(kept, temporary, metadata={"run": whole})
        except SafetensorError as error:
            raise OSError(str(error)) from error


def read_tensors(path: Path, *, fingerprint: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what ``write_tensors`` has written.

    Raises:
        DataError: If the file is damaged, or belongs to a run of another fingerprint.
    """
    try:
        file = read_tensor_file(path)
        about, tensors = json.loads(file.metadata["run"]), file.tensors
        whole = about.pop("digest") == _digest(about, tensors)
        found = about.pop("fingerprint")
    except (OSError, DataError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise damaged(path, str(error)) from error
    except RecursionError:
        raise damaged(path, "its description is nested too deeply") from None
    if not whole:
        raise damaged(path, "its content and its checksum differ")
    if found != fingerprint:
        raise DataError(
            "this belongs to another run: its facts, names, links, settings, parent models or "
            "kgraft's version differ",
            remedy="Give the same data and settings again, or delete it to begin anew",
            path=path,
        )
    return tensors, about


def damaged(path: Path, why: str) -> DataError:
    """Return the error that says why a run cannot be resumed from a file."""
    return DataError(
        f"the saved run is damaged ({why})",
        remedy="Restore the file, or delete it to begin anew",
        path=path,
    )


@dataclass(frozen=True)
class SavedRun:
    """A run in training, as saved.

    Args:
        state: The trainer's tensors.
        best: The best model's tensors; empty if there is none yet.
        run: Log and counters.
    """

    state: dict[str, Tensor]
    best: dict[str, Tensor]
    run: dict[str, Any]


class Checkpoint:
    """The file that a run in training is saved to, one whole version at any time.

    Args:
        path: The file.
        fingerprint: Identifies the run.
        every_seconds: The shortest time between two saves.
    """

    def __init__(self, path: Path, fingerprint: str, every_seconds: float = 30.0) -> None:
        self.path = path
        self.fingerprint = fingerprint
        self._every_seconds = every_seconds
        self._due_at = time.monotonic() + every_seconds

    def load(self) -> SavedRun | None:
        """Return the saved run, or ``None`` if there is no file.

        Raises:
            DataError: If the file is damaged or another run's.
        """
        if not self.path.exists():
            return None
        return self.saved_run(*read_tensors(self.path, fingerprint=self.fingerprint))

    @staticmethod
    def named(state: Tensors, best: Tensors) -> dict[str, Tensor]:
        """Return the tensors of a run by the names that they are saved with."""
        parts = {"state": state, "best": best}
        return {f"{part}.{key}": x for part, tensors in parts.items() for key, x in tensors.items()}

    @staticmethod
    def saved_run(tensors: Tensors, run: dict[str, Any]) -> SavedRun:
        """Return the run that was saved."""
        state, best = (
            {key.removeprefix(prefix): x for key, x in tensors.items() if key.startswith(prefix)}
            for prefix in ("state.", "best.")
        )
        return SavedRun(state, best, run)

    def damaged(self, why: str) -> DataError:
        """Return the error that says why the run cannot be resumed."""
        return damaged(self.path, why)

    @property
    def due(self) -> bool:
        """Whether it is time to save the run again."""
        return time.monotonic() >= self._due_at

    def save(self, state: Tensors, best: Tensors, run: Mapping[str, Any]) -> None:
        """Save the run.

        Warns:
            KgraftWarning: If it cannot be written; the earlier version stays.
        """
        with self.timed():
            try:
                write_tensors(self.path, self.named(state, best), run, fingerprint=self.fingerprint)
            except OSError as error:
                warn_not_saved(self.path, error)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Set the time of the next save by that which the block takes."""
        begin = time.monotonic()
        yield
        now = time.monotonic()
        self._due_at = now + max(self._every_seconds, (now - begin) / TIME_SHARE)

    def save_batch(self, tensors: Tensors, about: str) -> Path:
        """Write the batch that training diverged on beside the run, and return the file."""
        return self.save_batch_to(".batch.safetensors", tensors, about)

    def save_batch_to(self, suffix: str, tensors: Tensors, about: str) -> Path:
        """Write a batch to the file beside the run that has this suffix, and return it."""
        path = self.path.with_suffix(suffix)
        with write_atomically(path, apart=True) as temporary:
            kept = {name: value.contiguous().cpu() for name, value in tensors.items()}
            save_file(kept, temporary, metadata={"about": about})
        return path


def warn_not_saved(path: Path, error: OSError) -> None:
    """Warn that a run goes on unsaved."""
    warnings.warn(
        describe(
            f"the run could not be saved ({error})",
            remedy="It goes on, and the earlier version stays; make room on the disk",
            path=path,
        ),
        KgraftWarning,
        stacklevel=3,
    )


def _digest(about: Mapping[str, Any], tensors: Tensors) -> str:
    """Return a digest of all that a file holds."""
    kinds = {key: [str(tensors[key].dtype), *tensors[key].shape] for key in sorted(tensors)}
    found = Fingerprint().add(json.dumps([dict(about), kinds]))
    return str(found.add(*(tensors[key] for key in kinds)))
