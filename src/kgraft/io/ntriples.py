"""N-Triples by blocks of lines, with the plain facts read by columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import polars as pl
from pyoxigraph import Literal, NamedNode

from kgraft.errors import DataError
from kgraft.io.named_facts import ROLES
from kgraft.io.tabular import LONGEST_LINE

BLOCK: Final = 1 << 26
"""Bytes of N-Triples in memory as text at once."""

_SIGN: Final = r"(?:[A-Za-z0-9/_.~!$&'()*+,;=:@\u{A0}-\u{D7FF}-]|%[0-9A-Fa-f]{2})"
_IRI: Final = rf"[A-Za-z][A-Za-z0-9+.-]*:(?://[A-Za-z0-9.-]+/|[A-Za-z0-9_]){_SIGN}*(?:#{_SIGN}*)?"
_PLAIN: Final = rf"^<({_IRI})> <({_IRI})> <({_IRI})> \.$"
"""The common form of a fact, of IRIs that are certainly well-formed (RFC 3987)."""

XSD: Final = "http://www.w3.org/2001/XMLSchema#"

_BARE: Final = (
    r"(?m)^([^\"\r\n]*>)[ \t]+([+-]?[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?|true|false)"
    r"[ \t]*((?:(?:<[^>\r\n]*>|_:[^ \t\r\n]+)[ \t]*)?\.[ \t]*\r?)$"
)
"""A statement of a number or truth value without quotes, as in Turtle."""

_VERSION: Final = r"(?m)^VERSION[ \t]+[\"'][^\"'\r\n]*[\"'][ \t]*\r?$"
"""A directive of RDF 1.2."""


def blocks_of_lines(stream: BinaryIO, path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield blocks of whole lines, each with the number of lines before it.

    Raises:
        DataError: At a line that is longer than ``LONGEST_LINE``.
    """
    before = 0
    while block := stream.read(BLOCK):
        rest = stream.readline(LONGEST_LINE)
        block += rest
        lines = block.count(b"\n") + block.count(b"\r") - block.count(b"\r\n")
        if len(rest) == LONGEST_LINE:
            raise DataError(
                f"the line is longer than {LONGEST_LINE >> 20} MiB",
                remedy="Check that this is N-Triples, and that its lines end",
                path=path,
                line=before + lines + 1,
            )
        yield before, block
        before += lines


def in_strict_form(text: str) -> str:
    """Return lines with bare numbers and truth values quoted, and without directives."""

    def quoted(match: re.Match[str]) -> str:
        subject, value, rest = match.groups()
        if value in ("true", "false"):
            typed = Literal(value == "true")
        else:
            kind = "double" if "e" in value.lower() else "decimal" if "." in value else "integer"
            typed = Literal(value, datatype=NamedNode(f"{XSD}{kind}"))
        return f"{subject} {typed} {rest}"

    return re.sub(_VERSION, "", re.sub(_BARE, quoted, text))


def plain_facts(text: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read the plain facts among some lines.

    Returns:
        String columns head, relation and tail, ``(n,)`` for ``n`` lines, null where a line is no
        plain fact; and columns position and line of other statements.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = pl.DataFrame({"line": [text]}).select(pl.col("line").str.split("\n").explode())
    facts = lines.select(pl.col("line").str.extract_groups(_PLAIN)).to_series().struct.unnest()
    facts.columns = list(ROLES)
    stripped = pl.col("line").str.strip_chars(" \t")
    others = lines.with_row_index("position").filter(
        facts["head"].is_null(), stripped != "", ~stripped.str.starts_with("#")
    )
    unquoted = others.filter(~pl.col("line").str.contains('"', literal=True))["line"]
    if unquoted.str.contains(_BARE).any() or others["line"].str.contains(_VERSION).any():
        strict = [in_strict_form(line) for line in others["line"]]
        others = others.with_columns(line=pl.Series(strict, dtype=pl.String)).filter(
            pl.col("line") != ""
        )
    return facts, others
