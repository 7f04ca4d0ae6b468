"""The ends that a relation's facts have: its domain and its range, as far as they are observed."""

from __future__ import annotations

import polars as pl

from kgraft.graph.knowledge_graph import Triples
from kgraft.graph.known_facts import Side
from kgraft.graph.vocabulary import Rows


class Observed:
    """The entities at either side of each relation.

    Args:
        triples: Facts, int64 ``(n, 3)``.
    """

    def __init__(self, triples: Triples) -> None:
        facts = pl.DataFrame(triples, schema=["head", "relation", "tail"])
        self._sides = {
            side: facts.select("relation", side).unique().sort("relation", side).to_numpy()
            for side in ("head", "tail")
        }

    def ends(self, relation: int, side: Side) -> Rows:
        """Return the entities at a side of a relation's facts, in order, ``(n,)``."""
        relations, entities = self._sides[side].T
        start, stop = relations.searchsorted([relation, relation + 1])
        found: Rows = entities[start:stop]
        return found
