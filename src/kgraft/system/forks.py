"""Refusal to work in a forked process, which has lost the threads of polars and PyTorch."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from kgraft.errors import KgraftError

_THREADS = Path("/proc/self/task")
_COMPUTES = re.compile(r"polars-\d")
"""Names of polars' threads that compute; its import alone starts another, which none waits for."""
_started = False
"""True once a function has run here that starts threads of polars or PyTorch."""
_lost = False
"""True if this process was forked after such threads were started."""


def require_threads() -> None:
    """Refuse to go on in a process that was forked from one that had started threads.

    polars and PyTorch (OpenMP) start threads on their first use. A fork copies their locks and
    queues, but not the threads, so that the next call would wait for ever.

    Raises:
        KgraftError: If the threads are lost.
    """
    global _started
    if _lost:
        raise KgraftError(
            "this process was forked from one that had used kgraft or polars before, and the "
            "threads of polars and PyTorch do not come along, so that it would wait for ever. Make "
            'processes with multiprocessing.get_context("spawn") or "forkserver", or fork before '
            "the first use."
        )
    _started = True


def _before_fork() -> None:
    """Look for threads that polars has started for others than kgraft, where Linux lists them."""
    global _started
    for name in () if _started else _THREADS.glob("*/comm"):
        with suppress(OSError):  # It may have ended.
            _started = _started or bool(_COMPUTES.match(name.read_text()))


def _in_child() -> None:
    global _lost
    _lost = _lost or _started


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_in_child)
