"""Pseudo-facts: facts that rules infer, and the probability of each to join an epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kgraft.graph.knowledge_graph import Triples, as_triples
from kgraft.graph.vocabulary import Rows
from kgraft.rules.edges import Edges
from kgraft.rules.rule_answers import RuleApplier
from kgraft.rules.rules import Rules
from kgraft.settings import RuleSettings
from kgraft.system.threads import Map

MIN_CONFIDENCE = 0.1
"""Inferred facts below this confidence are left out; they are many, and mostly wrong."""

EXPONENT = 2
"""Exponent of the confidence in the probability. A confidence counts stated facts as hits; of the
facts that no source states fewer are true, and the fewer the lower the confidence."""


@dataclass(frozen=True, eq=False)
class PseudoFacts:
    """Facts that rules infer and no source states.

    Args:
        triples: int64 ``(n, 3)``.
        probabilities: Probability of each to join an epoch, float ``(n,)`` in [0, 1].
    """

    triples: Triples
    probabilities: NDArray[np.float64]

    def sample(self, draw: np.random.Generator) -> Triples:
        """Return the pseudo-facts of one epoch, int64 ``(k, 3)``."""
        return self.triples[draw.random(len(self.triples)) < self.probabilities]


def infer_pseudo_facts(
    rules: Rules,
    edges: Edges,
    entities: Rows,
    settings: RuleSettings,
    *,
    each: Map = map,
    advance: Callable[[int], None] = lambda _: None,
) -> PseudoFacts:
    """Infer new facts between some entities.

    Rules are a second teacher of the prediction level: a fact joins an epoch with a probability
    that follows its confidence, so that in expectation the student learns the rules' soft answers,
    also to queries that no stated fact gives rise to.

    Args:
        rules: The rules.
        edges: The graph that they were mined on.
        entities: Rows that both ends of each fact are among.
        settings: Rate of pseudo-facts.
        each: Maps over parts of the entities.
        advance: Receives the number of entities done.
    """
    if not (settings.longest and settings.pseudo_fact_rate):
        return PseudoFacts(as_triples(()), np.empty(0))
    facts = RuleApplier(rules.with_min_confidence(MIN_CONFIDENCE), edges, entities).infer_facts(
        each, advance
    )
    asked = edges.facts.select(pl.col("x").alias("head"), "relation").unique()
    answered = facts.join(
        asked.with_columns(answered=True),
        on=["head", "relation"],
        how="left",
        maintain_order="left",
    )["answered"].is_not_null()
    probabilities = (
        settings.pseudo_fact_rate * facts["confidence"].to_numpy().astype(np.float64) ** EXPONENT
    )
    factor = np.where(answered.to_numpy(), settings.answered_rate, 1.0)
    triples = facts.select("head", "relation", "tail").to_numpy().astype(np.int64)
    return PseudoFacts(triples, np.clip(probabilities * factor, 0.0, 1.0))
