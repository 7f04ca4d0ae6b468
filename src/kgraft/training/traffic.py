"""A model of sharded training: bytes that a worker sends in a step, its memory and its time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgraft.settings import OptimizerName
from kgraft.system.memory import OF_OPTIMIZER
from kgraft.system.workers import Workers
from kgraft.training.sharded_sampler import OWN_NEGATIVES, ShardedSampler

ID_BYTES, NUMBER_BYTES = 8, 4

NUMBERS = 5
"""Numbers of a step that are summed: three loss terms, the gradient's sum, and the queries."""

COLLECTIVES = 8
"""Messages that wait for each other in a step: two of identifiers, rows, numbers, gradients, two of
relations, and the agreement whether to save or to stop."""

FACT_BYTES = 12 + 2 + 4
"""Bytes of a fact that a worker keeps: three numbers, source and weight."""

ANSWER_BYTES = 4 + 16
"""Bytes of an answer in the index, with the key and the start of a group of its own."""

ENTITY_BYTES = 12
"""Bytes that each worker keeps of every entity: two corrections, and its place in a batch."""

JOINED_BYTES = 24 + 2
"""Bytes of a fact as it is joined, before a worker leaves out those of others."""


@dataclass(frozen=True)
class StepTraffic:
    """The sizes that the bytes of a step depend on, on average over workers and steps.

    Args:
        workers: Number of workers.
        width: Numbers of a row.
        foreign_rows: Distinct rows of other workers that a worker uses in a step.
        relations: Rows of relations, with inverses.
        used_relations: Of them, those that any worker uses in a step.
    """

    workers: int
    width: int
    foreign_rows: float
    relations: int
    used_relations: float

    def sent(self) -> Mapping[str, float]:
        """Return the bytes that a worker sends to others in a step, by the kinds it counts."""
        row, ring = NUMBER_BYTES * self.width, 2 * (self.workers - 1) / self.workers
        return {
            "ids": ID_BYTES * (self.workers - 1 + self.foreign_rows),
            "rows": row * self.foreign_rows,
            "gradients": row * self.foreign_rows,
            "relations": ring * (self.relations + row * self.used_relations),
            "sums": ring * NUMBER_BYTES * NUMBERS,
        }


def expected_traffic(
    sampler: ShardedSampler, workers: Workers, relations_2M: NDArray[np.float64], width: int
) -> StepTraffic:
    """Return what a step of a worker is expected to need, by how often entities are sampled.

    Args:
        sampler: The worker's sampler.
        workers: The workers, with this one's number.
        relations_2M: The probability of each row of relations to be in a step.
        width: Numbers of a row.
    """
    entities = sampler.candidate_probabilities()
    foreign = entities.sum() - entities[workers.number :: workers.count].sum()
    used = float(relations_2M.sum())
    return StepTraffic(workers.count, width, float(foreign), len(relations_2M), used)


def largest_traffic(
    workers: int, *, width: int, queries: int, negatives: int, relations: int
) -> StepTraffic:
    """Return the most that a step can need: no two of its queries share an entity or a relation.

    Args:
        workers: Number of workers.
        width: Numbers of a row.
        queries: Queries of each worker.
        negatives: Negatives of each worker.
        relations: Rows of relations, with inverses.
    """
    foreign = queries + math.ceil((1 - OWN_NEGATIVES) * negatives)
    return StepTraffic(
        workers,
        width,
        foreign * (workers - 1) / workers,
        relations,
        min(relations, queries * workers),
    )


@dataclass(frozen=True)
class Plan:
    """A training of a size that was not tried, on a number of equal workers.

    Args:
        entities: Number of entities.
        facts: Number of facts.
        relations: Number of relations, inverses not counted.
        width: Numbers of a row.
        queries: Queries of each worker in a step.
        negatives: Negatives of each worker in a step.
        optimizer: The row optimizer.
        queries_per_second: What a worker computes in a second without others.
        bits_per_second: What it sends in a second.
        latency: Seconds of a message.
    """

    entities: int
    facts: int
    relations: int
    width: int = 200
    queries: int = 512
    negatives: int = 512
    optimizer: OptimizerName = "adagrad"
    queries_per_second: float = 20_000
    bits_per_second: float = 10e9
    latency: float = 1e-4

    def traffic(self, workers: int) -> StepTraffic:
        """Return the most that a worker sends in a step."""
        return largest_traffic(
            workers,
            width=self.width,
            queries=self.queries,
            negatives=self.negatives,
            relations=2 * self.relations,
        )

    def step_seconds(self, workers: int) -> tuple[float, float]:
        """Return the seconds of a step that are computation, and those that are sending."""
        sent = sum(self.traffic(workers).sent().values())
        waiting = COLLECTIVES * self.latency * math.ceil(math.log2(workers))
        return self.queries / self.queries_per_second, 8 * sent / self.bits_per_second + waiting

    def epoch_seconds(self, workers: int) -> float:
        """Return the seconds of an epoch; nothing is computed while rows are on their way."""
        steps = math.ceil(2 * self.facts / (self.queries * workers))
        return steps * sum(self.step_seconds(workers))

    def memory(self, workers: int) -> float:
        """Return the bytes of a worker in training: rows, their state and best copy, and facts."""
        of_row = (2 + OF_OPTIMIZER[self.optimizer]) * NUMBER_BYTES * self.width
        rows = of_row * (self.entities / workers + 2 * self.relations)
        kept = 1 - (1 - 1 / workers) ** 2
        facts = self.facts * (kept * FACT_BYTES + 2 * kept * ANSWER_BYTES + 2 * 4 / workers)
        return rows + facts + ENTITY_BYTES * self.entities

    def worker_hours(self, workers: int) -> float:
        """Return the hours of all workers that an epoch takes."""
        return workers * self.epoch_seconds(workers) / 3600


def relation_probabilities(
    relations: NDArray[np.integer], n_relations: int, queries: float
) -> NDArray[np.float64]:
    """Return the probability of each relation, and of its inverse, to be in a step, ``(2 m,)``.

    Args:
        relations: The relation of each fact, ``(n,)``.
        n_relations: ``m``.
        queries: Queries of all workers in a step.
    """
    shares = np.bincount(relations, minlength=n_relations) / max(2 * len(relations), 1)
    found: NDArray[np.float64] = -np.expm1(-queries * np.concatenate([shares, shares]))
    return found
