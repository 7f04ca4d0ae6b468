"""A training run on disk while it goes on, so that it can be stopped and resumed."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from kgraft.errors import DataError, KgraftWarning, describe
from kgraft.system.files import write_atomically

SHARE = 0.05
"""The most of a run's time that keeping it may take."""


@dataclass(frozen=True)
class Saved:
    """A run as it was kept.

    Args:
        state: The learner's tensors.
        best: The best model's tensors; empty where none was chosen yet.
        run: The run's log and counters.
    """

    state: dict[str, Tensor]
    best: dict[str, Tensor]
    run: dict[str, Any]


class Checkpoint:
    """One file that holds a run.

    It is written aside, brought to the disk and moved over the one before, so one whole file is
    there at any instant. It holds a digest of all that is in it.

    Args:
        path: The file; written whole or not at all.
        fingerprint: Names the run.
        every_seconds: The least time between two saves.
    """

    def __init__(self, path: Path, fingerprint: str, every_seconds: float = 30.0) -> None:
        self.path = path
        self._fingerprint = fingerprint
        self._every_seconds = every_seconds
        self._due_at = time.monotonic() + every_seconds

    def load(self) -> Saved | None:
        """Return what this run left here, or ``None`` where there is no file.

        Raises:
            DataError: If the file is damaged, or another run's: one that has other settings or
                other facts.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                about = json.loads((file.metadata() or {})["run"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            whole = about.pop("digest") == _digest(about, tensors)
            mark = about.pop("fingerprint")
        except (OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise self.damaged(str(error)) from error
        except RecursionError:
            raise self.damaged("its description is nested too deeply") from None
        if not whole:
            raise self.damaged("its content and its checksum differ")
        if mark != self._fingerprint:
            raise DataError(
                "another run is kept here, one of other settings, facts or teacher",
                remedy="Give its own settings and data again, or delete the file to begin anew",
                path=self.path,
            )
        state, best = (
            {key.removeprefix(prefix): x for key, x in tensors.items() if key.startswith(prefix)}
            for prefix in ("state.", "best.")
        )
        return Saved(state, best, about)

    def damaged(self, why: str) -> DataError:
        """Return the error that says why this file cannot be gone on with."""
        return DataError(
            f"the run that was kept here is damaged ({why})",
            remedy="Restore the file, or delete it to begin anew",
            path=self.path,
        )

    @property
    def due(self) -> bool:
        """Whether it is time to keep the run again."""
        return time.monotonic() >= self._due_at

    def save(
        self, state: Mapping[str, Tensor], best: Mapping[str, Tensor], run: Mapping[str, Any]
    ) -> None:
        """Keep the run.

        Warns:
            KgraftWarning: If it cannot be written; what was kept before stays.
        """
        begin = time.monotonic()
        tensors = {f"state.{key}": value.contiguous().cpu() for key, value in state.items()}
        tensors |= {f"best.{key}": value.contiguous().cpu() for key, value in best.items()}
        about = {**run, "fingerprint": self._fingerprint}
        described = json.dumps({**about, "digest": _digest(about, tensors)})
        try:
            with write_atomically(self.path) as temporary:
                save_file(tensors, temporary, metadata={"run": described})
        except (OSError, SafetensorError) as error:
            warnings.warn(
                describe(
                    f"the run could not be kept ({error})",
                    remedy="It goes on, and what was kept before stays; make room on the disk",
                    path=self.path,
                ),
                KgraftWarning,
                stacklevel=2,
            )
        now = time.monotonic()
        self._due_at = now + max(self._every_seconds, (now - begin) / SHARE)

    def keep_batch(self, tensors: Mapping[str, Tensor], about: str) -> Path:
        """Write what a step has failed with beside the run, and return where."""
        path = self.path.with_suffix(".batch.safetensors")
        with write_atomically(path) as temporary:
            kept = {name: value.contiguous().cpu() for name, value in tensors.items()}
            save_file(kept, temporary, metadata={"about": about})
        return path


def _digest(about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Return a digest of all that a checkpoint holds."""
    kinds = {key: [str(tensors[key].dtype), *tensors[key].shape] for key in sorted(tensors)}
    arrays = (as_array(tensors[key]) for key in kinds)
    return fingerprint(json.dumps([about, kinds]), *arrays)


def as_array(tensor: Tensor) -> NDArray[Any]:
    """Return a tensor's memory; as integers if it is bfloat16, which NumPy does not have."""
    own = tensor.detach()
    return (own.view(torch.int16) if own.dtype == torch.bfloat16 else own).numpy()


def fingerprint(settings: str, *arrays: NDArray[Any]) -> str:
    """Return a name for a run that depends on its settings and its facts."""
    digest = hashlib.sha256(settings.encode())
    for array in arrays:
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
