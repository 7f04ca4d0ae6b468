"""Checkpoints of several workers: each one's rows in a file, and an index that names the files.

The index is written when all files are; it names one whole set of them at any time. Any number of
workers can go on from it, one too, each with the rows that it then owns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from kgraft.errors import DataError
from kgraft.system.outputs import write_atomically
from kgraft.system.workers import Workers
from kgraft.training.checkpoint import (
    Checkpoint,
    SavedRun,
    Tensors,
    read_tensors,
    warn_not_saved,
    write_tensors,
)

TABLE = "entities"
"""Last part of the names of tensors that have a row for each entity."""


class ShardedCheckpoint(Checkpoint):
    """The files that the workers of a run in training save it to.

    Args:
        path: The file of a run in one process, which is gone on from where there is no index.
        fingerprint: Identifies the run.
        workers: The workers.
        n_entities: Number of entities of all workers.
        every_seconds: The shortest time between two saves.
    """

    def __init__(
        self,
        path: Path,
        fingerprint: str,
        workers: Workers,
        n_entities: int,
        every_seconds: float = 30.0,
    ) -> None:
        super().__init__(path, fingerprint, every_seconds)
        self._workers = workers
        self._n_entities = n_entities
        self.index = index_of(path)

    def load(self) -> SavedRun | None:
        """Return the saved run with the rows that this worker owns, or ``None`` without one.

        Raises:
            DataError: If a file is damaged or missing, or another run's.
        """
        if self.index.exists():
            files = self._indexed()
        elif self.path.exists():
            files = [self.path]
        else:
            return None
        own = torch.arange(self._workers.number, self._n_entities, self._workers.count)
        same = len(files) == self._workers.count
        found: dict[str, torch.Tensor] = {}
        about: dict[str, Any] | None = None
        for number, file in enumerate(files):
            mine = own % len(files) == number
            if not mine.any() and not (number == 0 and not len(own)):
                continue
            tensors, described = read_tensors(file, fingerprint=self.fingerprint)
            about = about or described
            for name, value in tensors.items():
                if not _is_sharded(name):
                    found.setdefault(name, value)
                elif same:
                    found[name] = value
                else:
                    rows = found.setdefault(name, value.new_empty(len(own), *value.shape[1:]))
                    rows[mine] = value[own[mine] // len(files)]
        assert about is not None  # noqa: S101 (one file at least has been read)
        return self.saved_run(found, about)

    def save(self, state: Tensors, best: Tensors, run: Mapping[str, Any]) -> None:
        """Save the run, in all workers at the same time.

        Warns:
            KgraftWarning: If a file cannot be written; the earlier set stays.
        """
        number, count = self._workers.number, self._workers.count
        place = f"{len(run['log'])}-{run['current']['steps']}"
        names = [f"{self.path.stem}.{place}.{x + 1}-of-{count}.safetensors" for x in range(count)]
        failed: OSError | None = None
        with self.timed():
            try:
                tensors = self.named(state, best)
                file = self.path.with_name(names[number])
                write_tensors(file, tensors, run, fingerprint=self.fingerprint)
            except OSError as error:
                failed = error
            if self._workers.any(failed is not None)[0]:
                warn_not_saved(self.path, failed or OSError("another worker could not write"))
                return
            if number == 0:
                with write_atomically(self.index) as temporary:
                    temporary.write_text(json.dumps({"files": names}), encoding="utf-8")
            self._workers.barrier()
        if number == 0:
            for old in {self.path, *self.path.parent.glob(f"{self.path.stem}.*-of-*.safetensors")}:
                if old.name not in names:
                    old.unlink(missing_ok=True)

    def save_batch(self, tensors: Tensors, about: str) -> Path:
        """Write this worker's batch that training diverged on, and return the file."""
        return self.save_batch_to(f".batch-{self._workers.number + 1}.safetensors", tensors, about)

    def _indexed(self) -> list[Path]:
        try:
            names = json.loads(self.index.read_text(encoding="utf-8"))["files"]
            files = [self.path.with_name(name) for name in names]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"the saved run is damaged ({error})",
                remedy="Restore the file, or delete the directory to begin anew",
                path=self.index,
            ) from error
        return files


def index_of(path: Path) -> Path:
    """Return the index of the files that several workers have saved in the place of one."""
    return path.with_suffix(".json")


def _is_sharded(name: str) -> bool:
    """Return True for the name of a tensor that has a row for each entity."""
    return name.rpartition(".")[2] == TABLE
