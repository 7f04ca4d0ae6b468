"""Errors, warnings and signals as sentences, and the status that a program ends with."""

from __future__ import annotations

import errno
import signal
import warnings
from collections.abc import Callable

import pytest

from kgraft.errors import DataError, KgraftWarning
from kgraft.system.messages import report_errors


def ends(what: Callable[[], object], after_interrupt: str | None = "Go on.") -> int | str | None:
    """Return the status that a program of one line ends with."""
    with pytest.raises(SystemExit) as ended, report_errors(after_interrupt):
        what()
    return ended.value.code


def fail(error: BaseException) -> Callable[[], object]:
    def program() -> None:
        raise error

    return program


FULL = OSError(errno.ENOSPC, "No space left on device", "a.tsv")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DataError("it is empty", remedy="Fill it"), "Error: it is empty. Fill it.\n"),
        (ValueError("no such width"), "Error: no such width\n"),
        (FULL, "Error: a.tsv: No space left on device. Go on.\n"),
        (OSError("the pipe is broken"), "Error: the pipe is broken. Go on.\n"),
        (
            MemoryError(),
            "Error: the memory is used up. Give it less data, or a larger machine.\n",
        ),
    ],
)
def test_an_error_is_a_sentence(
    capsys: pytest.CaptureFixture[str], error: Exception, said: str
) -> None:
    assert ends(fail(error)) == 1
    assert capsys.readouterr().err == said


class PanicException(BaseException):
    """As polars raises it."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
            "Error: the memory is used up",
        ),
        (PanicException("capacity overflow\nmore"), "Error: polars has given up (capacity over"),
        (
            PanicException("no runtime: Too many open files"),
            "Error: polars has given up (no runtime: Too many open files). Allow more open files",
        ),
    ],
)
def test_a_librarys_error_of_memory_is_a_sentence(
    capsys: pytest.CaptureFixture[str], error: BaseException, said: str
) -> None:
    assert ends(fail(error)) == 1
    assert capsys.readouterr().err.startswith(said)


@pytest.mark.parametrize("error", [RuntimeError("a fault"), GeneratorExit("a fault")])
def test_a_fault_of_the_program_keeps_its_traceback(error: BaseException) -> None:
    with pytest.raises(type(error), match="a fault"), report_errors():
        raise error


def test_an_interrupt_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(fail(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "Stopped. Go on.\n"


def test_another_program_may_say_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(fail(KeyboardInterrupt()), None) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_is_an_interrupt(
    capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    # Whoever started the tests may have told them to ignore it.
    before = signal.signal(number, signal.SIG_DFL)
    try:
        assert ends(lambda: signal.raise_signal(number)) == 128 + number
        assert capsys.readouterr().err == "Stopped. Go on.\n"
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with report_errors():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_warning_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with report_errors():
        warnings.warn("three links were left out.", KgraftWarning, stacklevel=1)
    assert capsys.readouterr().err == "Warning: three links were left out.\n"
