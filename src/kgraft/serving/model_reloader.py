"""The model directory that is served, loaded again when another model takes its place."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from kgraft.model.directory import MANIFEST
from kgraft.serving.served_model import ServedModel

LOG = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two looks at the manifest."""

AGAIN = 5
"""Looks after which a directory that could not be loaded is tried again: it may be half copied."""


class ModelReloader:
    """A model directory and what is served of it.

    A directory's manifest is written last, so a new one tells of a new model. The old model answers
    until the new one is ready, and goes on answering where that cannot be loaded.

    Args:
        directory: A model directory.

    Attributes:
        watching: Told of each later load whether it went well.
        current: The model as it is served now; who holds on to it keeps it through a change.

    Raises:
        ModelDirectoryError: If there is no model that can be loaded.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.watching: Callable[[bool], None] = lambda _: None
        self._seen = self._signature()
        self.current = _load(directory)
        self._told = ""
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch the directory."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._watch, name="reload", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def refresh(self) -> bool:
        """Load the directory if its manifest has changed since it was last loaded.

        Returns:
            Whether there is nothing left to load.
        """
        signature = self._signature()
        if signature is None or signature == self._seen:
            return True
        try:
            self.current = _load(self._directory)
        except Exception as error:  # whatever is wrong with a model, the one before it is served
            if str(error) != self._told:
                LOG.warning("The model before it is still served: %s", error)
            self._told = str(error)
            self.watching(False)
            return False
        self._seen, self._told = signature, ""
        LOG.info("A new model is served.")
        self.watching(True)
        return True

    def _watch(self) -> None:
        looks = 1
        while not self._stopped.wait(looks * EVERY):
            looks = 1 if self.refresh() else AGAIN

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            about = (self._directory / MANIFEST).stat()
        except OSError:  # between the old directory and the new one
            return None
        return about.st_ino, about.st_mtime_ns, about.st_size


def _load(directory: Path) -> ServedModel:
    """Load a model, and spare collections of garbage the way through all that is there now.

    It takes them a fifth of a second, in which nobody is answered.
    """
    served = ServedModel(directory)
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    return served
