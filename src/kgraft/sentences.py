"""Errors and warnings as sentences on standard error, for programs that people start."""

from __future__ import annotations

import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

from kgraft.errors import KgraftError, KgraftWarning
from kgraft.terminal import Terminal

FAILED = 1
SIGNALLED = 128
"""What the number of a signal is added to in the status of a program that it has ended."""


@contextmanager
def speaking(after_interrupt: str | None = "") -> Iterator[None]:
    """Show errors and warnings without tracebacks, and end the program with a status.

    A request to end (SIGTERM, SIGHUP) is taken as an interrupt, so that the program can put down
    what it does.

    Args:
        after_interrupt: What to say to somebody who has stopped the program; ``None`` leaves it to
            another program to say something.

    Raises:
        SystemExit: With ``FAILED`` after an error, with ``SIGNALLED`` and the signal's number after
            an interrupt.
    """
    try:
        with warnings.catch_warnings(), _ending_is_an_interrupt():
            warnings.simplefilter("always", KgraftWarning)
            warnings.showwarning = _show_warning
            yield
    except (KgraftError, ValueError) as error:
        _say(f"Error: {error}", "red")
        raise SystemExit(FAILED) from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _say(f"Error: {where}{error.strerror or error}. {after_interrupt or ''}".rstrip(), "red")
        raise SystemExit(FAILED) from error
    except MemoryError as error:
        _say("Error: the memory is used up. Give it less data, or a larger machine.", "red")
        raise SystemExit(FAILED) from error
    except KeyboardInterrupt as stop:
        if after_interrupt is not None:
            _say(f"Stopped. {after_interrupt}".rstrip(), "yellow")
        number = stop.args[0] if stop.args else signal.SIGINT
        raise SystemExit(SIGNALLED + number) from None


@contextmanager
def _ending_is_an_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt, with the signal's number, where a signal would end the process."""

    def stop(number: int, _: FrameType | None) -> None:
        raise KeyboardInterrupt(number)

    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    # One that is ignored, as nohup has it, stays so.
    taken = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _say(text: str, style: str) -> None:
    Terminal(stderr=True).print(text, style=style, highlight=False, soft_wrap=True)


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
