"""Sampling of training batches: shuffled queries in both directions, shared negatives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgraft.graph.grouped_index import smallest_ints
from kgraft.graph.knowledge_graph import Triples, no_triples
from kgraft.graph.vocabulary import Rows
from kgraft.rules.pseudo_facts import PseudoFacts
from kgraft.system.arrays import release
from kgraft.training.answer_index import AnswerIndex
from kgraft.training.batch import Batch, SampledBatch
from kgraft.training.collator import BatchCollator
from kgraft.training.distinct_facts import distinct_facts
from kgraft.training.fact_queries import FactQueries, Queries
from kgraft.training.random_walks import Walker

PSEUDO, KNOWN_FALSE = -1, -2
"""The sources of pseudo-facts and of facts known to be false."""


class TripleSampler:
    """Samples the batches of an epoch, a pure function of the seed and the epoch's number.

    Every fact gives two queries, ``(h, r, ?)`` and ``(t, inverse of r, ?)``; with a path length
    above 1 each of the two begins a path of that many queries. Each pseudo-fact joins an epoch with
    its probability. Each fact known to be false gives two queries too, whose answers are wrong:
    their weights are negative, and 0 further on in their paths.

    Args:
        triples: Facts, int64 ``(n, 3)``; repeats count once.
        n_entities: Number of entity rows.
        n_relations: Number of relations, inverses not counted.
        sources: The source of each fact, ``(n,)``.
        weights: Weight of each fact in the loss, ``(n,)``; by default 1. A repeated fact keeps its
            first weight; further facts of a path and pseudo-facts weigh 1.
        pseudo_facts: Facts that rules infer.
        known_false: Facts known to be false, ``(k, 3)``, none of which is among ``triples``.
        near: Mask of entities, ``(n_entities,)``: facts about none of them, of either kind, give no
            queries, but are known as answers. By default all give some.
        path_length: Facts in a path.
        batch_size: Queries per batch.
        negatives: Entities sampled per batch.
        logq_correction: Exponent of the logQ correction, 0 off, 1 full.
        seed: Seed of all random choices.
    """

    def __init__(
        self,
        triples: Triples,
        n_entities: int,
        n_relations: int,
        *,
        sources: NDArray[np.integer] | None = None,
        weights: NDArray[np.floating] | None = None,
        pseudo_facts: PseudoFacts | None = None,
        known_false: Triples | None = None,
        near: NDArray[np.bool_] | None = None,
        path_length: int = 1,
        batch_size: int,
        negatives: int,
        logq_correction: float = 0.0,
        seed: int,
    ) -> None:
        self._n_relations = n_relations
        self._n_entities = n_entities
        self._path_length = path_length
        self._batch_size = batch_size
        self._negatives = negatives
        self._seed = seed
        self._pseudo_facts = pseudo_facts
        self._known_false = no_triples() if known_false is None else known_false
        origin = np.zeros(len(triples), dtype=np.int16) if sources is None else sources
        self._walker = Walker(triples, origin, n_entities, n_relations) if path_length > 1 else None
        answers = self._indexed(triples, origin, weights)
        if near is not None:
            self._keep(near)
        corrections = self._corrections(logq_correction)
        self.collator = BatchCollator(answers, *corrections)

    def _indexed(
        self,
        triples: Triples,
        sources: NDArray[np.integer],
        weights: NDArray[np.floating] | None,
    ) -> AnswerIndex:
        """Keep the distinct facts, and return the answers to all of their queries."""
        kind = smallest_ints(max(self._n_entities, self._n_relations))
        # Pages that nothing is written to take no memory.
        facts, places = np.empty((len(triples), 3), kind), np.empty(len(triples), np.int64)
        end = 0
        for part, first in distinct_facts(triples):
            begin, end = end, end + len(part)
            facts[begin:end], places[begin:end] = part, first
        self.facts, first = facts[:end], places[:end]
        self._sources = sources[first]
        self._weights = np.ones(len(first), dtype=np.float32)
        if weights is not None:
            self._weights[:] = weights[first]
        release(triples, sources)
        return AnswerIndex.of(self.facts, self._n_entities, self._n_relations)

    def _keep(self, near: NDArray[np.bool_]) -> None:
        """Keep the facts about entities of a mask alone."""

        def is_near(facts: Triples) -> NDArray[np.bool_]:
            return np.asarray(near[facts[:, 0]] | near[facts[:, 2]])

        kept = is_near(self.facts)
        self.facts, self._sources = self.facts[kept], self._sources[kept]
        self._weights = self._weights[kept]
        self._known_false = self._known_false[is_near(self._known_false)]
        if (pseudo := self._pseudo_facts) is not None:
            self._pseudo_facts = pseudo.select(is_near(pseudo.triples))

    def _corrections(self, exponent: float) -> tuple[Tensor, Tensor | None]:
        """Return two corrections of each entity's scores, ``(n_entities,)``.

        Returns:
            Its logQ correction, and what is added to its score as an answer.
        """
        logq = exponent * np.log(self.candidate_probabilities())
        return torch.from_numpy(logq.astype(np.float32)), None

    def candidate_probabilities(self) -> NDArray[np.float64]:
        """Return the probability of each entity to be a candidate of a batch, ``(n_entities,)``.

        An entity is one as an end of a sampled fact, or as a negative.
        """
        size = self._n_entities
        total = float(len(self.facts))
        heads, _, tails = self.facts.T
        counts = np.bincount(heads, minlength=size) + np.bincount(tails, minlength=size)
        expected = counts.astype(np.float64)
        if self._pseudo_facts is not None:
            for ends in self._pseudo_facts.triples[:, ::2].T:
                expected += np.bincount(ends, self._pseudo_facts.probabilities, size)
            total += self._pseudo_facts.probabilities.sum()
        if len(self._known_false):
            expected += np.bincount(self._known_false[:, ::2].reshape(-1), minlength=size)
            total += len(self._known_false)
        expected *= self._paths_per_batch * self._path_length / max(total, 1)
        expected += self._negatives / max(size, 1)
        probabilities: NDArray[np.float64] = -np.expm1(-expected)
        return probabilities

    @property
    def n_facts(self) -> int:
        """Distinct facts, without pseudo-facts and those known to be false."""
        return len(self.facts)

    @property
    def n_queries(self) -> int:
        """Queries in an epoch; with pseudo-facts the expected number."""
        pseudo = self._pseudo_facts
        expected = 0.0 if pseudo is None else float(pseudo.probabilities.sum())
        n_facts = self.n_facts + round(expected) + len(self._known_false)
        return 2 * n_facts * self._path_length

    @property
    def n_steps(self) -> int:
        """Batches in an epoch; with pseudo-facts the expected number."""
        return -(-self.n_queries // (self._paths_per_batch * self._path_length))

    @property
    def _paths_per_batch(self) -> int:
        return max(1, self._batch_size // self._path_length)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of an epoch, on the CPU."""
        return map(self.collator.collate, self.samples(number))

    def samples(self, number: int) -> Iterator[SampledBatch]:
        """Yield the samples that the batches of an epoch are made from."""
        draw = self._generator(number)
        asked = self._asked(draw)
        for step, places in enumerate(self._batches(self._own_places(asked), draw)):
            chosen, sources, own_weights = asked.take(places)
            is_pseudo = np.zeros((len(places), self._path_length), dtype=np.float32)
            is_pseudo[:, 0] = sources == PSEUDO
            weights = np.ones((len(places), self._path_length), dtype=np.float32)
            weights[:, 0] = own_weights
            weights[own_weights < 0, 1:] = 0.0
            if self._walker is not None:
                paths = self._walker.extend(chosen, sources, self._path_length, draw)
                chosen = paths.reshape(-1, 3)
            negatives = self._draw_negatives(draw)
            yield SampledBatch(
                torch.from_numpy(np.concatenate([*chosen.T, negatives])),
                torch.from_numpy(np.concatenate([is_pseudo, weights], axis=None)),
                size=len(chosen),
                path_length=self._path_length,
                has_pseudo_facts=bool(is_pseudo.any()),
                has_known_false=bool((own_weights < 0).any()),
                number=step,
                seed=(self._seed, number),
            )

    def _asked(self, draw: np.random.Generator) -> Queries:
        """Return the queries of an epoch, with drawn pseudo-facts."""
        facts, sources, weights = self.facts, self._sources, self._weights
        if self._pseudo_facts is not None:
            drawn = self._pseudo_facts.sample(draw)
            facts = np.concatenate([facts, drawn.astype(facts.dtype)])
            sources = np.concatenate([sources, np.full(len(drawn), PSEUDO, sources.dtype)])
            weights = np.concatenate([weights, np.ones(len(drawn), np.float32)])
        if n_false := len(self._known_false):
            facts = np.concatenate([facts, self._known_false.astype(facts.dtype)])
            sources = np.concatenate([sources, np.full(n_false, KNOWN_FALSE, sources.dtype)])
            weights = np.concatenate([weights, np.full(n_false, -1.0, np.float32)])
        return FactQueries(facts, sources, weights, self._n_relations)

    def _generator(self, number: int) -> np.random.Generator:
        """Return the generator of all random choices of an epoch."""
        return np.random.default_rng([self._seed, number])

    def _own_places(self, asked: Queries) -> NDArray[np.integer]:
        """Return the places of those of an epoch's queries that are this process's."""
        return np.arange(len(asked), dtype=smallest_ints(len(asked)))

    def _batches(
        self, order: NDArray[np.integer], draw: np.random.Generator
    ) -> Iterator[NDArray[np.integer]]:
        """Shuffle the places of an epoch's queries, and yield those of each batch."""
        draw.shuffle(order)
        size = self._paths_per_batch
        return (order[start : start + size] for start in range(0, len(order), size))

    def _draw_negatives(self, draw: np.random.Generator) -> Rows:
        """Return a batch's negatives."""
        return draw.integers(self._n_entities, size=self._negatives)
