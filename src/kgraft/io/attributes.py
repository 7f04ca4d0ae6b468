"""Attributes of entities in tables: files of their own, and literals among the facts."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Final

import polars as pl
from pyoxigraph import Literal, RdfFormat, parse

from kgraft.errors import DataError, KgraftWarning, describe
from kgraft.io.ntriples import XSD
from kgraft.io.rdf_terms import LANG_STRING, LITERAL_COLUMNS
from kgraft.io.tabular import LINE, read_columns

OWN_NAME: Final = re.compile(r"attr(?:ibute)?_triples(?:[_.].*)?", re.IGNORECASE)
"""Names of files of attributes in OpenEA's datasets."""

_WORDS: Final = {
    **dict.fromkeys(("head", "subject", "node1", "s"), "entity"),
    **dict.fromkeys(("relation", "predicate", "property", "label", "p"), "attribute"),
    **dict.fromkeys(("tail", "object", "literal", "node2", "o"), "value"),
}

_TEXT: Final = r'"((?s:.*))"'
_LANGUAGE: Final = r"@([A-Za-z]+(?:-[A-Za-z0-9]+)*)"
_DATATYPE: Final = r"\^\^(?:<([^<>\s]+)>|(\w+:\w+))"
_LITERAL: Final = rf"^{_TEXT}(?:{_LANGUAGE}|{_DATATYPE})?$"
_MARKED: Final = rf"^{_TEXT}(?:{_LANGUAGE}|{_DATATYPE})$"


def read_attributes(path: Path, separator: str) -> pl.DataFrame:
    """Read a table of entity, attribute and value.

    A value in quotes, perhaps with a language or datatype after it, is a literal of N-Triples; any
    other is a text as it is. Rows without a value are left out.

    Returns:
        String columns ``LITERAL_COLUMNS``, and Int64 ``line``.

    Raises:
        DataError: With file and line, as ``read_columns``.

    Warns:
        KgraftWarning: With the number of rows without a value.
    """
    columns = ("entity", "attribute")
    table = read_columns(
        path, columns, optional=["value"], separator=separator, synonyms=_WORDS, header=None
    )
    if "value" not in table.columns:
        raise DataError(
            "expected 3 columns, found 2",
            remedy="Give one column each for entity, attribute and value",
            path=path,
            line=table[LINE][0],
        )
    filled = table.drop_nulls("value")
    if n_empty := len(table) - len(filled):
        problem = f"{n_empty} attributes have no value and were left out"
        remedy = "Nothing to do, if that is meant"
        warnings.warn(describe(problem, remedy=remedy, path=path), KgraftWarning, stacklevel=3)
    return _literals(filled)


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
