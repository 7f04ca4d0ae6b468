"""Pseudo-facts: facts inferred by rules, sampled in each epoch with a probability."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.knowledge_graph import Triples, as_triples
from kgraft.graph.known_facts import KnownFacts
from kgraft.graph.vocabulary import Rows
from kgraft.rules.edges import Edges
from kgraft.rules.rule_answers import RuleApplier
from kgraft.rules.rules import Rules
from kgraft.settings import RuleSettings
from kgraft.system.threads import Map

MIN_CONFIDENCE = 0.1
"""Minimum confidence of a pseudo-fact; below it facts are many and mostly wrong."""

EXPONENT = 2
"""Exponent of the confidence in the sampling probability. Unstated facts are right less often than
the confidence, which is measured on stated facts, and the more so the lower it is."""


@dataclass(frozen=True, eq=False)
class PseudoFacts:
    """Facts that rules infer and no source states.

    Args:
        triples: int64 ``(n, 3)``.
        probabilities: Probability of sampling each in an epoch, float ``(n,)`` in [0, 1].
    """

    triples: Triples
    probabilities: NDArray[np.float64]

    def without(self, facts: Triples) -> PseudoFacts:
        """Return the pseudo-facts that are none of some facts, ``(k, 3)``."""
        return self.select(~KnownFacts(facts).contains(self.triples))

    def select(self, kept: NDArray[np.bool_]) -> PseudoFacts:
        """Return the pseudo-facts of a mask."""
        return PseudoFacts(self.triples[kept], self.probabilities[kept])

    def sample(self, draw: np.random.Generator) -> Triples:
        """Return the pseudo-facts of one epoch, int64 ``(k, 3)``."""
        return self.triples[draw.random(len(self.triples)) < self.probabilities]


def infer_pseudo_facts(
    rules: Rules,
    edges: Edges,
    entities: Rows,
    settings: RuleSettings,
    *,
    about: Rows | None = None,
    each: Map = map,
    advance: Callable[[int], None] = lambda _: None,
) -> PseudoFacts:
    """Infer new facts between some entities.

    The student is trained on them with a probability that grows with their confidence, so that in
    expectation it learns the rules' soft answers, also to queries without a stated answer.

    Args:
        rules: The rules.
        edges: The graph that they were mined on.
        entities: Rows of the entities, int64.
        settings: Rate of pseudo-facts, and their rate for queries with stated answers.
        about: Those of the entities whose rules are applied, all by default.
        each: Maps over parts of these.
        advance: Receives the number of them done.
    """
    if not (settings.longest and settings.pseudo_fact_rate):
        return PseudoFacts(as_triples(()), np.empty(0))
    applier = RuleApplier(rules.with_min_confidence(MIN_CONFIDENCE), edges, entities)
    facts = applier.infer_facts(each, advance, about)
    stated = edges.facts.select(head="x", relation="relation", stated=True).unique()
    key = ["head", "relation"]
    answered = facts.join(stated, on=key, how="left", maintain_order="left")["stated"].is_not_null()
    confidence = facts["confidence"].to_numpy().astype(np.float64)
    probabilities = settings.pseudo_fact_rate * confidence**EXPONENT
    factor = np.where(answered.to_numpy(), settings.answered_rate, 1.0)
    triples = facts.select("head", "relation", "tail").to_numpy().astype(np.int64)
    return PseudoFacts(triples, np.clip(probabilities * factor, 0.0, 1.0))
