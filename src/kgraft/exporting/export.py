"""Export of a model's vectors to a file, a directory or an address, all or nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kgraft.errors import DataError
from kgraft.exporting.formats import FORMATS, Format, FormatName, format_of, is_address
from kgraft.exporting.selection import Selection, select
from kgraft.model.trained_model import TrainedModel
from kgraft.system.forks import require_threads
from kgraft.system.outputs import content, unwritable, write_atomically, write_directory
from kgraft.system.progress import Listener

ABOUT = "kgraft-export.json"
"""File in an exported directory that describes the vectors, and marks it as replaceable."""


@dataclass(frozen=True)
class Exported:
    """Summary of an export.

    Args:
        format: The format.
        sources: The sources of the exported entities and relations.
        entities: Number of entities.
        relations: Number of relations, inverses not counted.
        width: Numbers in a vector.
    """

    format: FormatName
    sources: tuple[str, ...]
    entities: int
    relations: int
    width: int


def export(
    model: TrainedModel,
    place: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 (as in read_graph and write_graph)
    sources: Sequence[str] | None = None,
    name: str | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> Exported:
    """Export a model's vectors, each row with its name, its source and its label.

    Args:
        model: A trained model.
        place: A file, a directory, or an address: ``postgresql://``, of a Qdrant server
            ``http://``, or ``hf://USER/NAME``.
        format: A name in ``FORMATS``; by default that of the place's ending or scheme.
        sources: The sources whose entities and relations are exported; by default the target, or
            all sources of a teacher.
        name: The prefix of table and collection names; by default the target's name.
        overwrite: Whether an earlier export there is replaced.
        listener: Receives the number of written rows; by default a bar or log lines.

    Raises:
        DataError: If the format is unknown or does not fit the place, or something there may not
            be replaced.
        UnknownNameError: If the model has no such source.
        KgraftError: If an extra is not installed, or a server cannot be written to.
    """
    require_threads()
    where = os.fspath(place)
    chosen = format_of(where, format)
    form = FORMATS[chosen]
    if form.whole and sources is not None:
        raise DataError(f"{chosen} takes the whole model", remedy="Leave the sources out")
    selection = select(model, sources=sources, name=name, listener=listener)
    if is_address(where):
        _send(form, selection, where, chosen, overwrite=overwrite)
    else:
        _write(form, selection, Path(where), chosen, overwrite=overwrite)
    return Exported(
        chosen,
        tuple(selection.sources),
        len(selection.entities),
        len(selection.relations) // 2,
        selection.kge.settings.width,
    )


def _send(form: Format, selection: Selection, address: str, name: str, *, overwrite: bool) -> None:
    if form.send is None or not address.startswith(form.schemes):
        begins = " or ".join(form.schemes) or "a path"
        raise DataError(f"{name} cannot be exported to this address", remedy=f"It goes to {begins}")
    form.send(selection, address, overwrite=overwrite)


def _write(form: Format, selection: Selection, path: Path, name: str, *, overwrite: bool) -> None:
    if form.to_file is not None:
        _check_replaceable(path, directory=False, overwrite=overwrite)
        with write_atomically(path, apart=True) as temporary, _library_errors(path):
            form.to_file(selection, temporary)
    elif form.to_directory is not None:
        _check_replaceable(path, directory=True, overwrite=overwrite)
        with write_directory(path) as temporary, _library_errors(path):
            form.to_directory(selection, temporary)
            about = json.dumps({"format": name, **selection.about}, indent=2, ensure_ascii=False)
            (temporary / ABOUT).write_text(about, encoding="utf-8")
    else:
        begins = " or ".join(form.schemes)
        raise DataError(f"{name} is not written to a path", remedy=f"It goes to {begins}")


@contextmanager
def _library_errors(path: Path) -> Iterator[None]:
    """Raise the errors of vector indexes and databases as errors of the system."""
    try:
        yield
    except RuntimeError as error:
        raise unwritable(path, error) from error


def _check_replaceable(path: Path, *, directory: bool, overwrite: bool) -> None:
    """Raise unless a path is new, an empty directory, or may be replaced."""
    kind, other = ("directory", "file") if path.is_dir() else ("file", "directory")
    if not path.exists() or (directory and path.is_dir() and not content(path)):
        return
    if path.is_dir() != directory:
        raise DataError(f"this is a {kind}", remedy=f"Name a {other}", path=path)
    if directory and not (path / ABOUT).is_file():
        problem, remedy = "this directory is not an export of kgraft", "Name another one"
    elif not overwrite:
        kind = "an export" if directory else "a file"
        problem, remedy = f"there is {kind} already", "Name another one, or use --overwrite"
    else:
        return
    raise DataError(problem, remedy=remedy, path=path)
