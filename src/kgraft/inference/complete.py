"""Completion: the facts that a whole graph lacks, each with the probability that it is true."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

import numpy as np
import polars as pl

from kgraft.errors import KgraftError
from kgraft.graph.knowledge_graph import KnowledgeGraph, Triples
from kgraft.graph.known_facts import KnownFacts, Side
from kgraft.inference.fact_judge import CandidateFacts, FactJudge
from kgraft.inference.names import ModelNames
from kgraft.inference.predict import Predictor
from kgraft.io.named_facts import ROLES
from kgraft.system.progress import Listener, default_listener

FactList = Literal["stated", "inferred", "contradiction"]
"""The list of a proposed fact: another source states it; it is inferred; or the graph states
another answer where there is one as a rule."""

COLUMNS: Final = {
    **dict.fromkeys(ROLES, pl.String),
    "probability": pl.Float64,
    "probability_if_asked": pl.Float64,
    "score": pl.Float32,
    "asked": pl.String,
    "list": pl.String,
    "stated_by": pl.String,
    "contradicts": pl.String,
}
"""Columns of proposed facts: the names; the probability of being true; that of being the answer, if
someone asks and one is missing; the score; the side that was asked for; the ``FactList``; the other
sources that state it, as ``a,b``; and the stated answers that it contradicts."""

CANDIDATES = 50
"""The most candidates of a query, as many as the probability was fitted to."""

PIECE: Final = 1024
"""Queries after which progress is told."""


def complete(
    predictor: Predictor,
    *,
    k: int = CANDIDATES,
    min_probability: float = 0.5,
    contradictions: bool = False,
    known: KnowledgeGraph | None = None,
    entity: str | None = None,
    relation: str | None = None,
    max_queries: int | None = None,
    listener: Listener | None = None,
) -> Iterator[pl.DataFrame]:
    """Yield the facts that the model's target does not state, relation by relation.

    Its validation and test facts are stated too, and so are those of ``known``. Each relation is
    asked for one side, on which it gives fewer answers, for every entity of its observed or likely
    domain. Memory is bounded by the facts of one relation.

    Args:
        predictor: A prepared model.
        k: The maximum number of answers to each query.
        min_probability: The minimum probability of a fact.
        contradictions: Whether to include facts that contradict what the graph states, and would
            else be probable enough.
        known: More known facts, by the target's names; facts of other names play no part.
        entity: Ask only queries about this entity, by its name or label.
        relation: Ask only queries along this relation, by its name or the end of it.
        max_queries: Ask no more queries than these, the first in the order of the relations.
        listener: Receives the number of answered queries; by default a bar or log lines.

    Yields:
        Facts of one relation, the most probable first, with the columns of ``COLUMNS``.

    Raises:
        KgraftError: If the model has no probabilities of facts, or a name is unknown.
    """
    judge, names = predictor.judge, predictor.names
    if judge is None:
        raise KgraftError(
            "the model gives no probabilities of facts: it was trained without validation facts, "
            "or the names are of another graph. Hold facts out for validation, and train for "
            "this graph."
        )
    stated = judge.known
    if known is not None:
        stated = KnownFacts(names.own_facts, names.part.known(known, known.triples))
    queries = _chosen(judge.queries(), names, entity, relation)
    asked = sum(map(len, queries.values()))
    left = asked = asked if max_queries is None else min(asked, max_queries)
    # Several of the target's relations may be one row; the first one is named.
    rows, places = np.unique(names.part.relation_rows, return_index=True)
    listener = listener or default_listener()
    listener.begin(f"complete {names.source}", asked)
    try:
        for row, place in zip(rows.tolist(), places.tolist(), strict=True):
            found = []
            for side, pairs in queries.items():
                entities = pairs[pairs[:, 0] == row, 1][:left]
                left -= len(entities)
                for start in range(0, len(entities), PIECE):
                    piece = entities[start : start + PIECE]
                    judged = judge.candidates(row, piece, side, k, stated)
                    found += [_named(judge, names, place, x, min_probability) for x in judged]
                    listener.advance(len(piece))
            if found:
                facts = pl.concat(found).sort("probability", "score", descending=True)
                yield facts if contradictions else facts.filter(pl.col("list") != "contradiction")
    finally:
        listener.end()


def _chosen(
    queries: dict[Side, Triples], names: ModelNames, entity: str | None, relation: str | None
) -> dict[Side, Triples]:
    """Return the queries, relation and given entity, that are about an entity and a relation."""
    if entity is not None:
        row = names.vector(names.entity(entity))
        queries = {side: pairs[pairs[:, 1] == row] for side, pairs in queries.items()}
    if relation is not None:
        row = names.relation_row(relation)
        queries = {side: pairs[pairs[:, 0] == row] for side, pairs in queries.items()}
    return queries


def _named(
    judge: FactJudge,
    names: ModelNames,
    relation: int,
    judged: CandidateFacts,
    min_probability: float,
) -> pl.DataFrame:
    """Return the facts that are probable enough, in names."""
    part = names.part
    kept = judged.plausibility >= min_probability
    facts = judged.facts[kept]
    by = [",".join(x) for x in names.stated_by(facts)]
    against = [names.against(x) for x in judge.contradicted(facts)]
    lists = np.where([bool(x) for x in by], "stated", "inferred")
    lists = np.where([bool(x) for x in against], "contradiction", lists)
    heads, tails = (part.entities.names.gather(names.place(facts[:, end])) for end in (0, 2))
    columns = {
        "head": heads,
        "relation": [part.relations.name(relation)] * len(facts),
        "tail": tails,
        "probability": judged.probability[kept],
        "probability_if_asked": judged.probability_if_asked[kept],
        "score": judged.scores[kept],
        "asked": [judged.side] * len(facts),
        "list": lists.tolist(),
        "stated_by": by,
        "contradicts": against,
    }
    return pl.DataFrame(columns, schema_overrides=COLUMNS).select(list(COLUMNS))
