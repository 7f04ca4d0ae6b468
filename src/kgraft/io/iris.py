"""Names as IRIs and back, and the readable part of an IRI."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

import polars as pl
import pyoxigraph

PREFIX: Final = "urn:kgraft:"
"""Prefix of the IRI of a name that is none; the name follows percent-encoded."""


def iri_of(name: str, base: str = PREFIX) -> str:
    """Return a valid IRI for any name: the name itself, or percent-encoded under a base.

    ``names_of_iris`` gives the name back from ``PREFIX``. A name that begins with the base is
    encoded too, so that different names have different IRIs.
    """
    if not name.startswith(base) and is_iri(name):
        return name
    return base + quote(name, safe="")


def is_iri(name: str) -> bool:
    """Return True if a name is a valid, absolute IRI."""
    try:
        pyoxigraph.NamedNode(name)
    except ValueError:
        return False
    return True


def names_of_iris(iris: pl.Series) -> pl.Series:
    """Return the name of each IRI, with those under ``PREFIX`` decoded, String ``(n,)``."""
    encoded = iris.str.starts_with(PREFIX)
    if not encoded.any():
        return iris
    names = [unquote(iri[len(PREFIX) :]) for iri in iris.filter(encoded).to_list()]
    return iris.scatter(encoded.arg_true(), names)


def labels_of_iris(names: pl.Series) -> pl.Series:
    """Return the readable part of each IRI: its last part, decoded, with spaces.

    The last part follows ``/resource/`` where there is one (``AC/DC`` is one title), else the
    last slash or hash. A name that is not an http IRI, or has no last part, gives null.
    """
    last = names.str.extract(r"^https?://.*?/resource/(.+)$").fill_null(
        names.str.extract(r"^https?://[^/]+/(?:.*[/#])?([^/#]+)$")
    )
    encoded = last.str.contains("%", literal=True).fill_null(value=False)
    decoded = [unquote(part) for part in last.filter(encoded).to_list()]
    return last.scatter(encoded.arg_true(), decoded).str.replace_all("_", " ", literal=True)
