"""Rules planted in a generated world are found, with the confidence they were planted at."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from kgraft.graph.knowledge_graph import KnowledgeGraph
from kgraft.linking.join import join
from kgraft.rules.edges import Edges
from kgraft.rules.mining import mine_rules
from kgraft.settings import RuleSettings
from kgraft.toml_settings import read_settings
from kgraft_experiments.synthesis.rules import PlantedRule
from kgraft_experiments.synthesis.settings import SynthSettings
from kgraft_experiments.synthesis.synthesize import synthesize

ENOUGH = 500
"""Groundings from which on sampling and ADDED_WRONG move a confidence by less than 0.05."""


def row_of(rule: PlantedRule, world: KnowledgeGraph) -> dict[str, int | None]:
    """Return a planted rule as it is mined: relations along the path from x to y, and constants."""
    n = len(world.relations)
    path, here = [], "?x"
    for left, relation, right in rule.body:
        row = world.relations.row(relation)
        path.append(row if left == here else row + n)
        here = right if left == here else left
    named = rule.kind == "constant"
    return {
        "relation": world.relations.row(rule.head[1]),
        **dict(zip(("first", "second", "third"), [*path, None, None][:3], strict=True)),
        "entity": world.entities.row(here) if named else None,
        "answer": world.entities.row(rule.head[2]) if named else None,
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_planted_rules_are_found(seed: int) -> None:
    sizes = {"target.entities": 4000, "target.facts": 20000, "background.facts": 40000}
    made = synthesize(
        read_settings(SynthSettings, None, {**sizes, "background.sources": 1, "world.seed": seed})
    )
    graph = join([made.world])
    mined = mine_rules(Edges.of(graph), graph.parts["world"].relation_rows, RuleSettings()).frame
    found: list[tuple[PlantedRule, dict[str, Any]]] = []
    for rule in made.rules:
        wanted = row_of(rule, made.world).items()
        same = [pl.col(name).eq_missing(pl.lit(value)) for name, value in wanted]
        found += [(rule, row) for row in mined.filter(same).to_dicts()]
    assert len(found) >= 0.95 * len(made.rules) > 10
    frequent = [(rule, row) for rule, row in found if row["support"] >= ENOUGH * rule.confidence]
    assert len(frequent) > 5
    for rule, row in frequent:
        assert row["confidence"] == pytest.approx(rule.confidence, abs=0.05), rule
