"""Attributes of entities in tables: files of their own, and literals among the facts."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Final

import polars as pl
from pyoxigraph import Literal, RdfFormat, parse

from kgraft.errors import DataError, KgraftWarning, describe
from kgraft.io.delimiters import Delimiter
from kgraft.io.ntriples import XSD
from kgraft.io.rdf_terms import LANG_STRING, LITERAL_COLUMNS
from kgraft.io.table_errors import empty_cell, wrong_width
from kgraft.io.tabular import LINE, first_rows, read_columns
from kgraft.system.files import read_text

OWN_NAME: Final = re.compile(r"attr(?:ibute)?_triples(?:[_.].*)?", re.IGNORECASE)
"""Names of files of attributes in OpenEA's datasets."""

_WORDS: Final = {
    **dict.fromkeys(("head", "subject", "node1", "s"), "entity"),
    **dict.fromkeys(("relation", "predicate", "property", "label", "p"), "attribute"),
    **dict.fromkeys(("tail", "object", "literal", "node2", "o"), "value"),
}

_COLUMNS: Final = ("entity", "attribute", "value")

_TEXT: Final = r'"((?s:.*))"'
_LANGUAGE: Final = r"@([A-Za-z]+(?:-[A-Za-z0-9]+)*)"
_DATATYPE: Final = r"\^\^(?:<([^<>\s]+)>|(\w+:\w+))"
_LITERAL: Final = rf"^{_TEXT}(?:{_LANGUAGE}|{_DATATYPE})?$"
_MARKED: Final = rf"^{_TEXT}(?:{_LANGUAGE}|{_DATATYPE})$"


def read_attributes(path: Path, delimiter: Delimiter) -> pl.DataFrame:
    """Read a table of entity, attribute and value.

    A value in quotes, perhaps with a language or datatype after it, is a literal of N-Triples; any
    other is a text as it is, in a table without a header up to the end of its line, with tabs. Rows
    without a value are left out.

    Returns:
        String columns ``LITERAL_COLUMNS``, and Int64 ``line``.

    Raises:
        DataError: With file and line, as ``read_columns``; or if no row has a value.

    Warns:
        KgraftWarning: With the number of rows without a value.
    """
    separator, after = delimiter
    _, cells = first_rows(path, separator, 1, after)[0]
    words = [_WORDS.get(cell.strip().lower(), cell.strip().lower()) for cell in cells]
    if delimiter == ("\t", 0) and not set(_COLUMNS) <= {*words}:
        table = _by_lines(path)
    else:
        table = read_columns(
            path,
            _COLUMNS[:2],
            optional=_COLUMNS[2:],
            separator=separator,
            synonyms=_WORDS,
            after=after,
        )
    if "value" not in table.columns or not table["value"].count():
        raise DataError(
            f"none of {len(table)} attributes has a value",
            remedy="Give one column each for entity, attribute and value",
            path=path,
        )
    filled = table.drop_nulls("value")
    if n_empty := len(table) - len(filled):
        problem = f"{n_empty} attributes have no value and were left out"
        remedy = "Nothing to do, if that is meant"
        warnings.warn(describe(problem, remedy=remedy, path=path), KgraftWarning, stacklevel=3)
    return _literals(filled)


def _by_lines(path: Path) -> pl.DataFrame:
    """Read rows whose value is the rest of a line, String columns ``_COLUMNS`` and ``line``."""
    lines = pl.Series("text", read_text(path).split("\n")).str.strip_suffix("\r")
    parts = pl.col("text").str.splitn("\t", 3).struct.rename_fields(_COLUMNS).struct.unnest()
    table = (
        lines.to_frame()
        .with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias(LINE))
        .filter(pl.col("text") != "")
        .select(parts, LINE)
        .with_columns(pl.col("value").replace("", None))
    )
    for name in _COLUMNS[:2]:
        empty = table.filter(pl.col(name).fill_null("") == "")
        if len(empty):
            line = int(empty[LINE][0])
            if empty[name][0] is None:
                raise wrong_width(path, line, len(_COLUMNS), 1, "\t")
            raise empty_cell(name, path, line)
    return table


def part_literals(facts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Part facts of entities from those whose tail is a literal with a language or datatype.

    Returns:
        The facts, and String columns ``LITERAL_COLUMNS`` with Int64 ``line``, or None.
    """
    is_literal = facts["tail"].str.starts_with('"')
    if is_literal.any():
        is_literal &= facts["tail"].str.contains(_MARKED)
    if not is_literal.any():
        return facts, None
    names = {"head": "entity", "relation": "attribute", "tail": "value"}
    return facts.filter(~is_literal), _literals(facts.filter(is_literal).rename(names))


def _literals(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table with each value's text, datatype and language."""
    value = pl.col("value")
    prefixed = value.str.extract(_LITERAL, 4)
    language = value.str.extract(_LITERAL, 2)
    xsd = prefixed.str.replace("^xsd:", XSD)
    parts = table.with_columns(
        language=language,
        datatype=pl.when(language.is_not_null())
        .then(pl.lit(LANG_STRING))
        .otherwise(pl.coalesce(value.str.extract(_LITERAL, 3), xsd, pl.lit(f"{XSD}string"))),
        value=pl.coalesce(value.str.extract(_LITERAL, 1), value),
        escaped=value.str.contains(_LITERAL) & value.str.contains("\\", literal=True),
    )
    escaped = parts["escaped"]
    if escaped.any():
        texts = parts["value"].clone()
        plain = [_unescaped(text) for text in texts.filter(escaped)]
        parts = parts.with_columns(value=texts.scatter(escaped.arg_true(), plain))
    return parts.select(*LITERAL_COLUMNS, LINE)


def _unescaped(text: str) -> str:
    """Return the text that escapes of N-Triples stand for; a wrong one leaves all as it is."""
    line = f'<x:a> <x:b> "{text}" .'
    try:
        (quad,) = parse(line, format=RdfFormat.N_TRIPLES)
    except (SyntaxError, ValueError):
        return text
    return quad.object.value if isinstance(quad.object, Literal) else text
