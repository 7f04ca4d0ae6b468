"""Ranking of right answers among all candidates, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from kgraft.evaluation.counting import Scores, scores_of
from kgraft.evaluation.ranks import Ranks
from kgraft.graph.grouped_index import changes, spans
from kgraft.graph.knowledge_graph import as_triples
from kgraft.graph.known_facts import Ids, KnownFacts, Side, queries
from kgraft.model.scorer import Scorer
from kgraft.system.workers import ALONE, Workers

CHUNK_ELEMENTS = 2**24
"""Scores held at once: 64 MiB of float32."""

MAX_QUERIES = 256
"""Queries scored at once. More make the product no faster, and their scores leave the cache."""

MAX_ANSWERS = 512
"""Answers ranked at once."""

MAX_KNOWN = 2**20
"""Known answers compared at once: a few arrays of 8 MiB."""


def rank(
    scorer: Scorer,
    triples: ArrayLike,
    *,
    side: Side,
    known: KnownFacts | None,
    n_entities: int,
    candidates: NDArray[np.int64] | None = None,
    chunk_elements: int = CHUNK_ELEMENTS,
    workers: Workers = ALONE,
) -> Ranks:
    """Rank the answer of each fact by one filter, ``known``; else as ``ranks_by_filter``."""
    return ranks_by_filter(
        scorer,
        triples,
        side=side,
        filters=[known],
        n_entities=n_entities,
        candidates=candidates,
        chunk_elements=chunk_elements,
        workers=workers,
    )[0]


@torch.inference_mode()
def ranks_by_filter(
    scorer: Scorer,
    triples: ArrayLike,
    *,
    side: Side,
    filters: Sequence[KnownFacts | None],
    n_entities: int,
    candidates: NDArray[np.int64] | None = None,
    chunk_elements: int = CHUNK_ELEMENTS,
    workers: Workers = ALONE,
) -> list[Ranks]:
    """Rank the answer of each fact, asked for one side, among the candidates, by several filters.

    Other known answers of a query are filtered out of the candidates. A score of -inf is a score
    like any other, and ties with others of -inf. All filters share the scores: filtered candidates
    are subtracted from unfiltered counts.

    Args:
        scorer: Scores candidates; its tensors are not written to.
        triples: Facts to ask for, ``(n, 3)``.
        side: The side that is asked for.
        filters: True facts to filter out, or None for unfiltered ranks.
        n_entities: Number of the scorer's entities.
        candidates: Entity rows to rank among, in any order, or None for all.
        chunk_elements: Scores held at once; fewer take less memory and more time.
        workers: The processes that rank the same facts together, each with a scorer of the
            candidates whose rows it owns; what they count is added up.

    Returns:
        The ranks by each filter, in the order of the facts.

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
    found = [_unranked(len(answers)) for _ in filters]
    own_pool = pool.of(workers)
    own_columns = columns if own_pool is pool else own_pool.columns(answers)
    # Pages that are never written to take no memory.
    buffer = torch.empty(chunk_elements)
    for rows in _chunked(anchors, relations, columns, len(pool), chunk_elements):
        chunk = _Chunk.of(anchors[rows], relations[rows], own_columns[rows])
        filtered = [_Filtered.of(chunk, side, known, own_pool) for known in filters]
        counts = _compare(scorer, chunk, filtered, side, own_pool, buffer, workers)
        for ranks, above, not_below, among in zip(found, *counts, strict=True):
            ranks.optimistic[rows] = above + 1
            ranks.pessimistic[rows] = not_below
            ranks.candidates[rows] = among
    return found


def _chunked(
    anchors: Ids, relations: Ids, columns: Ids, n_columns: int, chunk_elements: int
) -> list[Ids]:
    """Split facts, each ``(n,)``, into chunks to be ranked together, equal queries side by side.

    With few candidates a chunk holds all their scores, and equal queries share a chunk. With many
    it takes them in blocks, the first of which must hold all the chunk's answers: facts with
    neighbouring answers share a chunk. The split into fewer chunks is taken.
    """
    by_query = np.lexsort((relations, anchors))
    size = min(max(chunk_elements // max(n_columns, 1), 1), MAX_QUERIES)
    # Where not even one query's scores fit at once, an answer has a block around itself.
    most = MAX_ANSWERS if n_columns <= chunk_elements else 1
    number = np.cumsum(changes(anchors[by_query], relations[by_query]))
    chunks, start = [], 0
    while start < len(by_query):
        stop = min(int(np.searchsorted(number, number[start] + size)), start + most)
        chunks.append(by_query[start:stop])
        start = stop
    if size == MAX_QUERIES:
        return chunks
    by_answer = np.argsort(columns, kind="stable")
    neighbours = np.split(by_answer, _breaks(columns[by_answer].tolist(), chunk_elements))
    if len(neighbours) >= len(chunks):
        return chunks
    return [rows[np.lexsort((relations[rows], anchors[rows]))] for rows in neighbours]


def _breaks(columns: list[int], chunk_elements: int) -> list[int]:
    """Return where to split sorted answers so that each part's scores of its own answers fit."""
    breaks: list[int] = []
    first = 0
    for place, column in enumerate(columns):
        size, span = place - first + 1, column - columns[first] + 1
        if size > MAX_QUERIES or size * span > chunk_elements:
            breaks.append(place)
            first = place
    return breaks


def _unranked(size: int) -> Ranks:
    return Ranks(np.empty(size), np.empty(size), np.empty(size, dtype=np.int64))


class _Candidates:
    """The entities to rank among, one per column of the scores."""

    def __init__(self, n_entities: int, rows: NDArray[np.int64] | None) -> None:
        self._rows = None if rows is None else np.unique(np.asarray(rows, dtype=np.int64))
        self._n_entities = n_entities
        if self._rows is not None and self._rows.size:
            low, high = int(self._rows[0]), int(self._rows[-1])
            if low < 0 or high >= n_entities:
                raise ValueError(f"candidates {low}..{high} reach beyond the {n_entities} entities")

    def __len__(self) -> int:
        return self._n_entities if self._rows is None else len(self._rows)

    def of(self, workers: Workers) -> _Candidates:
        """Return the candidates whose rows this worker owns."""
        if workers.count == 1:
            return self
        rows = np.arange(self._n_entities) if self._rows is None else self._rows
        own = rows[rows % workers.count == workers.number]
        return _Candidates(self._n_entities, own)

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
    """Facts ranked together: ``b`` answers, sorted by query, of ``u`` different queries."""

    anchors: Ids  # (u,)
    relations: Ids  # (u,)
    query: Ids  # index of each answer's query, (b,)
    columns: Ids  # column of each answer, -1 for one of another worker, (b,)

    @classmethod
    def of(cls, anchors: Ids, relations: Ids, columns: Ids) -> _Chunk:
        """Find the different queries of sorted ones, each ``(b,)``."""
        new = changes(anchors, relations)
        return cls(anchors[new], relations[new], np.cumsum(new) - 1, columns)


@dataclass(frozen=True, eq=False)
class _Filtered:
    """The known answers of a chunk's queries, which a filter takes out of the candidates."""

    columns: Ids  # query after query, (k,)
    begins: Ids  # of each answer's query, (b,)
    sizes: Ids  # (b,)

    @classmethod
    def of(
        cls, chunk: _Chunk, side: Side, known: KnownFacts | None, pool: _Candidates
    ) -> _Filtered:
        """Find the known answers of a chunk's queries."""
        if known is None:
            none = np.zeros(len(chunk.query), dtype=np.int64)
            return cls(columns=none[:0], begins=none, sizes=none)
        query, entities = known.answers(chunk.anchors, chunk.relations, side)
        columns = pool.columns(entities)
        query, columns = query[columns >= 0], columns[columns >= 0]
        begins, ends = (np.searchsorted(query, chunk.query, end) for end in ("left", "right"))
        return cls(columns, begins, ends - begins)

    def count(
        self, scores: Scores, own: NDArray[Any], chunk: _Chunk, start: int
    ) -> NDArray[np.int64]:
        """Count filtered scores for each answer, ``(3, b)``: higher ones, no lower ones, and all.

        The scores ``(u, c)`` begin at the column ``start``; ``own`` are the answers', ``(b,)``.
        """
        size = len(self.sizes)
        counts = np.zeros((3, size), dtype=np.int64)
        for rows in self._parts():
            answer, place = spans(self.begins[rows], self.sizes[rows])
            answer, columns = answer + rows.start, self.columns[place] - start
            counted = (columns >= 0) & (columns < scores.shape[1])
            counted &= columns != chunk.columns[answer] - start
            answer, columns = answer[counted], columns[counted]
            theirs, against = scores.at(chunk.query[answer], columns), own[answer]
            for count, which in zip(
                counts, (answer[theirs > against], answer[theirs >= against], answer), strict=True
            ):
                count += np.bincount(which, minlength=size)
        return counts

    def _parts(self) -> Iterator[slice]:
        """Split the answers into parts of at most ``MAX_KNOWN`` known ones, where possible."""
        ends, start = np.cumsum(self.sizes), 0
        while start < len(ends):
            most = MAX_KNOWN + (ends[start - 1] if start else 0)
            stop = max(int(np.searchsorted(ends, most, side="right")), start + 1)
            yield slice(start, stop)
            start = stop


def _compare(
    scorer: Scorer,
    chunk: _Chunk,
    filtered: Sequence[_Filtered],
    side: Side,
    pool: _Candidates,
    buffer: torch.Tensor,
    workers: Workers,
) -> NDArray[np.int64]:
    """Count candidates of higher score, of no lower one (with itself), and all, ``(3, f, b)``."""
    width = max(len(buffer) // len(chunk.anchors), 1)
    own: NDArray[Any] | None = None
    counts = np.zeros((3, len(filtered), len(chunk.columns)), dtype=np.int64)
    for start, stop in _blocks(chunk.columns, len(pool), width):
        size = (len(chunk.anchors), stop - start)
        out = buffer[: size[0] * size[1]].view(size)
        scores = _scores(scorer, chunk, side, pool.block(start, stop), out)
        if own is None:
            own = _own_scores(scores, chunk, start, workers)
        counts += scores.counts(chunk.query, own)[:, None]
        for place, found in enumerate(filtered):
            counts[:, place] -= found.count(scores, own, chunk, start)
    return workers.sum(torch.from_numpy(counts), "ranks").numpy()


def _own_scores(scores: Scores, chunk: _Chunk, start: int, workers: Workers) -> NDArray[Any]:
    """Return the answers' scores ``(b,)``, of others' answers those that their workers send."""
    here = chunk.columns >= 0
    if here.all() and workers.count == 1:
        return scores.at(chunk.query, chunk.columns - start)
    own = np.full(len(here), -np.inf, dtype=np.float32)
    own[here] = scores.at(chunk.query[here], chunk.columns[here] - start)
    return workers.max(torch.from_numpy(own), "ranks").numpy()


def _blocks(answers: Ids, n: int, width: int) -> Iterator[tuple[int, int]]:
    """Split ``n`` columns into ranges; the first one holds all answers, whose scores are needed."""
    answers = answers[answers >= 0]
    start = min(int(answers.min(initial=n)), max(n - width, 0))
    stop = min(start + width, n)
    yield start, stop
    for low, high in ((0, start), (stop, n)):
        yield from ((begin, min(begin + width, high)) for begin in range(low, high, width))


def _scores(
    scorer: Scorer,
    chunk: _Chunk,
    side: Side,
    candidates: torch.Tensor | None,
    out: torch.Tensor,
) -> Scores:
    """Score candidates for the queries of a chunk; the scorer may use the memory of ``out``."""
    scores = scorer.score(
        torch.from_numpy(chunk.anchors),
        torch.from_numpy(chunk.relations),
        side=side,
        candidates=candidates,
        out=out,
    )
    if scores.shape != out.shape:
        raise ValueError(f"the scores have shape {tuple(scores.shape)}, not {tuple(out.shape)}")
    return scores_of(scores)
