"""Helpers of all commands: output, settings, threads, and locked places to write to."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rich.table import Table
from rich.text import Text

from kgraft.errors import KgraftError, SettingsError
from kgraft.system.terminal import Terminal, encodable, visible_lines

if TYPE_CHECKING:
    from kgraft.pipeline.run import RunOptions
    from kgraft.toml_settings import Settings

out = Terminal()

RESUME = (
    "The same command with --resume continues after the last finished stage or saved epoch, if any."
)
AGAIN = "The same command goes on from here."
ANEW = "The same command begins anew."

S = TypeVar("S", bound="Settings")


def chosen_settings(
    kind: type[S], file: Path | None, changes: Sequence[str], *, base: S | None = None
) -> S:
    """Return settings from a file and ``PART.NAME=VALUE`` changes; else ``base`` or defaults.

    Log which of them follow the width of a narrower student.

    Raises:
        SettingsError: If one of them is malformed, unknown or not allowed.
    """
    from kgraft.settings import RetrainSettings
    from kgraft.toml_settings import read_settings

    values: dict[str, Any] = {}
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise SettingsError(f"--set {change}: write PART.NAME=VALUE, as training.epochs=5")
        values[key] = None if text == "none" else _value(text, change)
    settings = read_settings(kind, file, values, base=base)
    for part in (settings, *vars(settings).values()):
        if isinstance(part, RetrainSettings) and (following := part.following_width):
            logging.getLogger("kgraft").info(
                "The width %d is narrower than the default, and these follow it: %s",
                part.model.width,
                ", ".join(f"training.{name} = {value:g}" for name, value in following.items()),
            )
    return settings


def _value(text: str, change: str) -> Any:
    """Return a table or a list as TOML writes it, and any other value as its text."""
    from kgraft.toml_settings import parse_toml

    if text[:1] not in ("{", "["):
        return text
    try:
        return parse_toml(f"value = {text}")["value"]
    except ValueError as error:
        raise SettingsError(
            f"--set {change}: this is no TOML ({error}); write a table as "
            "'facts.completeness={ region = 1.0, \"*\" = 0.8 }'"
        ) from error


def use_threads(threads: int | None) -> None:
    """Set torch's number of threads, by default to ``OMP_NUM_THREADS`` or one per usable core."""
    import torch

    from kgraft.system.cores import usable_cores

    if threads or not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(threads or usable_cores())


@contextmanager
def writing(place: Path, *beside: Path) -> Iterator[None]:
    """Lock ``place`` for writing, and remove what killed runs have left there and ``beside`` it.

    Raises:
        KgraftError: If another run writes to this place.
    """
    from kgraft.system.outputs import behind_links, exclusive_lock, lock_of, remove_leftovers

    place = behind_links(place)
    with exclusive_lock(lock_of(place)):
        remove_leftovers(place, *beside)
        yield


@contextmanager
def run_options(directory: Path, *, resume: bool) -> Iterator[RunOptions]:
    """Yield the options of a run that ends in ``directory``, locked against other runs.

    The run's own directory, which ``run_of`` names, is removed when the block ends well.

    Raises:
        KgraftError: If another run ends in this directory, or an interrupted one is kept and is
            not to be resumed.
    """
    from kgraft.pipeline.run import RunOptions
    from kgraft.system.outputs import run_of
    from kgraft.system.progress import default_listener

    kept = run_of(directory)
    with writing(directory, kept):
        if kept.exists() and not resume:
            raise KgraftError(
                f"{kept}: an interrupted run is kept here. Continue it with --resume, or delete it."
            )
        yield RunOptions(default_listener(), kept)
        shutil.rmtree(kept, ignore_errors=True)


def say(line: str | Text) -> None:
    """Print a line as it is, left to the terminal to wrap."""
    out.print(line, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print for a program; hidden characters are escaped, which JSON reads as the same text."""
    print_text(visible_lines(json.dumps(value, indent=1, ensure_ascii=False)) + "\n")


def print_text(text: str) -> None:
    """Print text for a program, with what the output's encoding lacks as JSON writes it."""
    try:
        out.file.write(encodable(text, out.encoding))
        out.file.flush()
    except BrokenPipeError:
        out.on_broken_pipe()


def table(*columns: str, title: str | None = None, figures: Collection[str] = ()) -> Table:
    """Make a table whose names fold where a terminal is narrow, and whose figures never do."""
    made = Table(title=title, title_justify="left")
    for name in columns:
        figure = name in figures
        made.add_column(
            name, justify="right" if figure else "left", no_wrap=figure, overflow="fold"
        )
    return made


def quality_table(rows: Sequence[dict[str, Any]], title: str) -> Table:
    """Make a table of measured quality, in percent."""
    about = ("target", "system", "by", "relation", "side", "filter", "facts")
    # A column that says the same in every row is left out, except what names the row.
    named = [
        key
        for key in about
        if rows
        and key in rows[0]
        and (key in ("target", "system", "facts") or len({row[key] for row in rows}) > 1)
    ]
    figures = ("queries", "MRR", "Hits@1", "Hits@3", "Hits@10")
    made = table(*named, *figures, title=title, figures=figures)
    for row in rows:
        shares = [row[name.lower()] for name in figures[1:]]
        made.add_row(
            *(str(row[key]) for key in named),
            f"{row['queries']:,}",
            *("-" if value is None else f"{100 * value:.1f}" for value in shares),
        )
    return made
