"""The model of bytes, memory and time, against what is counted."""

from __future__ import annotations

from itertools import islice

import pytest
import scale_page
from thread_workers import ThreadWorkers, together

from kgraft.linking.collection import Collection
from kgraft.pipeline.pretrain import pretraining_task
from kgraft.settings import TrainSettings
from kgraft.system.workers import Workers
from kgraft.training.loop import AGREE_EVERY
from kgraft.training.sharded_rows import AHEAD
from kgraft.training.sharded_sampler import ShardedSampler
from kgraft.training.traffic import (
    COLLECTIVES,
    Plan,
    StepTraffic,
    expected_traffic,
    largest_traffic,
)

PLAN = Plan(entities=1000, facts=10_000, relations=20)


@pytest.mark.parametrize("count", [2, 4])
def test_bytes_are_as_expected(generated: Collection, fast: TrainSettings, count: int) -> None:
    steps = 10

    def work(workers: Workers) -> tuple[float, float, float]:
        task = pretraining_task(generated, fast, workers=workers)
        trainer, sampler = task.trainer(), task.sampler()
        assert isinstance(sampler, ShardedSampler)
        taken = 0
        while taken < steps:
            for _ in trainer.train_epoch(sampler, 1 + taken):
                taken += 1
        training, graph = task.settings.training, task.graph
        expected = expected_traffic(sampler, workers, task.settings.model.width)
        most = largest_traffic(
            count,
            width=task.settings.model.width,
            queries=training.batch_size,
            negatives=training.negatives,
            relations=2 * graph.n_relations,
        )
        sizes = (workers.sent, expected.sent(), most.sent())
        sent, model, limit = (sum(x[kind] for kind in ("ids", "rows", "gradients")) for x in sizes)
        return sent / taken, model, limit

    found = together(count, work)
    sent, model = (sum(x[place] for x in found) for place in (0, 1))
    assert model == pytest.approx(sent, rel=0.1)
    assert all(sent < limit for sent, _, limit in found)


def test_messages_of_a_step_are_as_expected(generated: Collection, fast: TrainSettings) -> None:
    def work(workers: Workers) -> int:
        task = pretraining_task(generated, fast, workers=workers)
        trainer, sampler = task.trainer(), task.sampler()
        assert isinstance(workers, ThreadWorkers)
        workers.messages = 0
        assert len(list(islice(trainer.train_epoch(sampler, 1), AHEAD))) == AHEAD
        return workers.messages

    of_agreement = AHEAD / AGREE_EVERY
    assert together(2, work) == [AHEAD * COLLECTIVES - of_agreement] * 2


def test_one_worker_sends_nothing() -> None:
    alone = StepTraffic(1, 200, foreign_rows=0)
    assert sum(alone.sent().values()) == 0


def test_more_workers_take_less_memory_and_time() -> None:
    counts = (2, 4, 8, 16)
    for figure in (PLAN.memory, PLAN.epoch_seconds):
        values = [figure(count) for count in counts]
        assert values == sorted(values, reverse=True)
    hours = [PLAN.worker_hours(count) for count in counts]
    assert hours == sorted(hours)


def test_a_faster_network_saves_time() -> None:
    faster = Plan(**{**vars(PLAN), "bits_per_second": 10 * PLAN.bits_per_second})
    assert faster.epoch_seconds(8) < PLAN.epoch_seconds(8)


def test_the_page_has_the_tables_of_the_model() -> None:
    page = scale_page.PAGE.read_text(encoding="utf-8")
    assert scale_page.filled(page) == page
    assert page.count("| 64 |") == 4
