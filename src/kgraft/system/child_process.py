"""A process that ends with the one that started it, however that ends."""

from __future__ import annotations

import os
import signal
import sys
import threading


def end_with_parent() -> None:
    """Terminate this process at the end of its standard input, a pipe from the one that started it.

    SIGTERM is sent, so that work that has been done is saved.
    """
    threading.Thread(target=_stop_at_end_of_input, daemon=True).start()


def _stop_at_end_of_input() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
