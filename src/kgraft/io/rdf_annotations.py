"""Annotations of facts in RDF 1.2, told from facts."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import polars as pl

REIFIES: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#reifies"


def annotation_nodes(facts: pl.DataFrame, reifiers: Collection[str]) -> pl.Series:
    """Return the nodes that only annotations use, String ``(k,)``.

    They are the reifiers that no other fact leads to, and blank nodes that only such nodes lead to.

    Args:
        facts: String columns head and tail.
        reifiers: Names that a fact is annotated by.
    """
    nodes = pl.Series(sorted(reifiers), dtype=pl.String)
    while len(led_to := _led_to(facts, nodes, nodes)):
        nodes = nodes.filter(~nodes.is_in(led_to.implode()))
    while True:
        tails = facts.filter(pl.col("head").is_in(nodes.implode()))["tail"].unique().sort()
        blank = tails.filter(tails.str.starts_with("_:") & ~tails.is_in(nodes.implode()))
        led_to = _led_to(facts, blank, nodes)
        found = blank.filter(~blank.is_in(led_to.implode()))
        if found.is_empty():
            return nodes
        nodes = pl.concat([nodes, found])


def _led_to(facts: pl.DataFrame, nodes: pl.Series, apart: pl.Series) -> pl.Series:
    """Return those of some nodes that a fact of another head than ``apart`` leads to."""
    is_from_others = ~pl.col("head").is_in(apart.implode())
    return facts.filter(pl.col("tail").is_in(nodes.implode()) & is_from_others)["tail"].unique()
