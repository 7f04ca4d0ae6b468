"""Errors and warnings as sentences on standard error, for programs that people start."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console

from kgraft.errors import KgraftError, KgraftWarning

FAILED = 1
INTERRUPTED = 130


@contextmanager
def speaking(after_interrupt: str = "") -> Iterator[None]:
    """Show kgraft's errors and warnings without tracebacks, and end the program with a status.

    Args:
        after_interrupt: What to say to somebody who has stopped the program.

    Raises:
        SystemExit: With ``FAILED`` after an error, with ``INTERRUPTED`` after an interrupt.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", KgraftWarning)
            warnings.showwarning = _show_warning
            yield
    except (KgraftError, ValueError) as error:
        _say(f"Error: {error}", "red")
        raise SystemExit(FAILED) from error
    except KeyboardInterrupt:
        _say(f"Stopped. {after_interrupt}", "yellow")
        raise SystemExit(INTERRUPTED) from None


def _say(text: str, style: str) -> None:
    Console(stderr=True).print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if issubclass(category, KgraftWarning):
        _say(f"Warning: {message}", "yellow")
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        (file or sys.stderr).write(text)
