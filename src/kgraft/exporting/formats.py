"""Export formats, found by name, by the ending of a file, or by the scheme of an address."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from kgraft.errors import DataError
from kgraft.exporting.hub import send_to_hub, write_hub
from kgraft.exporting.pykeen import write_pykeen
from kgraft.exporting.selection import Selection
from kgraft.exporting.single_file import (
    write_numpy,
    write_parquet,
    write_safetensors,
    write_word2vec,
)
from kgraft.exporting.vector_stores import (
    send_to_postgres,
    send_to_qdrant,
    write_lance,
    write_qdrant,
    write_usearch,
)
from kgraft.model.hub import SCHEME
from kgraft.system.files import COMPRESSIONS

FormatName = Literal[
    "numpy", "parquet", "safetensors", "word2vec",
    "usearch", "lancedb", "qdrant", "pgvector",
    "pykeen", "hub",
]  # fmt: skip


@dataclass(frozen=True)
class Format:
    """An export format.

    Args:
        to_file: Writes a file.
        to_directory: Writes into an empty directory.
        send: Sends a selection to an address, with ``overwrite`` in place of an earlier export.
        endings: Endings of files and directories that select this format.
        schemes: The beginnings of addresses that select this format.
        whole: Whether it exports the whole model, so that sources cannot be chosen.
    """

    to_file: Callable[[Selection, Path], None] | None = None
    to_directory: Callable[[Selection, Path], None] | None = None
    send: Callable[..., None] | None = None
    endings: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    whole: bool = False


_TEXT = tuple(f"{x}{packed}" for x in (".txt", ".vec") for packed in ("", *COMPRESSIONS))

FORMATS: Mapping[FormatName, Format] = {
    "numpy": Format(to_file=write_numpy, endings=(".npz",)),
    "parquet": Format(to_file=write_parquet, endings=(".parquet",)),
    "safetensors": Format(to_file=write_safetensors, endings=(".safetensors",)),
    "word2vec": Format(to_file=write_word2vec, endings=_TEXT),
    "usearch": Format(to_directory=write_usearch, endings=(".usearch",)),
    "lancedb": Format(to_directory=write_lance, endings=(".lancedb", ".lance")),
    "qdrant": Format(
        to_directory=write_qdrant,
        send=send_to_qdrant,
        endings=(".qdrant",),
        schemes=("http://", "https://"),
    ),
    "pgvector": Format(send=send_to_postgres, schemes=("postgresql://", "postgres://")),
    "pykeen": Format(to_directory=write_pykeen, whole=True),
    "hub": Format(to_directory=write_hub, send=send_to_hub, schemes=(SCHEME,), whole=True),
}


def format_of(place: str, name: str | None = None) -> FormatName:
    """Return the format of a name, or by default that of a file's ending or an address's scheme.

    Raises:
        DataError: If there is no such format.
    """
    for known in get_args(FormatName):
        form = FORMATS[known]
        fits = place.startswith(form.schemes) or place.lower().endswith(form.endings)
        if name == known or (name is None and fits):
            return known  # type: ignore[no-any-return]
    wrong = (
        f"{place}: its ending names no format" if name is None else f"there is no format {name!r}"
    )
    raise DataError(wrong, remedy="Name one of " + ", ".join(FORMATS) + " with --format")


def is_address(place: str) -> bool:
    """Return whether a place is an address, not a file or a directory."""
    return "://" in place


def shown(place: str) -> str:
    """Return a place for display: an address without its password."""
    return re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1@", place)
