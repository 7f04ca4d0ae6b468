"""The file of a collection: its tables, checked, and the lines that they are on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import polars as pl
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from kgraft.errors import DataError
from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.graph.spelling import Spelling
from kgraft.io.link_ends import LeftOut, Unknown
from kgraft.io.read_links import (
    LinkFormat,
    links_by_name,
    read_links,
    read_redirects,
)
from kgraft.io.source import GraphSource, Malformed
from kgraft.linking.links import LinkKind, Links
from kgraft.toml_settings import explain, parse_toml


class LinkSource(BaseModel):
    """One ``[[links]]`` table: links from a file, or between entities of the same name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    left: str
    right: str
    path: Path | None = None
    match: Literal["name"] | None = None
    kind: LinkKind = "entity"
    format: LinkFormat = "auto"
    ids: bool = False
    confidence: float = Field(1.0, gt=0, le=1)
    unknown: Unknown = "error"
    malformed: Malformed = "error"
    spelling: Spelling = "exact"

    @model_validator(mode="after")
    def _one_origin(self) -> LinkSource:
        if (self.path is None) == (self.match is None):
            raise ValueError("give either path or match")
        if self.is_inside and (self.path is None or self.ids):
            raise ValueError(
                f"links of {self.left!r} with itself are redirects: give a path to pairs of names"
            )
        return self

    @property
    def is_inside(self) -> bool:
        """True for links of a source with itself: redirects."""
        return self.left == self.right

    def read_redirects(self, directory: Path) -> pl.DataFrame:
        """Read the pairs of names of one entity; the path begins at ``directory``."""
        assert self.path is not None  # noqa: S101 (checked above)
        return read_redirects(
            directory / self.path, kind=self.kind, format=self.format, malformed=self.malformed
        )

    def read(
        self, directory: Path, graphs: Mapping[str, KnowledgeGraph], left_out: list[LeftOut]
    ) -> Links:
        """Read or find the links, and add those to unknown names to ``left_out``."""
        left, right = graphs[self.left], graphs[self.right]
        if self.path is None:
            return links_by_name(
                left,
                right,
                kind=self.kind,
                confidence=self.confidence,
                spelling=self.spelling,
            )
        return read_links(
            directory / self.path,
            left,
            right,
            kind=self.kind,
            format=self.format,
            ids=self.ids,
            confidence=self.confidence,
            unknown=self.unknown,
            malformed=self.malformed,
            spelling=self.spelling,
            left_out=left_out,
        )


COLLECTION_TABLES = "[[source]] or [[links]]"
"""The tables of a collection's file."""


def numbered(tables: Any, examples: str = COLLECTION_TABLES) -> Any:
    """Number tables from 1, for error messages, which name examples."""
    if not isinstance(tables, list):
        raise ValueError(f"write it as tables in two brackets, as {examples}")
    return dict(enumerate(tables, start=1))


_Table = TypeVar("_Table")
_Numbered = Annotated[dict[int, _Table], BeforeValidator(numbered)]
_File = TypeVar("_File", bound=BaseModel)


class CollectionFile(BaseModel):
    """A whole ``collection.toml``, its tables numbered from 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    description: str = ""
    target: str | None = None
    base: Path | None = None
    base_links: bool = True
    source: _Numbered[GraphSource] = Field(default_factory=dict)
    links: _Numbered[LinkSource] = Field(default_factory=dict)


def parse_collection_file(path: Path, text: str) -> CollectionFile:
    """Parse and check the text of a collection's file, as ``parse_tables`` does."""
    return parse_tables(CollectionFile, path, text, "[[source]] and [[links]]")


def parse_tables(kind: type[_File], path: Path, text: str, tables: str) -> _File:
    """Parse and check the text of a TOML file that has numbered tables.

    Args:
        kind: The file's model.
        path: The file.
        text: Its text.
        tables: Its tables, for error messages.

    Raises:
        DataError: With the line, if it is not well-formed, or a key or value is wrong.
    """
    try:
        found = parse_toml(text)
    except ValueError as error:
        place = re.search(r" \(at (?:line (\d+), .*|end of document)\)$", str(error))
        what = str(error)[: place.start()] if place else str(error)
        raise DataError(
            f"not well-formed TOML ({what[:1].lower()}{what[1:]})",
            remedy=f"Texts stand in quotes, tables as {tables}",
            path=path,
            line=int(place[1]) if place and place[1] else text.count("\n") + 1,
        ) from error
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        key, *rest = error.errors()[0]["loc"]
        raise DataError(
            explain(error),
            remedy="Mend these keys; tables of one name are counted from 1",
            path=path,
            line=line_of(text, str(key), *[x for x in rest[:1] if isinstance(x, int)]),
        ) from error


def line_of(text: str, key: str, number: int | None = None) -> int | None:
    """Return the line of a key, or of the ``number``-th ``[[key]]``; None if there is no such."""
    # tomllib keeps no positions, and neither does tomlkit.
    name = re.escape(key)
    start = rf"{name}\s*=|\[\s*{name}\s*\]" if number is None else rf"\[\[\s*{name}\s*\]\]"
    lines = [n for n, line in enumerate(text.split("\n"), 1) if re.match(rf"\s*(?:{start})", line)]
    place = (number or 1) - 1
    return lines[place] if place < len(lines) else None


def placed(source: GraphSource, directory: Path) -> GraphSource:
    """Return the source with paths relative to the collection file's directory."""
    changes: dict[str, Path | tuple[Path, ...]] = {}
    for name in (
        "train",
        "valid",
        "test",
        "negatives",
        "entities",
        "relations",
        "labels",
        "attributes",
    ):
        value: Path | tuple[Path, ...] | None = getattr(source, name)
        if isinstance(value, tuple):
            changes[name] = tuple(directory / path for path in value)
        elif value is not None:
            changes[name] = directory / value
    return source.model_copy(update=changes)
