"""A model of sharded training: bytes that a worker sends in a step, its memory and its time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from kgraft.settings import OptimizerName
from kgraft.system.memory import OF_OPTIMIZER
from kgraft.system.workers import Workers
from kgraft.training.loop import AGREE_EVERY
from kgraft.training.sharded_rows import AHEAD
from kgraft.training.sharded_sampler import OWN_NEGATIVES, ShardedSampler

ID_BYTES, NUMBER_BYTES = 8, 4

NUMBERS = 5
"""Numbers that are sent with a step's gradients: three loss terms, the gradient's sum, and the
queries."""

COLLECTIVES = 2 + 2 / AHEAD + 1 / AGREE_EVERY
"""Messages that wait for each other in a step: rows, and gradients; for several steps two of
identifiers, and the agreement whether to save or to stop."""

QUERY_BYTES = 4 + 8 + 4 + 4
"""Bytes of a query that a worker keeps: its answer, the key and the start of a group of its own in
the index, and its place in an epoch's order."""

ENTITY_BYTES = 12
"""Bytes that each worker keeps of every entity: two corrections, and its place in a batch."""


@dataclass(frozen=True)
class StepTraffic:
    """The sizes that the bytes of a step depend on, on average over workers and steps.

    Args:
        workers: Number of workers.
        width: Numbers of a row.
        foreign_rows: Distinct rows of other workers, of entities and of relations, that a worker
            uses in a step.
    """

    workers: int
    width: int
    foreign_rows: float

    def sent(self) -> Mapping[str, float]:
        """Return the bytes that a worker sends to others in a step, by the kinds it counts."""
        row, others = NUMBER_BYTES * self.width, self.workers - 1
        of_numbers = others * math.ceil(NUMBERS / self.width)
        return {
            "ids": ID_BYTES * (others + self.foreign_rows),
            "rows": row * self.foreign_rows,
            "gradients": row * (self.foreign_rows + of_numbers),
        }


def expected_traffic(sampler: ShardedSampler, workers: Workers, width: int) -> StepTraffic:
    """Return what a step of a worker is expected to need, by how often its rows are sampled.

    Args:
        sampler: The worker's sampler.
        workers: The workers, with this one's number.
        width: Numbers of a row.
    """
    foreign = 0.0
    for rows in (sampler.candidate_probabilities(), sampler.relation_probabilities()):
        foreign += float(rows.sum() - rows[workers.number :: workers.count].sum())
    return StepTraffic(workers.count, width, foreign)


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
    used = queries + math.ceil((1 - OWN_NEGATIVES) * negatives) + min(relations, queries)
    return StepTraffic(workers, width, used * (workers - 1) / workers)


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
        """Return the bytes of a worker in training: rows, their state and best copy, queries."""
        of_row = (2 + OF_OPTIMIZER[self.optimizer]) * NUMBER_BYTES * self.width
        rows = of_row * (self.entities / workers + 2 * self.relations)
        queries = QUERY_BYTES * 2 * self.facts / workers
        return rows + queries + ENTITY_BYTES * self.entities

    def worker_hours(self, workers: int) -> float:
        """Return the hours of all workers that an epoch takes."""
        return workers * self.epoch_seconds(workers) / 3600
