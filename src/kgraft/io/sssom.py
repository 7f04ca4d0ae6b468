"""Links from SSSOM, tables of mappings after a commented YAML header.

The form is that of Matentzoglu et al., Database, 2022, and of its specification 1.0: cells may be
quoted, the separator is a tab, a comma or a semicolon, and the header may be a file of its own
beside the table.
"""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import Final

import polars as pl

from kgraft.errors import DataError, KgraftWarning, describe
from kgraft.graph.identities import OWL, SAME, SKOS
from kgraft.io.link_statements import NO_TERM, SSSOM, check_others
from kgraft.io.table_errors import empty_cell, no_rows
from kgraft.io.tabular import LINE, LONGEST_LINE
from kgraft.linking.links import LinkKind
from kgraft.system.files import compression_of, open_bytes, read_text

_REQUIRED: Final = ("subject_id", "predicate_id", "object_id")
_TYPES: Final = ("subject_type", "object_type", "match_term_type")
_OPTIONAL: Final = (*_TYPES, "predicate_modifier", "confidence")

_BUILT_IN: Final = {
    "owl": OWL,
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "semapv": "https://w3id.org/semapv/vocab/",
    "skos": SKOS,
    "sssom": SSSOM,
}
"""Prefixes that an SSSOM file need not declare and cannot change."""

_NO_ENTITY: Final = r"(?i)^(rdfs[ _:]literal|.*rdf-schema#Literal|TermMatch|compos\w+ entity.*)$"
"""Types of subjects and objects that are no entities."""

_PREFIX: Final = re.compile(r"""["']?([\w.-]*)["']?:(?:\s+["']?|["'])([^"'\s,{}]+)""")
"""An entry of a ``curie_map``, which YAML may write in lines or in braces."""

_SLOT: Final = re.compile(r"""\s*(\w+_type|predicate_modifier):\s+["']?([^"'#]+)""")
"""A value of the header for all mappings."""

_WORDS: Final = {
    **dict.fromkeys(("subject", "left", "source", "entity1", "id1", "from"), "subject_id"),
    **dict.fromkeys(("object", "right", "target", "entity2", "id2", "to"), "object_id"),
    **dict.fromkeys(("predicate", "relation"), "predicate_id"),
    **dict.fromkeys(("score", "weight"), "confidence"),
}
"""Names of columns of other tables that have a predicate."""


def names_mappings(path: Path) -> bool:
    """Return True if a table's header is that of mappings, each with a predicate."""
    with open_bytes(path) as stream:
        for raw in iter(lambda: stream.readline(LONGEST_LINE), b""):
            line = raw.decode("utf-8-sig", errors="replace")
            if (content := _yaml(line)) is not None:
                if re.match(r"\s*curie_map:", content):
                    return True
            elif not _is_blank(line):
                names = set(_canonical(line.split(_delimiter(line))))
                marks = {"predicate_id", "predicate_modifier", "mapping_justification"} & names
                return {"subject_id", "object_id"} <= names and bool(marks)
    return False


def read_mappings(
    path: Path, kind: LinkKind, known: Callable[[pl.Series], pl.Series]
) -> pl.DataFrame:
    """Read the mappings that say that two entities, or relations, are the same.

    Args:
        path: The table, whose header may be ``NAME.sssom.yml`` beside it.
        kind: Kind of the links.
        known: Mask of names that a graph has, ``(n,)``; they are no CURIEs.

    Returns:
        String columns left, right and perhaps confidence, and Int64 ``line``.

    Raises:
        DataError: With file, line and remedy, for a malformed table, or without such a mapping.

    Warns:
        KgraftWarning: With counts, of mappings left out: of literals or expressions, of no term,
            with a modifier, of another predicate; and of a built-in prefix with another meaning.
    """
    header, frame = _parts(path)
    prefixes, slots = _metadata(chain(_external(path), header))
    for name in _BUILT_IN.keys() & prefixes.keys():
        if prefixes[name] != _BUILT_IN[name]:
            _warn_of_prefix(path, name)
    in_full = {name: _expanded(frame[name], prefixes | _BUILT_IN) for name in _REQUIRED}
    for name in ("subject_id", "object_id"):
        # A graph may itself write CURIEs.
        in_full[name] = frame[name].zip_with(known(frame[name]), in_full[name])
    frame = frame.with_columns(**in_full)
    for name in (*_TYPES, "predicate_modifier"):
        if name not in frame.columns or not frame[name].count():
            frame = frame.with_columns(pl.lit(slots.get(name), dtype=pl.String).alias(name))
    reasons = {
        "of a literal or an expression": pl.any_horizontal(
            pl.col(name).str.contains(_NO_ENTITY) for name in _TYPES
        ),
        "of no term (sssom:NoTermFound)": (pl.col("subject_id") == NO_TERM)
        | (pl.col("object_id") == NO_TERM),
        "negated, or with another predicate_modifier": pl.col("predicate_modifier").is_not_null(),
        "of another predicate": pl.col("predicate_id").is_in(SAME[kind]).not_(),
    }
    total, counts = len(frame), {}
    for number, (reason, mask) in enumerate(reasons.items()):
        if number == 2:
            _check_filled(path, frame)
        before = len(frame)
        frame = frame.filter(mask.fill_null(value=False).not_())
        counts[reason] = before - len(frame)
    details = ", ".join(f"{count} {reason}" for reason, count in counts.items() if count)
    check_others(path, kind, len(frame), total - len(frame), details)
    return frame.rename({"subject_id": "left", "object_id": "right"})


def _yaml(line: str) -> str | None:
    """Return the YAML of a line of the header, or None; spreadsheets quote such a line."""
    bare = line.lstrip('"')
    return bare[1:].rstrip("\r\n") if bare.startswith("#") else None


def _is_blank(line: str) -> bool:
    return not line.strip(" \t,\r\n")


def _canonical(cells: Iterable[str]) -> list[str]:
    """Return the names of columns as SSSOM writes them."""
    words = [cell.strip(' "\r\n').lower() for cell in cells]
    return [word if (name := _WORDS.get(word, word)) in words else name for word in words]


def _parts(path: Path) -> tuple[list[str], pl.DataFrame]:
    """Read the header's lines, and the mappings with their lines, null for an empty cell."""
    header, lines = [], StringIO(read_text(path), newline="")
    before = 0
    for line in lines:
        if (content := _yaml(line)) is not None:
            header.append(content)
        elif not _is_blank(line):
            break
        before += 1
    else:
        raise no_rows(path)
    body, sign = line + lines.read(), _delimiter(line)
    names: list[str] = []
    with suppress(csv.Error):  # Reading all rows gives the error.
        names = _canonical(next(csv.reader(StringIO(body, newline=""), delimiter=sign)))
    places = _places(path, before + 1, names)
    texts = _plain_rows(body, sign, len(names), before)
    if texts is None:
        texts = _quoted_rows(path, body, sign, before, places)
    texts = texts.filter(~pl.all_horizontal(pl.exclude(LINE) == ""))
    if not len(texts):
        raise no_rows(path)
    cells = {name: pl.col(f"field_{place}") for name, place in places.items()}
    bare = texts.select(**{name: cell.str.strip_chars() for name, cell in cells.items()}, line=LINE)
    filled = {name: pl.when(pl.col(name) != "").then(name) for name in places}
    return header, bare.with_columns(**filled)


def _delimiter(line: str) -> str:
    """Return a tab, or the more frequent one of commas and semicolons."""
    return "\t" if "\t" in line else max(",;", key=line.count)


def _plain_rows(body: str, sign: str, width: int, before: int) -> pl.DataFrame | None:
    """Return the rows of a table without quotes; None if it has some, or rows of another width.

    Returns:
        String columns ``field_0`` to ``field_{width - 1}``, and Int64 ``line``.
    """
    text = body.replace("\r\n", "\n")
    if '"' in text or "\r" in text:
        return None
    row = pl.col("row")
    lines = (
        pl.DataFrame({"row": [text]})
        .select(row.str.split("\n").explode())
        .with_columns(pl.int_range(before + 1, before + 1 + pl.len(), dtype=pl.Int64).alias(LINE))
        .filter(row != "")[1:]
    )
    if (lines["row"].str.count_matches(sign, literal=True) != width - 1).any():
        return None
    return lines.select(row.str.split_exact(sign, width - 1), LINE).unnest("row")


def _quoted_rows(
    path: Path, body: str, sign: str, before: int, places: dict[str, int]
) -> pl.DataFrame:
    """Return what ``_plain_rows`` does, of a table that may have quotes and shorter rows."""
    reader = csv.reader(StringIO(body, newline=""), delimiter=sign, strict=True)
    rows: list[list[str]] = []
    numbers: list[int] = []
    start = before + 1
    try:
        width = len(next(reader))
        shortest = max(places[name] for name in _REQUIRED)
        start = before + reader.line_num + 1
        for cells in reader:
            if any(cells):
                if not shortest < len(cells) <= width:
                    raise DataError(
                        f"expected {width} columns, found {len(cells)}",
                        remedy="Repair the line; a cell that holds the separator has quotes",
                        path=path,
                        line=start,
                    )
                rows.append(cells + [""] * (width - len(cells)))
                numbers.append(start)
            start = before + reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"the row is not well-formed ({error})",
            remedy="Put a cell that holds quotes in quotes, and double those inside",
            path=path,
            line=start,
        ) from error
    fields = {f"field_{place}": [row[place] for row in rows] for place in range(width)}
    texts = pl.DataFrame(fields, schema=dict.fromkeys(fields, pl.String))
    return texts.with_columns(pl.Series(LINE, numbers, dtype=pl.Int64))


def _places(path: Path, line: int, names: list[str]) -> dict[str, int]:
    """Return the position of each known column; none may be there twice."""
    for name in (*_REQUIRED, *_OPTIONAL):
        count = names.count(name)
        if count > 1 or (count == 0 and name in _REQUIRED):
            raise DataError(
                f"an SSSOM table has a column {name}, this one has {count or 'not'}",
                remedy="Name the columns " + ", ".join(_REQUIRED) + ", each once",
                path=path,
                line=line,
            )
    return {name: names.index(name) for name in (*_REQUIRED, *_OPTIONAL) if name in names}


def _check_filled(path: Path, frame: pl.DataFrame) -> None:
    gaps = frame.filter(pl.any_horizontal(pl.col(_REQUIRED).is_null()))
    if len(gaps):
        name = next(name for name in _REQUIRED if gaps[name][0] is None)
        raise empty_cell(name, path, gaps[LINE][0])


def _external(path: Path) -> list[str]:
    """Read the lines of the header in a file of its own, if there is one."""
    name = path.stem if compression_of(path) else path.name
    stem = re.sub(r"(\.sssom)?\.\w+$|\.sssom$", "", name, flags=re.IGNORECASE)
    for ending in (".sssom.yml", ".sssom.yaml"):
        if (beside := path.with_name(stem + ending)).is_file():
            return read_text(beside).splitlines()
    return []


def _metadata(lines: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Read the ``curie_map`` and the values for all mappings from a header of YAML."""
    prefixes: dict[str, str] = {}
    slots: dict[str, str] = {}
    inside = False
    for line in lines:
        if slot := _SLOT.match(line):
            slots[slot[1]] = slot[2].strip()
        begin = re.match(r"""\s*["']?curie_map["']?:""", line)
        entries = _PREFIX.findall(line, begin.end() if begin else 0)
        is_remark = not line.strip() or line.lstrip().startswith("#")
        inside = bool(begin or (inside and (entries or is_remark)))
        if inside and not is_remark:
            prefixes.update(entries)
    return prefixes, slots


def _warn_of_prefix(path: Path, name: str) -> None:
    warnings.warn(
        describe(
            f"SSSOM gives the prefix {name} its meaning, so that of the file's header is ignored",
            remedy=f"Write {name}: {_BUILT_IN[name]}, or leave it out",
            path=path,
        ),
        KgraftWarning,
        stacklevel=4,
    )


def _expanded(names: pl.Series, prefixes: dict[str, str]) -> pl.Series:
    """Expand CURIEs of declared prefixes; other names stay."""
    parts = names.str.splitn(":", 2).struct.rename_fields(["prefix", "rest"])
    base = parts.struct.field("prefix").replace_strict(
        prefixes, default=None, return_dtype=pl.String
    )
    return (base + parts.struct.field("rest")).fill_null(names)
