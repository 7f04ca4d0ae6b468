"""Errors and warnings as sentences on standard error."""

from __future__ import annotations

import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TextIO

from kgraft.errors import KgraftError, KgraftWarning
from kgraft.system.terminal import OutputClosedError, Terminal, close_unwritable_output

FAILED = 1
USED_UP = "the memory is used up. Give it less data, or a larger machine."
SIGNALLED = 128
"""Exit status after a signal, to which the signal's number is added."""


@contextmanager
def report_errors(after_interrupt: str | None = "") -> Iterator[None]:
    """Show errors and warnings without tracebacks, and exit with a status.

    SIGTERM and SIGHUP are handled as an interrupt (SIGINT), so that the program can save its work.

    Args:
        after_interrupt: Message after an interrupt; ``None`` for no message at all.

    Raises:
        SystemExit: With ``FAILED`` after an error, with ``SIGNALLED`` and the signal's number after
            an interrupt.
    """
    try:
        with warnings.catch_warnings(), _signals_as_interrupts():
            warnings.simplefilter("always", KgraftWarning)
            warnings.showwarning = _show_warning
            yield
    except OutputClosedError as error:
        raise SystemExit(FAILED) from error
    except (KgraftError, ValueError, OSError, MemoryError) as error:
        text = str(error)
        if isinstance(error, OSError):
            text = f"{_sentence_of(error)} {after_interrupt or ''}".rstrip()
        elif isinstance(error, MemoryError):
            text = USED_UP
        close_unwritable_output()
        _print(f"Error: {text}", "red")
        raise SystemExit(FAILED) from error
    except KeyboardInterrupt as stop:
        if after_interrupt is not None:
            _print(f"Stopped. {after_interrupt}".rstrip(), "yellow")
        number = stop.args[0] if stop.args else signal.SIGINT
        raise SystemExit(SIGNALLED + number) from None
    except BaseException as error:
        short = _of_memory(error)
        if short is None:
            raise
        _print(f"Error: {short}", "red")
        raise SystemExit(FAILED) from error


def _sentence_of(error: OSError) -> str:
    """Return the sentence for an error of the system."""
    if isinstance(error, FileNotFoundError) and not error.filename:
        return "The current directory is gone. Change to one that exists."
    where = f"{error.filename}: " if error.filename else ""
    remedy = " Ask for that, or name another place." if isinstance(error, PermissionError) else ""
    return f"{where}{error.strerror or error}.{remedy}"


def _of_memory(error: BaseException) -> str | None:
    """Return the sentence for a library's error of too little memory, or None."""
    from kgraft.system.memory import is_used_up  # Its settings take long to load.

    # Panics of polars stand outside of Exception.
    if type(error).__name__ == "PanicException":
        reason = (str(error).splitlines() or ["it does not say why"])[0][:300]
        if "Too many open files" in reason:
            return f"polars has given up ({reason}). Allow more open files: ulimit -n 1024."
        remedy = "Give it less data, or a larger machine."
        return f"polars has given up ({reason}), as where memory is short. {remedy}"
    return USED_UP if isinstance(error, RuntimeError) and is_used_up(error) else None


def ending_signals() -> dict[int, Any]:
    """Return the handler of each signal that ends this process.

    Ignored signals, as under nohup, and those handled outside Python are left out, and outside the
    main thread, where Python sets no handlers, all are.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    return {n: x for n, x in handlers.items() if x not in (signal.SIG_IGN, None)}


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt with the signal's number where a signal would end the process."""

    def stop(number: int, _: FrameType | None) -> None:
        raise KeyboardInterrupt(number)

    earlier = ending_signals()
    for number in earlier:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


@contextmanager
def lost_output_allowed() -> Iterator[None]:
    """Let the block print about work that is done: lost output is a warning, and no failure."""
    try:
        yield
    except OutputClosedError:
        pass
    except OSError as error:
        close_unwritable_output()
        _print(f"Warning: the output cannot be written ({error}). The work is done.", "yellow")


def _print(text: str, style: str) -> None:
    # A message that cannot be written does not stop the work that it is about.
    with suppress(OSError):
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
        _print(f"Warning: {message}", "yellow")
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        (file or sys.stderr).write(text)
