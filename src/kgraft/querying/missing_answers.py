"""Expected number of answers that a query lacks, by its relation and the answers that it has.

Held-out facts tell how many a query lacks that has ``n`` answers in training: of a relation that
gives each entity one answer few, of others about as many as it has, times a share. The target's
completeness tells how many facts are missing in all for each held-out one.

Shapes: m relations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgraft.graph.knowledge_graph import Triples, no_triples
from kgraft.inference.names import ModelNames
from kgraft.linking.completeness import LIMITS

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

STRENGTH = 10.0
"""Facts that move a relation half-way from the mean of all relations."""

MARGIN = 2.0
"""Factor on all expected numbers. Of 1 to 3, it ranks answers that need several missing facts best,
and others as well, on queries made of the validation facts of DBP-5L's French graph."""

DEFAULT = 0.3
"""Missing facts for each known one, where no fact is held out."""


@dataclass(frozen=True, eq=False)
class MissingAnswers:
    """Expected numbers by directed relation.

    Args:
        per_answer: Missing answers for each known one of a query, ``(2 m,)``.
        if_none: Missing answers of a query without a known one, ``(2 m,)``.
    """

    per_answer: Floats
    if_none: Floats

    @classmethod
    def of(cls, names: ModelNames) -> MissingAnswers:
        """Return the expected numbers of the source that names are seen from."""
        model, source, m = names.model, names.source, names.n_relations
        trained = np.unique(model.graph.facts_of([source]), axis=0)
        held_out = np.unique(model.held_out.get(source, no_triples()), axis=0)
        if not len(held_out):
            return cls(np.full(2 * m, DEFAULT), np.full(2 * m, DEFAULT))
        known, asked = _queries(trained, m), _queries(held_out, m)
        queries = np.unique(known)
        has = np.isin(asked, queries)
        size = {"minlength": 2 * m}
        facts, answered = (np.bincount(x % (2 * m), **size) for x in (known, queries))
        more, first = (np.bincount(asked[x] % (2 * m), **size) for x in (has, ~has))
        scale = MARGIN * _missing_by_held_out(names, len(held_out))
        return cls(scale * _smoothed(more, facts), scale * _smoothed(first, answered))

    def expected(self, along: int, number: Counts) -> Floats:
        """Return the expected number for queries along a directed relation, ``(K,)``.

        Args:
            along: The directed relation.
            number: Their known answers, ``(K,)``.
        """
        found: Floats = np.where(number > 0, self.per_answer[along] * number, self.if_none[along])
        return found


def _queries(facts: Triples, m: int) -> Counts:
    """Return a number for the query of each fact in both directions."""
    heads, relations, tails = facts.T
    found: Counts = np.concatenate([heads * 2 * m + relations, tails * 2 * m + relations + m])
    return found


def _smoothed(count: Counts, total: Counts) -> Floats:
    mean = (count.sum() + 1) / (total.sum() + 1)
    found: Floats = (count + STRENGTH * mean) / (total + STRENGTH)
    return found


def _missing_by_held_out(names: ModelNames, held_out: int) -> float:
    """Return how many facts are missing for each held-out one, 1 where nothing tells."""
    fitted = names.model.fact_probability
    if fitted is None or names.source != names.model.target:
        return 1.0
    share = np.clip(fitted.completeness.overall, *LIMITS)
    stated = np.bincount(names.own_facts[:, 1], minlength=len(share))
    return float((stated * (1 - share) / share).sum() / held_out)
