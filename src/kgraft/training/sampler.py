"""TripleSampler: shuffled queries, shared negatives, and which candidates are no negatives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from kgraft.graph.grouped_index import first_of_each, smallest_ints
from kgraft.graph.knowledge_graph import Triples
from kgraft.rules.pseudo_facts import PseudoFacts
from kgraft.training.answer_index import Answers
from kgraft.training.batch import Batch, Draw
from kgraft.training.collator import BatchCollator
from kgraft.training.random_walks import Walker

NO_SOURCE = -1
"""Stands for the source of a fact that was inferred."""


class TripleSampler:
    """All batches of an epoch, drawn from a seed and the epoch's number.

    Every fact is two queries, ``(h, r, ?)`` and ``(t, inverse of r, ?)``, and with more steps each
    of the two begins a path of so many queries. PseudoFacts facts join an epoch by their chance.

    Args:
        triples: Facts, int64 ``(n, 3)``; repeats count once.
        sources: The source of each fact, ``(n,)``.
        n_entities: Number of entity rows.
        n_relations: Number of relations, inverses not counted.
        weights: How much each fact counts, ``(n,)``; by default all count 1. A repeated fact
            counts by its first weight, further facts of a path and inferred ones count 1.
        inferred: Facts that follow from the others.
        steps: Facts in a path.
        batch_size: Queries per batch.
        negatives: Entities drawn per batch.
        logq_correction: Exponent of the logQ correction, 0 off, 1 full.
        seed: Seeds all draws.
    """

    def __init__(
        self,
        triples: Triples,
        n_entities: int,
        n_relations: int,
        *,
        sources: NDArray[np.integer] | None = None,
        weights: NDArray[np.floating] | None = None,
        inferred: PseudoFacts | None = None,
        steps: int = 1,
        batch_size: int,
        negatives: int,
        logq_correction: float = 0.0,
        seed: int,
    ) -> None:
        first = first_of_each(triples)
        self.facts = triples[first].astype(smallest_ints(max(n_entities, n_relations)))
        self._n_relations = n_relations
        self._inferred = inferred
        origin = np.zeros(len(triples), dtype=np.int16) if sources is None else sources
        self._sources = origin[first]
        counts = np.ones(len(triples)) if weights is None else weights
        self._weights = counts[first].astype(np.float32)
        self._walker = Walker(triples, origin, n_entities, n_relations) if steps > 1 else None
        self._steps = steps
        self._n_entities = n_entities
        self._batch_size = batch_size
        self._negatives = negatives
        self._seed = seed
        discounts = torch.from_numpy((logq_correction * np.log(self._chances())).astype(np.float32))
        self.maker = BatchCollator(Answers.of(self.facts, n_entities, n_relations), discounts)

    def _chances(self) -> NDArray[np.float64]:
        """Return each entity's chance to be in a batch, ``(n_entities,)``.

        It is there as often as its facts are drawn, from either end, and as a negative.
        """
        size = self._n_entities
        ends, total = self.facts[:, ::2].reshape(-1), float(len(self.facts))
        expected = np.bincount(ends, minlength=size).astype(np.float64)
        if self._inferred is not None:
            for ends in self._inferred.triples[:, ::2].T:
                expected += np.bincount(ends, self._inferred.chances, size)
            total += self._inferred.chances.sum()
        expected *= self._paths_per_batch * self._steps / max(total, 1)
        expected += self._negatives / max(size, 1)
        chances: NDArray[np.float64] = -np.expm1(-expected)
        return chances

    @property
    def n_queries(self) -> int:
        """Queries in an epoch; with inferred facts, the number to expect."""
        chances = 0.0 if self._inferred is None else float(self._inferred.chances.sum())
        return 2 * (len(self.facts) + round(chances)) * self._steps

    @property
    def n_steps(self) -> int:
        """TripleSampler in an epoch; with inferred facts, the number to expect."""
        return -(-self.n_queries // (self._paths_per_batch * self._steps))

    @property
    def _paths_per_batch(self) -> int:
        return max(1, self._batch_size // self._steps)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of one epoch, on the CPU; the same number gives the same batches."""
        return map(self.maker.make, self.draws(number))

    def draws(self, number: int) -> Iterator[Draw]:
        """Yield what the batches of one epoch are made of."""
        draw = np.random.default_rng([self._seed, number])
        facts, sources, counts = self.facts, self._sources, self._weights
        if self._inferred is not None:
            drawn = self._inferred.draw(draw)
            facts = np.concatenate([facts, drawn.astype(facts.dtype)])
            sources = np.concatenate([sources, np.full(len(drawn), NO_SOURCE, sources.dtype)])
            counts = np.concatenate([counts, np.ones(len(drawn), np.float32)])
        # The first half asks for tails, the second one for heads.
        order = np.arange(2 * len(facts), dtype=smallest_ints(2 * len(facts)))
        draw.shuffle(order)
        for step, start in enumerate(range(0, len(order), self._paths_per_batch)):
            half, place = np.divmod(order[start : start + self._paths_per_batch], len(facts))
            chosen = self._queries(facts[place], half == 1)
            inferred = np.zeros((len(place), self._steps), dtype=np.float32)
            inferred[:, 0] = sources[place] == NO_SOURCE
            weights = np.ones((len(place), self._steps), dtype=np.float32)
            weights[:, 0] = counts[place]
            if self._walker is not None:
                paths = self._walker.go_on(chosen, sources[place], self._steps, draw)
                chosen = paths.reshape(-1, 3)
            negatives = draw.integers(self._n_entities, size=self._negatives)
            yield Draw(
                torch.from_numpy(np.concatenate([*chosen.T, negatives])),
                torch.from_numpy(np.concatenate([inferred, weights], axis=None)),
                size=len(chosen),
                steps=self._steps,
                infers=bool(inferred.any()),
                number=step,
                seed=(self._seed, number),
            )

    def _queries(self, facts: Triples, backward: NDArray[np.bool_]) -> Triples:
        """Return facts ``(n, 3)`` as queries, some of them along the inverse relation."""
        queries = facts.astype(np.int64)
        queries[backward] = queries[backward, ::-1] + np.array([0, self._n_relations, 0])
        return queries
