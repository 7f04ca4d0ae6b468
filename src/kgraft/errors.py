"""Errors and warnings, whose messages say where, what, and what to do."""

from __future__ import annotations

import os
from functools import partial
from typing import Any


class KgraftError(Exception):
    """Base of every error raised on purpose; the command line shows it without a traceback."""


class DataError(KgraftError):
    """Input that cannot be used.

    The message reads ``FILE, line N: PROBLEM. REMEDY`` with the parts that are known.

    Args:
        problem: The problem, a phrase without a full stop.
        remedy: What the user can do, a sentence without a full stop.
        path: The file at fault.
        line: The line at fault, counted from 1.
    """

    def __init__(
        self,
        problem: str,
        *,
        remedy: str,
        path: str | os.PathLike[str] | None = None,
        line: int | None = None,
    ) -> None:
        self.problem = problem
        self.remedy = remedy
        self.path = os.fspath(path) if path is not None else None
        self.line = line
        super().__init__(describe(problem, remedy=remedy, path=self.path, line=line))

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what makes the error again, as in another process."""
        again = partial(
            type(self), self.problem, remedy=self.remedy, path=self.path, line=self.line
        )
        return again, ()


class SettingsError(KgraftError):
    """An unknown setting, or a value of the wrong type or out of range."""


class ModelDirectoryError(KgraftError):
    """A model directory that is missing, damaged, or written by another kgraft."""


class TrainingError(KgraftError):
    """A run whose numbers are no longer finite."""


class UnknownNameError(KgraftError):
    """An entity, relation or source name that the graph or model does not have."""


class KgraftWarning(UserWarning):
    """A problem that kgraft can work around."""


def counted(count: int, noun: str, copula: str = "") -> str:
    """Return a count with its noun, and perhaps ``is`` or ``was``: ``2,000 entities were``."""
    if count != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith(("ty", "ry")) else f"{noun}s"
        copula = {"is": "are", "was": "were"}.get(copula, copula)
    return f"{count:,} {noun} {copula}".rstrip()


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its kind where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def describe(
    problem: str,
    *,
    remedy: str,
    path: str | os.PathLike[str] | None = None,
    line: int | None = None,
) -> str:
    """Return ``FILE, line N: PROBLEM. REMEDY.``, the form of all messages about input."""
    where = os.fspath(path) if path is not None else ""
    if line is not None:
        where = f"{where}, line {line}" if where else f"line {line}"
    prefix = f"{where}: " if where else ""
    end = "" if problem.endswith("?") else "."
    return f"{prefix}{problem}{end} {remedy}."
