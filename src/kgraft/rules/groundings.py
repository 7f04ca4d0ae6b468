"""Facts that make a rule's body true, and its head with it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import polars as pl

from kgraft.rules.edges import Edges
from kgraft.rules.rules import BODY

VARIABLES = ("x", "a", "b", "y")
"""The entities along a body of three relations; shorter ones leave out ``a`` and ``b``."""


SLICE_HEADS = 50
"""Heads whose bodies are looked for at once."""


def atoms(rule: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """Return the atoms of a rule's body, each by variable, relation and variable.

    Args:
        rule: A row of ``kgraft.rules.rules.Rules``. Where it names an entity that is the second
            end of its only atom, ``a``; where it does not name one, ``a`` is any entity.
    """
    relations = [rule[name] for name in BODY if rule[name] is not None]
    if rule["answer"] is not None:
        return [("x", relations[0], "a")]
    ends = [*VARIABLES[: len(relations)], "y"]
    return [(ends[place], relation, ends[place + 1]) for place, relation in enumerate(relations)]


def examples(rule: Mapping[str, Any], edges: Edges, limit: int) -> pl.DataFrame:
    """Return stated facts that a rule explains, with the entities along its body.

    As where rules are counted, a path meets no entity twice: it could go by the very fact that it
    is to explain.

    Args:
        rule: A row of ``kgraft.rules.rules.Rules``.
        edges: The graph.
        limit: The most examples.

    Returns:
        A row each, with a column for each variable of the rule: ``x``, ``y`` and those between.
    """
    heads = _edges(edges, rule["relation"], "x", "y")
    if rule["answer"] is not None:
        heads = heads.filter(pl.col("y") == rule["answer"])
    bodies, apart = _bodies(rule, edges), _apart(rule)
    found = [heads.select(pl.lit(None, pl.Int32).alias(x) for x in _variables(rule)).clear()]
    # Slices, so that a hub costs no more than the examples that are asked for.
    for part in heads.iter_slices(SLICE_HEADS):
        grounded = _grounded(part, bodies).filter(pl.lit(True), *apart)
        one_each = grounded.unique(["x", "y"], keep="first", maintain_order=True)
        found.append(one_each.select(found[0].columns))
        if sum(map(len, found)) >= limit:
            break
    return pl.concat(found).head(limit)


def groundings(rule: Mapping[str, Any], edges: Edges, x: int, y: int, limit: int) -> pl.DataFrame:
    """Return the entities along a rule's body that leads from one entity to another.

    Paths that meet no entity twice come first; but a rule also answers by others.

    Args:
        rule: A row of ``kgraft.rules.rules.Rules``.
        edges: The graph.
        x: Where the body begins.
        y: What the rule answers.
        limit: The most rows.

    Returns:
        A row each, with a column for each variable of the rule.
    """
    heads = pl.DataFrame({"x": [x], "y": [y]}, schema={"x": pl.Int32, "y": pl.Int32})
    between = [pl.col(name) != x for name in _variables(rule)[1:-1] if rule["answer"] is None]
    found = _grounded(heads, _bodies(rule, edges)).filter(pl.lit(True), *between)
    apart = pl.all_horizontal(pl.col("x") == x, *_apart(rule))
    return found.sort(~apart, maintain_order=True).head(limit)


def _bodies(rule: Mapping[str, Any], edges: Edges) -> list[pl.DataFrame]:
    """Return the edges that may stand at each atom of a rule's body."""
    bodies = [_edges(edges, relation, left, right) for left, relation, right in atoms(rule)]
    if rule["entity"] is not None:
        bodies[0] = bodies[0].filter(pl.col("a") == rule["entity"])
    return bodies


def _apart(rule: Mapping[str, Any]) -> list[pl.Expr]:
    """Return what keeps a body from going by the fact that it is to explain."""
    if rule["answer"] is None:
        return [pl.col(x) != pl.col(y) for x, y in combinations(_variables(rule), 2)]
    return [pl.col("a") != pl.col("y")] if rule["first"] == rule["relation"] else []


def _variables(rule: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(["x", *(right for _, _, right in atoms(rule)), "y"]))


def _grounded(heads: pl.DataFrame, bodies: list[pl.DataFrame]) -> pl.DataFrame:
    """Return all groundings of heads, in order."""
    # Backwards first: what cannot lead to the heads' ends is left out before paths are joined.
    led, backwards = heads, list[pl.DataFrame]()
    for body in reversed(bodies):
        on = [name for name in body.columns if name in led.columns and name != "x"]
        led = body.join(led, on=on, how="semi") if on else body
        backwards.append(led)
    found = heads
    for body in reversed(backwards):
        found = found.join(body, on=[name for name in body.columns if name in found.columns])
    return found.sort(found.columns)


def _edges(edges: Edges, relation: int, left: str, right: str) -> pl.DataFrame:
    return edges.frame.filter(pl.col("relation") == relation).select(
        pl.col("x").alias(left), pl.col("y").alias(right)
    )
