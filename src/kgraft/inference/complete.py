"""The most plausible missing facts of a whole graph."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from kgraft.errors import KgraftError
from kgraft.graph.knowledge_graph import KnowledgeGraph, no_triples
from kgraft.graph.known_facts import KnownFacts, Side
from kgraft.graph.vocabulary import Rows
from kgraft.inference.candidates import TopCandidates
from kgraft.inference.names import ModelNames
from kgraft.inference.predict import Predictor
from kgraft.inference.prediction_files import SCHEMA
from kgraft.system.forks import require_threads
from kgraft.system.progress import Listener, default_listener

_SIDES: tuple[Side, ...] = ("tail", "head")


def complete(
    predictor: Predictor,
    *,
    k: int = 10,
    min_probability: float = 0.5,
    typed: bool = False,
    known: KnowledgeGraph | None = None,
    listener: Listener | None = None,
) -> Iterator[pl.DataFrame]:
    """Yield the most plausible facts that the source does not state, relation by relation.

    Its validation and test facts are stated too, and so are those of ``known``.

    Each relation is asked for the tails of every entity in its observed domain, and for the heads
    of every entity in its observed range, observed in the source or in a linked one. A fact found
    from both sides keeps its larger probability. Memory is bounded by the facts of one relation.

    Args:
        predictor: A prepared model.
        k: The maximum number of answers to each query.
        min_probability: The minimum probability of a fact; 0 takes all answers.
        typed: Answer only with entities in the observed domain or range.
        known: More known facts, by the source's names; facts of other names play no part.
        listener: Receives the number of answered queries; by default a bar or log lines.

    Yields:
        Facts of one relation, the most plausible first, with the columns of ``SCHEMA``.

    Raises:
        KgraftError: If a minimum is given and the model has no probabilities.
    """
    require_threads()
    candidates, part = predictor.candidates, predictor.names.part
    if min_probability > 0 and not candidates.calibrated:
        raise KgraftError(
            "the model gives no probabilities: it was trained without validation facts, or for "
            "another graph. Take all answers, with a minimum probability of 0."
        )
    # Several of a source's relations may be one row; the first one is asked.
    relations = list(zip(*np.unique(part.relation_rows, return_index=True), strict=True))
    stated = predictor.names.known[predictor.names.source]
    if known is not None:
        names = predictor.names
        held_out = predictor.model.held_out.get(names.source, no_triples())
        own = predictor.model.graph.facts_of([names.source])
        stated = KnownFacts(own, held_out, part.known(known, known.triples))
    listener = listener or default_listener()
    listener.begin(
        f"complete {predictor.names.source}",
        sum(len(candidates.ends(row, side)) for row, _ in relations for side in _SIDES),
    )
    try:
        for row, place in relations:
            found = []
            for side in _SIDES:
                anchors = candidates.ends(row, "head" if side == "tail" else "tail")
                asked = candidates.rows[anchors], np.full(len(anchors), row)
                for block, best in candidates.top(*asked, side, k, typed=typed, without=stated):
                    places = candidates.places[anchors[block]]
                    found.append(_facts(places, best, side, min_probability))
                    listener.advance(len(best.places))
            if found:
                yield _in_names(predictor.names, int(place), pl.concat(found))
    finally:
        listener.end()


def _facts(anchors: Rows, best: TopCandidates, side: Side, min_probability: float) -> pl.DataFrame:
    """Return the answers that are probable enough, in the source's rows."""
    kept = np.isfinite(best.scores)
    if min_probability > 0:
        kept &= best.probability >= min_probability
    query, place = np.nonzero(kept)
    ends = {side: best.places[query, place], ("head", "tail")[side == "head"]: anchors[query]}
    columns = {"score": best.scores[query, place], "probability": best.probability[query, place]}
    frame = pl.DataFrame({"head": ends["head"], "tail": ends["tail"], **columns})
    return frame.with_columns(asked=pl.lit(side))


def _in_names(names: ModelNames, relation: int, found: pl.DataFrame) -> pl.DataFrame:
    """Return each fact once, the most probable first, in names."""
    facts = (
        found.with_columns(pl.col("probability").fill_nan(None))
        .sort("probability", "score", descending=True, nulls_last=True, maintain_order=True)
        .unique(["head", "tail"], keep="first", maintain_order=True)
    )
    heads, tails = (facts[role].to_numpy() for role in ("head", "tail"))
    rows = np.stack([heads, np.full(len(facts), relation), tails], axis=1)
    part = names.part
    return facts.with_columns(
        head=part.entities.names.gather(heads),
        relation=pl.lit(part.relations.name(relation)),
        tail=part.entities.names.gather(tails),
        stated_by=pl.Series(
            [",".join(x) for x in names.stated_by(part.joint(rows))], dtype=pl.String
        ),
    ).select(list(SCHEMA))
