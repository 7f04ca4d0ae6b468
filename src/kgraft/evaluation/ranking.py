"""Ranking: where the right answer stands among all candidates, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from kgraft.evaluation.ranks import Ranks
from kgraft.graph.knowledge_graph import as_triples
from kgraft.graph.known_facts import Ids, KnownFacts, Side, queries
from kgraft.graph.sorted_rows import changes
from kgraft.model.scorer import Scorer

CHUNK_ELEMENTS = 2**24
"""Scores held at once: 64 MiB of float32, and as much again while they are compared."""

MOST_QUERIES = 256
"""Queries scored at once. More make the product no faster, and their scores leave the cache."""


@torch.inference_mode()
def rank(
    scorer: Scorer,
    triples: ArrayLike,
    *,
    side: Side,
    known: KnownFacts | None,
    n_entities: int,
    candidates: NDArray[np.int64] | None = None,
    chunk_elements: int = CHUNK_ELEMENTS,
) -> Ranks:
    """Rank the answer of each fact, asked for one side, among the candidates.

    Other known answers of a query are filtered out: they take no place and do not count as
    candidates. A score of -inf is a score like any other, and ties with others of -inf.

    Args:
        scorer: Scores candidates; its tensors are not written to.
        triples: Facts to ask for, ``(n, 3)``.
        side: The position that is asked for.
        known: True facts to filter by, or None for unfiltered ranks.
        n_entities: Number of entities that the scorer knows.
        candidates: Entity rows to rank among, in any order, or None for all.
        chunk_elements: Scores held at once. Smaller needs less memory; when not even one query's
            scores fit, its candidates are scored in blocks.

    Returns:
        The ranks, in the order of the facts.

    Raises:
        ValueError: If an answer is not among the candidates, a candidate is not an entity, a score
            is NaN, or the scores have the wrong shape.
    """
    if chunk_elements < 1:
        raise ValueError(f"chunk_elements is at least 1, not {chunk_elements}")
    anchors, relations, answers = queries(as_triples(triples), side)
    pool = _Candidates(n_entities, candidates)
    columns = pool.columns(answers)
    if (columns < 0).any():
        missing = int((columns < 0).sum())
        raise ValueError(
            f"{missing} of {len(answers)} answers are not among the {len(pool)} candidates, the "
            f"first is entity {answers[columns < 0][0]}; an answer that is no candidate has no rank"
        )
    optimistic, pessimistic = np.empty(len(answers)), np.empty(len(answers))
    ranked = np.empty(len(answers), dtype=np.int64)
    # Equal queries come together, so that a chunk scores each of them once.
    order = np.lexsort((relations, anchors))
    size = min(max(chunk_elements // max(len(pool), 1), 1), MOST_QUERIES)
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        chunk = _chunk(anchors[rows], relations[rows], columns[rows], side, known, pool)
        better, not_worse = _compare(scorer, chunk, side, pool, chunk_elements)
        optimistic[rows] = better + 1
        pessimistic[rows] = not_worse
        ranked[rows] = chunk.candidates(len(pool))
    return Ranks(optimistic, pessimistic, ranked)


class _Candidates:
    """The ``c`` entities to rank among, each with a column of the scores."""

    def __init__(self, n_entities: int, rows: NDArray[np.int64] | None) -> None:
        self._rows = None if rows is None else np.unique(np.asarray(rows, dtype=np.int64))
        self._n_entities = n_entities
        if self._rows is not None and self._rows.size:
            lowest, highest = int(self._rows[0]), int(self._rows[-1])
            if lowest < 0 or highest >= n_entities:
                raise ValueError(
                    f"candidates {lowest}..{highest} reach beyond the {n_entities} entities"
                )

    def __len__(self) -> int:
        return self._n_entities if self._rows is None else len(self._rows)

    def columns(self, entities: Ids) -> Ids:
        """Return the column of each entity, -1 for one that is no candidate."""
        if self._rows is None:
            return np.where((entities >= 0) & (entities < self._n_entities), entities, -1)
        if not self._rows.size:
            return np.full(len(entities), -1)
        place = np.minimum(np.searchsorted(self._rows, entities), len(self._rows) - 1)
        return np.where(self._rows[place] == entities, place, -1)

    def block(self, start: int, stop: int) -> torch.Tensor | None:
        """Return the entity rows of some columns, None if these are all entities."""
        if self._rows is not None:
            return torch.from_numpy(self._rows[start:stop])
        return None if stop - start == self._n_entities else torch.arange(start, stop)


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Facts ranked together: ``b`` answers of ``u`` different queries.

    Args:
        anchors: Given entity of each query, ``(u,)``.
        relations: Relation of each query, ``(u,)``.
        query: Position of each answer's query, ``(b,)``.
        columns: Column of each answer, ``(b,)``.
        known_query: Position of a query, once for each known answer among the candidates, ``(m,)``.
        known_columns: Column of that known answer, ``(m,)``.
        is_known: Whether each answer is itself among the known ones, ``(b,)``.
    """

    anchors: Ids
    relations: Ids
    query: Ids
    columns: Ids
    known_query: Ids
    known_columns: Ids
    is_known: NDArray[np.bool_]

    def candidates(self, n: int) -> Ids:
        """Return how many of ``n`` candidates are left for each answer, ``(b,)``."""
        known = np.bincount(self.known_query, minlength=len(self.anchors))
        return n - known[self.query] + self.is_known


def _chunk(
    anchors: Ids,
    relations: Ids,
    columns: Ids,
    side: Side,
    known: KnownFacts | None,
    pool: _Candidates,
) -> _Chunk:
    """Find the different queries of sorted ones, each ``(b,)``, and their known answers."""
    new = changes(anchors, relations)
    anchors, relations, query = anchors[new], relations[new], np.cumsum(new) - 1
    known_query = known_columns = np.empty(0, dtype=np.int64)
    if known is not None:
        known_query, entities = known.answers(anchors, relations, side)
        known_columns = pool.columns(entities)
        candidate = known_columns >= 0
        known_query, known_columns = known_query[candidate], known_columns[candidate]
    is_known = np.isin(query * len(pool) + columns, known_query * len(pool) + known_columns)
    return _Chunk(anchors, relations, query, columns, known_query, known_columns, is_known)


def _compare(
    scorer: Scorer, chunk: _Chunk, side: Side, pool: _Candidates, chunk_elements: int
) -> tuple[Ids, Ids]:
    """Count, for each answer, the candidates with a higher, and with no lower, score, ``(b,)``.

    Filtered candidates become NaN, which is neither higher nor lower nor equal, whereas -inf would
    tie with candidates that a model scores -inf. An answer counts as no lower than itself.
    """
    width = max(chunk_elements // len(chunk.columns), 1)
    query = torch.from_numpy(chunk.query)
    own: torch.Tensor | None = None
    better = np.zeros(len(query), dtype=np.int64)
    not_worse = chunk.is_known.astype(np.int64)
    for start, stop in _blocks(len(pool), width, int(chunk.columns[0])):
        # A copy: what the scorer returns may be its own table.
        scores = _scores(scorer, chunk, side, pool, start, stop).clone()
        if own is None:
            own = scores[query, torch.from_numpy(chunk.columns - start)].unsqueeze(1)
        inside = (chunk.known_columns >= start) & (chunk.known_columns < stop)
        filtered_query = torch.from_numpy(chunk.known_query[inside])
        filtered_columns = torch.from_numpy(chunk.known_columns[inside] - start)
        scores[filtered_query, filtered_columns] = torch.nan
        if len(scores) < len(query):
            scores = scores[query]
        # int32: torch adds up bools in int64 three times slower.
        better += (scores > own).sum(dim=1, dtype=torch.int32).numpy(force=True)
        not_worse += (scores >= own).sum(dim=1, dtype=torch.int32).numpy(force=True)
    return better, not_worse


def _blocks(n: int, width: int, column: int) -> Iterator[tuple[int, int]]:
    """Split ``n`` columns into ranges; that of the answer comes first, as the others need it.

    There is more than one range only when a chunk is a single query.
    """
    own = column // width * width
    for start in (own, *(start for start in range(0, n, width) if start != own)):
        yield start, min(start + width, n)


def _scores(
    scorer: Scorer, chunk: _Chunk, side: Side, pool: _Candidates, start: int, stop: int
) -> torch.Tensor:
    """Score some columns for the queries of a chunk, ``(u, stop - start)``, and check the scores.

    Raises:
        ValueError: If a score is NaN or the shape is wrong.
    """
    scores = scorer.score(
        torch.from_numpy(chunk.anchors),
        torch.from_numpy(chunk.relations),
        side=side,
        candidates=pool.block(start, stop),
    )
    expected = (len(chunk.anchors), stop - start)
    if scores.shape != expected:
        raise ValueError(f"the scores have shape {tuple(scores.shape)}, not {expected}")
    # The maximum of values with a NaN is NaN, and costs a fraction of isnan().any().
    if bool(scores.amax().isnan()):
        raise ValueError(
            "the model's scores are not numbers (NaN): its training diverged or its weights are "
            "damaged; train again with a lower learning rate"
        )
    return scores
