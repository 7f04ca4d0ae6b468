"""Reloading of the served model when its directory is replaced."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from kgraft.model.manifest import MANIFEST
from kgraft.serving.served_model import ServedModel
from kgraft.system.memory import give_back
from kgraft.system.terminal import visible

LOG = logging.getLogger(__name__)

POLL_SECONDS = 1.0  # between two checks of the manifest
RETRY_POLLS = 5  # until a directory that failed to load is tried again: it may be half copied


class ModelReloader:
    """A model directory and the model loaded from it.

    A directory's manifest is written last, so a new manifest means a new model. The old model
    answers until the new one is loaded, and goes on answering if that fails.

    Args:
        directory: A model directory.

    Attributes:
        model: The current model; a caller that holds it keeps it through a reload.
        on_load: Called after each reload with whether it succeeded.

    Raises:
        ModelDirectoryError: If there is no model that can be loaded.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.on_load: Callable[[bool], None] = lambda _: None
        self._signature = self._manifest_signature()
        self.model = ServedModel(directory)
        _tidy()
        self._last_error = ""
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start to watch the directory."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._watch, name="reload", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        self.model.missing.stop()

    def refresh(self) -> bool:
        """Load the directory if its manifest has changed, and return False if that failed."""
        signature = self._manifest_signature()
        if signature is None or signature == self._signature:
            return True
        old = self.model
        try:
            self.model = ServedModel(self._directory)
        except Exception as error:  # whatever is wrong with the new model, the old one answers
            if str(error) != self._last_error:
                LOG.warning("The previous model is still served: %s", visible(str(error)))
            self._last_error = str(error)
            self.on_load(False)
            return False
        old.missing.close()
        del old
        _tidy()
        self._signature, self._last_error = signature, ""
        LOG.info("A new model is served.")
        self.on_load(True)
        return True

    def _watch(self) -> None:
        polls = 1
        while not self._stopped.wait(polls * POLL_SECONDS):
            polls = 1 if self.refresh() else RETRY_POLLS

    def _manifest_signature(self) -> tuple[int, int, int] | None:
        try:
            about = (self._directory / MANIFEST).stat()
        except OSError:  # between the old directory and the new one
            return None
        return about.st_ino, about.st_mtime_ns, about.st_size


def _tidy() -> None:
    """Give back the memory of a former model, and exempt the new one from garbage collections.

    Each of those takes 0.2 seconds.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    give_back()
