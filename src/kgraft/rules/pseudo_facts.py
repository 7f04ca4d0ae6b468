"""Facts that rules infer, and how often a student is asked for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.knowledge_graph import Triples, as_triples
from kgraft.graph.vocabulary import Rows
from kgraft.rules.edges import Edges
from kgraft.rules.rule_answers import Answerer
from kgraft.rules.rules import Rules
from kgraft.settings import RuleSettings
from kgraft.system.threads import Map

LEAST = 0.1
"""PseudoFacts facts below this confidence do not teach; they are many, and mostly wrong."""

SHARPNESS = 2
"""The power of a confidence in its chance. A confidence counts stated facts as hits; of the facts
left over, those that no source states, fewer are true, and the fewer the lower the confidence."""


@dataclass(frozen=True, eq=False)
class PseudoFacts:
    """Facts that no source states.

    Args:
        triples: int64 ``(n, 3)``.
        chances: The chance of each to be asked for in an epoch, float ``(n,)`` in [0, 1].
    """

    triples: Triples
    chances: NDArray[np.float64]

    def draw(self, draw: np.random.Generator) -> Triples:
        """Return the facts of one epoch, int64 ``(k, 3)``."""
        return self.triples[draw.random(len(self.triples)) < self.chances]


def infer_pseudo_facts(
    rules: Rules, edges: Edges, entities: Rows, settings: RuleSettings, *, each: Map = map
) -> PseudoFacts:
    """Infer new facts about some entities.

    The second teacher of the prediction level: an answer's chance to be asked for is what the rules
    make of it, so that in expectation the student learns their soft answers, also to queries that
    no stated fact asks.

    Args:
        rules: The rules.
        edges: The graph that they were mined on.
        entities: Both ends of each fact are among these rows.
        settings: How much rules teach.
        each: Asks about some of the entities.
    """
    if not settings.teaches:
        return PseudoFacts(as_triples(()), np.empty(0))
    facts = Answerer(rules.surer_than(LEAST), edges, entities).consequences(each)
    asked = edges.facts.select(pl.col("x").alias("head"), "relation").unique()
    answered = facts.join(
        asked.with_columns(answered=True),
        on=["head", "relation"],
        how="left",
        maintain_order="left",
    )["answered"].is_not_null()
    chances = (
        settings.pseudo_fact_rate * facts["confidence"].to_numpy().astype(np.float64) ** SHARPNESS
    )
    chances = np.where(answered.to_numpy(), settings.answered_rate * chances, chances)
    triples = facts.select("head", "relation", "tail").to_numpy().astype(np.int64)
    return PseudoFacts(triples, np.clip(chances, 0.0, 1.0))
