"""Groundings: entities along a rule's body, and facts that a rule explains."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import polars as pl

from kgraft.rules.edges import Edges
from kgraft.rules.rules import BODY

VARIABLES = ("x", "a", "b", "y")
"""Variables of a body of three relations; shorter ones leave out ``a`` and ``b``."""

SLICE_HEADS = 50
"""Facts whose groundings are searched at a time."""


def atoms(rule: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """Return the atoms of a rule's body: variable, relation, variable.

    Args:
        rule: A row of ``kgraft.rules.rules.Rules``. The only atom of a rule with constants ends at
            ``a``, its entity or any entity.
    """
    relations = [rule[name] for name in BODY if rule[name] is not None]
    if rule["answer"] is not None:
        return [("x", relations[0], "a")]
    ends = [*VARIABLES[: len(relations)], "y"]
    return [(ends[place], relation, ends[place + 1]) for place, relation in enumerate(relations)]


def examples(rule: Mapping[str, Any], edges: Edges, limit: int) -> pl.DataFrame:
    """Return stated facts that a rule explains, with one grounding each.

    As in mining, groundings repeat no entity, for otherwise a fact could explain itself.

    Args:
        rule: A row of ``kgraft.rules.rules.Rules``.
        edges: The graph.
        limit: The maximum number of examples.

    Returns:
        A row for each example, with a column for each variable of the rule.
    """
    heads = _edges(edges, rule["relation"], "x", "y")
    if rule["answer"] is not None:
        heads = heads.filter(pl.col("y") == rule["answer"])
    bodies, distinct = _bodies(rule, edges), _distinct(rule)
    found = [heads.select(pl.lit(None, pl.Int32).alias(x) for x in _variables(rule)).clear()]
    # In slices, to stop as soon as there are enough examples.
    for part in heads.iter_slices(SLICE_HEADS):
        grounded = _grounded(part, bodies).filter(pl.lit(True), *distinct)
        one_each = grounded.unique(["x", "y"], keep="first", maintain_order=True)
        found.append(one_each.select(found[0].columns))
        if sum(map(len, found)) >= limit:
            break
    return pl.concat(found).head(limit)


def groundings(rule: Mapping[str, Any], edges: Edges, x: int, y: int, limit: int) -> pl.DataFrame:
    """Return groundings of a rule's body between two entities, first those without repetition.

    Args:
        rule: A row of ``kgraft.rules.rules.Rules``.
        edges: The graph.
        x: First entity of the body.
        y: Answer of the rule.
        limit: The maximum number of groundings.

    Returns:
        A row for each grounding, with a column for each variable of the rule.
    """
    heads = pl.DataFrame({"x": [x], "y": [y]}, schema={"x": pl.Int32, "y": pl.Int32})
    between = [pl.col(name) != x for name in _variables(rule)[1:-1] if rule["answer"] is None]
    found = _grounded(heads, _bodies(rule, edges)).filter(pl.lit(True), *between)
    distinct = pl.all_horizontal(pl.col("x") == x, *_distinct(rule))
    return found.sort(~distinct, maintain_order=True).head(limit)


def _bodies(rule: Mapping[str, Any], edges: Edges) -> list[pl.DataFrame]:
    """Return the edges that match each atom of a rule's body."""
    bodies = [_edges(edges, relation, left, right) for left, relation, right in atoms(rule)]
    if rule["entity"] is not None:
        bodies[0] = bodies[0].filter(pl.col("a") == rule["entity"])
    return bodies


def _distinct(rule: Mapping[str, Any]) -> list[pl.Expr]:
    """Return the conditions under which a body does not contain the fact that it explains."""
    if rule["answer"] is None:
        return [pl.col(x) != pl.col(y) for x, y in combinations(_variables(rule), 2)]
    return [pl.col("a") != pl.col("y")] if rule["first"] == rule["relation"] else []


def _variables(rule: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(["x", *(right for _, _, right in atoms(rule)), "y"]))


def _grounded(heads: pl.DataFrame, bodies: list[pl.DataFrame]) -> pl.DataFrame:
    """Return all groundings of heads, sorted."""
    # Backwards, to drop edges that do not lead to the heads' ends before paths are joined.
    next_atom, matching = heads, list[pl.DataFrame]()
    for body in reversed(bodies):
        on = [name for name in body.columns if name in next_atom.columns and name != "x"]
        next_atom = body.join(next_atom, on=on, how="semi") if on else body
        matching.append(next_atom)
    found = heads
    for body in reversed(matching):
        found = found.join(body, on=[name for name in body.columns if name in found.columns])
    return found.sort(found.columns)


def _edges(edges: Edges, relation: int, left: str, right: str) -> pl.DataFrame:
    return edges.frame.filter(pl.col("relation") == relation).select(
        pl.col("x").alias(left), pl.col("y").alias(right)
    )
