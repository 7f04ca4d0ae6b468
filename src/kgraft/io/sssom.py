"""Links from SSSOM, tables of mappings after a commented YAML header."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import polars as pl

from kgraft.errors import DataError
from kgraft.io.link_statements import OWL, SAME, SKOS, check_others
from kgraft.io.tabular import read_columns
from kgraft.linking.links import LinkKind
from kgraft.system.files import open_bytes

_SSSOM: Final = ("subject_id", "predicate_id", "object_id")

_PREFIXES: Final = {"owl": OWL, "skos": SKOS}
"""Prefixes that an SSSOM file need not declare."""

_PREFIX: Final = re.compile(r"""["']?([\w.-]*)["']?:\s+["']?([^"'\s,{}]+)""")
"""An entry of a ``curie_map``, which YAML may write in lines or in braces."""


def read_mappings(
    path: Path, kind: LinkKind, known: Callable[[pl.Series], pl.Series]
) -> pl.DataFrame:
    """Read SSSOM (Matentzoglu et al., Database, 2022): a table after a commented YAML header."""
    prefixes = _prefixes(path)
    frame = read_columns(
        path, _SSSOM, optional=["confidence", "predicate_modifier"], header=True, comment="#"
    )
    in_full = {name: _expanded(frame[name], prefixes) for name in _SSSOM}
    for name in ("subject_id", "object_id"):
        # A graph may itself write CURIEs.
        in_full[name] = frame[name].zip_with(known(frame[name]), in_full[name])
    frame = frame.with_columns(**in_full)
    is_same = pl.col("predicate_id").is_in(SAME[kind])
    if "predicate_modifier" in frame.columns:
        is_same &= (pl.col("predicate_modifier") == "Not").not_().fill_null(value=True)
    same = frame.filter(is_same)
    check_others(path, kind, len(same), len(frame) - len(same))
    return same.rename({"subject_id": "left", "object_id": "right"})


def _prefixes(path: Path) -> dict[str, str]:
    """Read the ``curie_map`` of an SSSOM header, and check the names of columns below it."""
    found = dict(_PREFIXES)
    inside = False
    with open_bytes(path) as stream:
        for number, raw in enumerate(stream, start=1):
            line = raw.decode("utf-8-sig", errors="replace").rstrip()
            if line.startswith("#"):
                begin = re.match(r"#\s*curie_map:", line)
                entries = _PREFIX.findall(line, begin.end() if begin else 1)
                inside = bool(begin or (inside and entries))
                if inside:
                    found.update(entries)
            elif line:
                _check_columns(path, number, re.split("[\t,]", line.lower()))
                break
    return found


def _check_columns(path: Path, line: int, names: list[str]) -> None:
    for name in _SSSOM:
        if name not in names:
            raise DataError(
                f"an SSSOM table has a column {name}, this one has not",
                remedy="Name the columns " + ", ".join(_SSSOM),
                path=path,
                line=line,
            )


def _expanded(names: pl.Series, prefixes: dict[str, str]) -> pl.Series:
    """Expand CURIEs of declared prefixes; other names stay."""
    parts = names.str.splitn(":", 2).struct.rename_fields(["prefix", "rest"])
    base = parts.struct.field("prefix").replace_strict(
        prefixes, default=None, return_dtype=pl.String
    )
    return (base + parts.struct.field("rest")).fill_null(names)
