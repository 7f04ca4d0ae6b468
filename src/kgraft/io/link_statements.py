"""Links from RDF: statements of sameness, cells of the Alignment format, SSSOM in RDF."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

import polars as pl

from kgraft.errors import DataError, KgraftWarning, counted, describe
from kgraft.graph.identities import OWL, SAME
from kgraft.io.rdf import read_rdf
from kgraft.io.source import Malformed
from kgraft.linking.links import LinkKind

SSSOM: Final = "https://w3id.org/sssom/"

_ALIGNMENT: Final = "http://knowledgeweb.semanticweb.org/heterogeneity/alignment"

_SPELLINGS: Final = {
    _ALIGNMENT: ("entity1", "relation", "entity2", "", "measure"),
    f"{_ALIGNMENT}#": ("entity1", "relation", "entity2", "", "measure"),
    f"{OWL}annotated": ("Source", "Property", "Target", "", ""),
    **dict.fromkeys(
        (SSSOM, SSSOM.replace("https", "http")),
        ("subject_id", "predicate_id", "object_id", "predicate_modifier", "confidence"),
    ),
}
"""Names of the parts of a described mapping by their namespace: left, predicate, ..."""

_PARTS: Final = ("left", "predicate", "right", "modifier", "confidence")

_PART_OF: Final = {
    space + name: part
    for space, names in _SPELLINGS.items()
    for name, part in zip(names, _PARTS, strict=True)
    if name
}

_EQUAL: Final = ("=", "==", "\u2261", "fr.inrialpes.exmo.align.impl.rel.EquivRelation")
"""Relations of sameness in the Alignment format."""

NO_TERM: Final = f"{SSSOM}NoTermFound"
"""Object of a mapping that says that there is none."""


def read_statements(
    path: Path, syntax: str, kind: LinkKind, malformed: Malformed = "error"
) -> pl.DataFrame:
    """Read statements of sameness, and mappings that are described part by part.

    These are cells of the Alignment format (Euzenat, ISWC, 2004), and SSSOM in RDF: axioms with a
    source, a property and a target. A statement that is also described counts as described.

    Returns:
        String columns left, right and confidence (null where none is given), and Int64 ``line``,
        which is not known.
    """
    kept, parts, n_others = [], [], 0
    for batch in read_rdf(path, syntax, "scope", malformed=malformed):
        stated = batch.facts["relation"].is_in(SAME[kind])
        kept.append(
            batch.facts.filter(stated).select(left="head", predicate="relation", right="tail")
        )
        rest = (
            batch.facts.filter(~stated).select("head", "relation", "tail"),
            batch.literals.select(head="entity", relation="attribute", tail="value"),
        )
        for rows in rest:
            part = rows["relation"].replace_strict(_PART_OF, default=None, return_dtype=pl.String)
            parts.append(rows.with_columns(relation=part).drop_nulls("relation"))
            n_others += len(rows) - _n_of_descriptions(rows)
    described = _described(pl.concat(parts))
    same = pl.concat(kept)
    if len(described):
        whole = ["left", "predicate", "right"]
        same = same.join(described, on=whole, how="anti", maintain_order="left")
    is_same = (
        pl.col("predicate").str.strip_chars().is_in([*SAME[kind], *_EQUAL])
        & pl.col("modifier").is_null()
        & pl.all_horizontal(pl.col("left", "right") != NO_TERM)
    )
    equal = described.filter(is_same)
    n_unequal = len(described) - len(equal)
    details = f"{counted(n_unequal, 'mapping')} negated, of another relation or without an end"
    same = pl.concat([same, equal], how="diagonal").select("left", "right", "confidence")
    check_others(path, kind, len(same), n_others + n_unequal, details if n_unequal else "")
    return same.with_columns(pl.lit(None, dtype=pl.Int64).alias("line"))


def _n_of_descriptions(rows: pl.DataFrame) -> int:
    """Count the statements that describe mappings, or what holds them."""
    own = [pl.col("relation", "tail").str.starts_with(space) for space in _SPELLINGS]
    return len(rows.filter(pl.any_horizontal(*own, pl.col("tail") == f"{OWL}Axiom")))


def _described(parts: pl.DataFrame) -> pl.DataFrame:
    """Join the parts of each mapping, String columns ``_PARTS``, null where there is none."""
    wide = parts.select(pl.col("head").unique(maintain_order=True))
    for name in _PARTS:
        own = parts.filter(pl.col("relation") == name).unique("head", keep="first")
        wide = wide.join(
            own.select("head", pl.col("tail").alias(name)),
            on="head",
            how="left",
            maintain_order="left",
        )
    return wide.drop("head")


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
                f"{counted(others, 'statement', 'is')} not of sameness, and left out{details}",
                remedy="Nothing to do, if that is meant",
                path=path,
            ),
            KgraftWarning,
            stacklevel=4,
        )


def many(kind: LinkKind) -> str:
    """Return the plural of a kind of links."""
    return "entities" if kind == "entity" else "relations"
