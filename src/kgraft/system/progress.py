"""Progress of long work: the Listener protocol; a bar on a terminal or in a notebook; log lines.

Lines go to the logger ``kgraft`` at level INFO. A higher level of that logger silences bars too.
"""

from __future__ import annotations

import logging
import time
from html import escape
from importlib import import_module
from typing import Any, Protocol

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from kgraft.system.terminal import Terminal, visible

LOGGER = logging.getLogger("kgraft")
LOGGER.addHandler(logging.NullHandler())

REDRAWN_AFTER = 0.25
"""Seconds between two drawings of a notebook's bar."""


class Listener(Protocol):
    """Receives the progress of long work, stage by stage."""

    def begin(self, name: str, total: int) -> None:
        """Begin a stage of ``total`` units of work."""

    def advance(self, n: int) -> None:
        """Count ``n`` more units as done."""

    def tell(self, text: str) -> None:
        """Report an intermediate result, as an epoch's loss."""

    def end(self) -> None:
        """End the stage, which may be before its last unit."""


def default_listener() -> Listener:
    """Return a bar where a terminal or a notebook shows it, else lines for the log.

    Where the logger ``kgraft`` has a level above INFO, nothing is shown.
    """
    if LOGGER.level > logging.INFO:
        return Silence()
    console = Terminal(stderr=True)
    if console.is_jupyter:
        return NotebookBar()
    return Bar(console) if console.is_terminal else LogLines()


class Silence:
    """Ignores all progress."""

    def begin(self, name: str, total: int) -> None:
        """Do nothing."""

    def advance(self, n: int) -> None:
        """Do nothing."""

    def tell(self, text: str) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


class LogLines:
    """Logs a line for each intermediate result and for the end of each stage."""

    def begin(self, name: str, total: int) -> None:
        """Log the stage's name for those who debug."""
        self._name, self._since = visible(name), time.perf_counter()
        LOGGER.debug("%s begins, of %d units", self._name, total)

    def advance(self, n: int) -> None:
        """Log nothing."""

    def tell(self, text: str) -> None:
        """Log the text behind the stage's name."""
        LOGGER.info("%s: %s", self._name, visible(text))

    def end(self) -> None:
        """Log how long the stage took."""
        LOGGER.info("%s: %.1f seconds", self._name, time.perf_counter() - self._since)


class Bar:
    """A progress bar on a terminal, with rate and time left."""

    def __init__(self, console: Terminal) -> None:
        self._console = console

    def begin(self, name: str, total: int) -> None:
        """Show the bar."""
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[latest]}", style="dim", markup=False),
            console=self._console,
            transient=True,
        )
        self._task = self._progress.add_task(name, total=total, latest="")
        self._progress.start()

    def advance(self, n: int) -> None:
        """Move the bar."""
        self._progress.advance(self._task, n)

    def tell(self, text: str) -> None:
        """Show the text beside the bar."""
        self._progress.update(self._task, latest=text)

    def end(self) -> None:
        """Remove the bar."""
        self._progress.stop()


class _Rate(ProgressColumn):
    """Units of work a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")


class NotebookBar:
    """A progress bar in a notebook's output; it needs IPython, which runs there, and no widgets."""

    def begin(self, name: str, total: int) -> None:
        """Show the bar."""
        self._name, self._total, self._done, self._latest = name, total, 0, ""
        self._since = self._drawn = time.perf_counter()
        display = import_module("IPython.display").display
        self._output = display(self._content(), raw=True, display_id=True)

    def advance(self, n: int) -> None:
        """Move the bar."""
        self._done += n
        if time.perf_counter() - self._drawn > REDRAWN_AFTER:
            self._draw()

    def tell(self, text: str) -> None:
        """Show the text beside the bar."""
        self._latest = text
        self._draw()

    def end(self) -> None:
        """Leave the bar where it is."""
        self._draw()

    def _draw(self) -> None:
        self._drawn = time.perf_counter()
        self._output.update(self._content(), raw=True)

    def _content(self) -> dict[str, Any]:
        seconds = max(time.perf_counter() - self._since, 1e-9)
        share = self._done / max(self._total, 1)
        figures = [f"{100 * share:.0f} %", f"{self._done / seconds:,.0f}/s", f"{seconds:.1f} s"]
        words = visible(", ".join([*figures, self._latest] if self._latest else figures))
        name = visible(self._name)
        bar = f'<progress value="{self._done}" max="{max(self._total, 1)}"></progress>'
        return {
            "text/plain": f"{name}: {words}",
            "text/html": f"<div>{escape(name)} {bar} {escape(words)}</div>",
        }
