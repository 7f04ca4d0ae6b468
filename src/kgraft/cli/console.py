"""What the verbs share: where words go, how runs are kept, and how settings are changed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.table import Table

from kgraft.errors import KgraftError, SettingsError
from kgraft.pipeline.run import RunOptions
from kgraft.system.files import clear_up, exclusive_lock
from kgraft.system.progress import default_listener
from kgraft.system.terminal import Terminal, visible_lines
from kgraft.toml_settings import Settings, read_settings

out = Terminal()

RESUME = "The same command with --resume goes on from the last epoch that was kept."
AGAIN = "The same command goes on from here."
ANEW = "The same command begins anew."

S = TypeVar("S", bound=Settings)


def chosen_settings(
    kind: type[S], file: Path | None, changes: Sequence[str], *, base: S | None = None
) -> S:
    """Return settings from a file and ``PART.NAME=VALUE`` changes; else ``base`` or defaults.

    Raises:
        SettingsError: If one of them is malformed, unknown or not allowed.
    """
    values: dict[str, Any] = {}
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise SettingsError(f"--set {change}: write PART.NAME=VALUE, as training.epochs=5")
        values[key] = None if text == "none" else text
    return read_settings(kind, file, values, base=base)


def use_threads(threads: int | None) -> None:
    """Let torch use so many threads, by default as ``OMP_NUM_THREADS`` says, or one a core."""
    if threads or not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(threads or os.cpu_count() or 1)


@contextmanager
def writing(place: Path, *beside: Path) -> Iterator[None]:
    """Let a run write to ``place``, and ``beside`` it, while no other may.

    What killed runs have left there is taken away first.

    Raises:
        KgraftError: If another run writes to this place.
    """
    place = place.resolve()
    with exclusive_lock(place.with_name(f".{place.name}.lock")):
        clear_up(place, *beside)
        yield


@contextmanager
def watching(directory: Path, *, resume: bool) -> Iterator[RunOptions]:
    """Yield how a run that ends in ``directory`` is watched and kept, while no other may.

    When the block ends well, what was kept of the run is removed.

    Raises:
        KgraftError: If another run ends in this directory, or an interrupted one is kept here and
            is not to be gone on with.
    """
    directory = directory.resolve()
    checkpoint = directory.with_name(f".{directory.name}.checkpoint.safetensors")
    with writing(directory, checkpoint):
        if checkpoint.exists() and not resume:
            raise KgraftError(
                f"{checkpoint}: an interrupted run is kept here. Go on with --resume, or delete it."
            )
        yield RunOptions(default_listener(), checkpoint)
        checkpoint.unlink(missing_ok=True)


def print_json(value: Any) -> None:
    """Print for a program; hidden characters are escaped, which JSON reads as the same text."""
    sys.stdout.write(visible_lines(json.dumps(value, indent=1, ensure_ascii=False)) + "\n")


def quality_table(rows: Sequence[dict[str, Any]], title: str) -> Table:
    """Make a table of measured quality, in percent."""
    about = ("target", "system", "relation", "side", "filter", "facts")
    # A column that says the same in every row is left out, except what names the row.
    named = [
        key
        for key in about
        if rows
        and key in rows[0]
        and (key in ("target", "system", "facts") or len({row[key] for row in rows}) > 1)
    ]
    table = Table(title=title, title_justify="left")
    for key in named:
        table.add_column(key)
    for key in ("queries", "MRR", "Hits@1", "Hits@3", "Hits@10"):
        table.add_column(key, justify="right", no_wrap=True)
    for row in rows:
        figures = [row[key] for key in ("mrr", "hits@1", "hits@3", "hits@10")]
        table.add_row(
            *(str(row[key]) for key in named),
            f"{row['queries']:,}",
            *("-" if value is None else f"{100 * value:.1f}" for value in figures),
        )
    return table
