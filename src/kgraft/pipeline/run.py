"""A run: its stages, shown while they work, and their results kept so that it can be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, TypeVar

from torch import Tensor

from kgraft.errors import DataError, KgraftError
from kgraft.settings import TrainSettings
from kgraft.system.memory import give_back
from kgraft.system.outputs import remove_temporary, write_atomically
from kgraft.system.progress import Listener, default_listener
from kgraft.system.tracking import Tracker, epoch_metrics, flat, model_metrics
from kgraft.system.workers import ALONE, Workers
from kgraft.training.checkpoint import (
    Checkpoint,
    Fingerprint,
    read_tensors,
    warn_not_saved,
    write_tensors,
)
from kgraft.training.sharded_checkpoint import ShardedCheckpoint, index_of

T = TypeVar("T")

Stored = tuple[Mapping[str, Tensor], Mapping[str, Any]]
"""Tensors by name, and a description that JSON can hold."""

RUN_FILE = "run.json"
"""The file of a run's directory that names the run, and the version of kgraft that began it."""


@dataclass(frozen=True)
class RunOptions:
    """Listener and directory of a run.

    Args:
        listener: Receives progress; by default a bar on a terminal or in a notebook, else lines of
            the logger ``kgraft``.
        directory: Directory for the results of finished stages and the checkpoint of training. A
            run that finds itself there is resumed; one that finds another run raises a
            ``DataError``. Without a directory nothing is kept.
        trackers: Receive settings and metrics: those of ``kgraft.system.tracking``, or any others
            with their methods. What is trained beside a model to compare it with is not tracked.
    """

    listener: Listener | None = None
    directory: Path | None = None
    trackers: Sequence[Tracker] = ()


@dataclass(frozen=True)
class Format(Generic[T]):
    """Form in which a stage's result is stored.

    Args:
        pack: Returns the tensors and the description of a result.
        unpack: Makes the result of them.
    """

    pack: Callable[[T], Stored]
    unpack: Callable[[Mapping[str, Tensor], Mapping[str, Any]], T]


class Run:
    """The stages of one run.

    A finished stage is stored under a fingerprint of all that it depends on: the run's inputs and
    the results of the stages before it.

    Args:
        options: Listener and directory.
        inputs: Fingerprint of everything that the run depends on.
        workers: The processes of the run; several need a directory that all of them can reach.

    Raises:
        DataError: If the directory holds another run.
        KgraftError: If several workers have no directory.
    """

    def __init__(
        self, options: RunOptions | None, inputs: Fingerprint, workers: Workers = ALONE
    ) -> None:
        options = options or RunOptions()
        if workers.count > 1 and options.directory is None:
            raise KgraftError(
                "several workers need a directory of the run that all of them can reach: "
                "RunOptions(directory=...)"
            )
        self.workers = workers
        self.listener = options.listener or default_listener()
        self._trackers = options.trackers
        self.directory = options.directory
        self._fingerprint = str(inputs)
        if self.directory is not None:
            workers.one_by_one(partial(self._claim, self.directory))

    def _claim(self, directory: Path) -> None:
        """Write the run's name into its directory, or find it there."""
        file = directory / RUN_FILE
        if not file.exists():
            directory.mkdir(parents=True, exist_ok=True)
            with write_atomically(file) as temporary:
                about = {"fingerprint": self._fingerprint, "kgraft": version("kgraft")}
                temporary.write_text(json.dumps(about))
            return
        remove_temporary(directory)
        try:
            about = json.loads(file.read_text(encoding="utf-8"))
            found, began_with = about["fingerprint"], about["kgraft"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"the saved run is damaged ({error})",
                remedy="Restore the file, or delete its directory to begin anew",
                path=file,
            ) from error
        if found != self._fingerprint and began_with != version("kgraft"):
            raise DataError(
                f"kgraft {began_with} began the run that is kept here, and this is kgraft "
                f"{version('kgraft')}, which may compute other numbers",
                remedy=f"Finish it with kgraft {began_with}, or delete it to begin anew",
                path=directory,
            )
        if found != self._fingerprint:
            raise DataError(
                "another run is kept here: its facts, names, links, settings or parent models "
                "differ",
                remedy="Give the same data and settings again, or delete it to begin anew",
                path=directory,
            )

    def record(self, entry: Mapping[str, Any]) -> None:
        """Pass the entry of an epoch on to the trackers."""
        for tracker in self._trackers:
            tracker.log(entry["epoch"], epoch_metrics(entry))

    @contextmanager
    def showing(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show the listener a stage of ``total`` units, and yield what advances it."""
        self.listener.begin(name, total)
        try:
            yield self.listener.advance
        finally:
            self.listener.end()

    def stage(self, name: str, form: Format[T], compute: Callable[[], T]) -> T:
        """Return a stage's result: as stored by an earlier attempt at this run, or computed.

        Args:
            name: Name of the stage and its file.
            form: How the result is stored.
            compute: Computes it.

        Raises:
            DataError: If the stored result is damaged.
        """
        # What the stage before has freed.
        give_back()
        if self.directory is None:
            return compute()
        path = self.directory / f"{name}.safetensors"
        tensors: Mapping[str, Tensor]
        if path.exists():
            tensors, about = read_tensors(path, fingerprint=self._fingerprint)
            result = form.unpack(tensors, about)
        else:
            result = compute()
            tensors, described = form.pack(result)
            try:
                write_tensors(path, tensors, described, fingerprint=self._fingerprint)
            except OSError as error:
                warn_not_saved(path, error)
            _checkpoint_file(self.directory, name).unlink(missing_ok=True)
        # Later stages depend on this result, which may depend on the machine (rules.seconds).
        after = Fingerprint().add(self._fingerprint, *(tensors[key] for key in sorted(tensors)))
        self._fingerprint = str(after)
        return result

    def checkpoint(self, name: str, n_entities: int) -> Checkpoint | None:
        """Return the checkpoint of a stage that is resumed within, if the run has a directory."""
        if self.directory is None:
            return None
        path = _checkpoint_file(self.directory, name)
        if self.workers.count > 1 or index_of(path).exists():
            return ShardedCheckpoint(path, self._fingerprint, self.workers, n_entities)
        return Checkpoint(path, self._fingerprint)


@contextmanager
def tracked(
    options: RunOptions | None, name: str, settings: TrainSettings, inputs: Fingerprint
) -> Iterator[dict[str, Any]]:
    """Let the trackers of a run begin it and end it.

    Args:
        options: Its trackers.
        name: Its name.
        settings: Its settings.
        inputs: Fingerprint of all that it depends on, with that of the collection.

    Yields:
        A table for the metrics of the model.
    """
    trackers, metrics, finished = options.trackers if options else (), dict[str, Any](), False
    about = {
        **dict(flat(settings.model_dump())),
        "kgraft.version": version("kgraft"),
        "kgraft.collection": inputs.collection,
        "kgraft.inputs": str(inputs),
    }
    for tracker in trackers:
        tracker.start(name, about)
    try:
        yield metrics
        finished = True
    finally:
        for tracker in trackers:
            tracker.finish(model_metrics(metrics), failed=not finished)


def _checkpoint_file(directory: Path, stage: str) -> Path:
    return directory / f"{stage}.checkpoint.safetensors"
