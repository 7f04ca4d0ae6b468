"""How long work tells what it does: a protocol that the trainers speak, and two listeners."""

from __future__ import annotations

from typing import Protocol

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from kgraft.system.terminal import Terminal


class Listener(Protocol):
    """Hears from long work."""

    def begin(self, what: str, total: int) -> None:
        """Some work of ``total`` steps begins."""

    def advance(self, steps: int) -> None:
        """So many more of its steps are done."""

    def tell(self, text: str) -> None:
        """Something worth a line has happened."""

    def end(self) -> None:
        """The work is over, be it before its last step."""


class Silence:
    """Hears everything and shows nothing."""

    def begin(self, what: str, total: int) -> None:
        """Show nothing."""

    def advance(self, steps: int) -> None:
        """Show nothing."""

    def tell(self, text: str) -> None:
        """Show nothing."""

    def end(self) -> None:
        """Show nothing."""


class Bar:
    """A progress bar on standard error with rate and time left; silent off a terminal."""

    def __init__(self) -> None:
        self._console = Terminal(stderr=True)
        self._progress: Progress | None = None
        self._task = TaskID(0)

    def begin(self, what: str, total: int) -> None:
        """Show the bar."""
        if not self._console.is_terminal:
            return
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
        self._task = self._progress.add_task(what, total=total, latest="")
        self._progress.start()

    def advance(self, steps: int) -> None:
        """Move the bar."""
        if self._progress is not None:
            self._progress.advance(self._task, steps)

    def tell(self, text: str) -> None:
        """Show the text beside the bar."""
        if self._progress is not None:
            self._progress.update(self._task, latest=text)

    def end(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


class _Rate(ProgressColumn):
    """Queries per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")
