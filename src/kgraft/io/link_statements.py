"""Statements of sameness in RDF, as links."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

import polars as pl

from kgraft.errors import DataError, KgraftWarning, describe
from kgraft.io.rdf import read_rdf
from kgraft.linking.links import LinkKind

OWL: Final = "http://www.w3.org/2002/07/owl#"
SKOS: Final = "http://www.w3.org/2004/02/skos/core#"

SAME: Final = {
    "entity": (f"{OWL}sameAs", f"{SKOS}exactMatch", f"{OWL}equivalentClass"),
    "relation": (f"{OWL}equivalentProperty", f"{OWL}sameAs", f"{SKOS}exactMatch"),
}
"""Predicates of sameness."""


def read_statements(path: Path, syntax: str, kind: LinkKind) -> pl.DataFrame:
    """Read statements of sameness; the line of a statement is not known."""
    kept, n_statements = [], 0
    for batch in read_rdf(path, syntax, "scope"):
        kept.append(batch.facts.filter(pl.col("relation").is_in(SAME[kind])))
        n_statements += len(batch.facts) + len(batch.literals)
    same = pl.concat(kept)
    check_others(path, kind, len(same), n_statements - len(same))
    return same.select(left="head", right="tail", line=pl.lit(None, dtype=pl.Int64))


def check_others(path: Path, kind: LinkKind, same: int, others: int, details: str = "") -> None:
    """Warn of other statements, or raise an error if there is none of sameness."""
    details = f": {details}" if details else ""
    if not same:
        raise DataError(
            f"none of {others} statements says that two {many(kind)} are the same{details}",
            remedy=f"Link them by {SAME[kind][0]}",
            path=path,
        )
    if others:
        warnings.warn(
            describe(
                f"{others} statements are not of sameness and were left out{details}",
                remedy="Nothing to do, if that is meant",
                path=path,
            ),
            KgraftWarning,
            stacklevel=4,
        )


def many(kind: LinkKind) -> str:
    """Return the plural of a kind of links."""
    return "entities" if kind == "entity" else "relations"
