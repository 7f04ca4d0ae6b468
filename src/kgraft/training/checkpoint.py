"""A training run on disk while it goes on, so that it can be stopped and resumed."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from kgraft.files import write_atomically


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

    Args:
        path: The file; written whole or not at all.
        fingerprint: Names the run; what another run left here is not loaded.
        every_seconds: The least time between two saves.
    """

    def __init__(self, path: Path, fingerprint: str, every_seconds: float = 30.0) -> None:
        self.path = path
        self._fingerprint = fingerprint
        self._every_seconds = every_seconds
        self._saved_at = time.monotonic()

    def load(self) -> Saved | None:
        """Return what this run left here, or ``None``."""
        try:
            with safe_open(self.path, framework="pt") as file:
                about = json.loads((file.metadata() or {})["run"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, ValueError):
            return None
        if about.pop("fingerprint", None) != self._fingerprint:
            return None
        state, best = (
            {key.removeprefix(prefix): x for key, x in tensors.items() if key.startswith(prefix)}
            for prefix in ("state.", "best.")
        )
        return Saved(state, best, about)

    def save_if_due(
        self, state: Mapping[str, Tensor], best: Mapping[str, Tensor], run: Mapping[str, Any]
    ) -> None:
        """Keep the run, unless it was kept a moment ago."""
        if time.monotonic() - self._saved_at < self._every_seconds:
            return
        tensors = {f"state.{key}": value.contiguous() for key, value in state.items()}
        tensors |= {f"best.{key}": value.contiguous() for key, value in best.items()}
        about = json.dumps({**run, "fingerprint": self._fingerprint})
        with write_atomically(self.path) as temporary:
            save_file(tensors, temporary, metadata={"run": about})
        self._saved_at = time.monotonic()

    def remove(self) -> None:
        """Forget the run."""
        self.path.unlink(missing_ok=True)


def fingerprint(settings: str, *arrays: NDArray[Any]) -> str:
    """Return a name for a run that depends on its settings and its facts."""
    digest = hashlib.sha256(settings.encode())
    for array in arrays:
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
