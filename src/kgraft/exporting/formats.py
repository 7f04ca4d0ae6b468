"""The forms that vectors are exported in, by name, by the ending of a file, or by an address."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

from kgraft.errors import DataError
from kgraft.exporting.hub import SCHEME, send_to_hub, write_hub
from kgraft.exporting.lance import write_lance
from kgraft.exporting.postgres import send_to_postgres
from kgraft.exporting.pykeen import write_pykeen
from kgraft.exporting.qdrant import send_to_qdrant, write_qdrant
from kgraft.exporting.selection import Selection
from kgraft.exporting.single_file import (
    write_numpy,
    write_parquet,
    write_safetensors,
    write_word2vec,
)
from kgraft.exporting.usearch import write_usearch
from kgraft.system.files import COMPRESSIONS

FormatName = Literal[
    "numpy",
    "parquet",
    "safetensors",
    "word2vec",
    "usearch",
    "lancedb",
    "qdrant",
    "pgvector",
    "pykeen",
    "hub",
]


class Send(Protocol):
    """Puts a selection where an address leads."""

    def __call__(self, selection: Selection, address: str, /, *, overwrite: bool) -> None:
        """Put it there whole or not at all; what is there is replaced only if it may be."""


@dataclass(frozen=True)
class Format:
    """A form of vectors.

    Args:
        to_file: Writes a file.
        to_directory: Writes into an empty directory.
        send: Puts it where an address leads.
        endings: Of files and directories that are written in this form unless it is told.
        schemes: What such addresses begin with.
        whole: Whether it takes the whole model, so that no sources are chosen.
    """

    to_file: Callable[[Selection, Path], None] | None = None
    to_directory: Callable[[Selection, Path], None] | None = None
    send: Send | None = None
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
    """Return the form that is asked for by name, or that a place tells.

    Raises:
        DataError: If there is no such form, or the place tells none.
    """
    for known in get_args(FormatName):
        form = FORMATS[known]
        tells = place.startswith(form.schemes) or place.lower().endswith(form.endings)
        if name == known or (name is None and tells):
            return known  # type: ignore[no-any-return]
    wrong = f"{place}: its ending tells no form" if name is None else f"there is no form {name!r}"
    raise DataError(wrong, remedy="Name one of " + ", ".join(FORMATS) + " with --format")


def is_address(place: str) -> bool:
    """Say whether a place is an address, not a file or a directory."""
    return "://" in place


def shown(place: str) -> str:
    """Return a place as it may be shown: an address without a password."""
    return re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1@", place)
